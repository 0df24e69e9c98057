"""Write, publish and withdraw articles. Each change to what is published raises the revision, so
that every index is renewed before the next question."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from apps.chatbot import announcements
from apps.chatbot.models import Article, ArticleVersion, Knowledge, Passage
from apps.chatbot.passages import divided
from common.errors import ApplicationError, ConflictError
from tenancy import audit

MOST_BODY = 200_000


@transaction.atomic
def write_article(
    *,
    title: str,
    body: str,
    language: str = "en",
    article: Article | None = None,
    actor: User | None = None,
    seen: int | None = None,
    **details: Any,
) -> Article:
    """Save a text as the article's next version; what is published stays until it is published anew.

    The same text again is the same version. `details` are columns of Article: questions, tags,
    sources, is_curated, external_id; they hold at once, also for what is published. `seen` is the
    number of the version that the writer had before them: where there is a newer one, nothing is
    saved and ConflictError says so.
    """
    title, body = title.strip(), body.strip()
    if not title:
        raise ApplicationError("title_empty", _("An article needs a title."), field="title")
    if not body:
        raise ApplicationError("body_empty", _("An article needs a text."), field="body")
    if len(body) > MOST_BODY:
        raise ApplicationError(
            "body_too_long",
            _("At most %(most)d characters fit in an article.") % {"most": MOST_BODY},
            field="body",
        )
    if article is not None:
        # Who saves at the same moment waits here, so that numbers are given one by one.
        Article.objects.select_for_update(of=("self",)).get(pk=article.pk)
    article = article or Article()
    latest = article.versions.order_by("-number").first() if not article._state.adding else None
    if latest is not None and seen is not None and seen != latest.number:
        raise ConflictError(
            "article_changed",
            _("Somebody saved version %(number)d while you wrote. Nothing of yours is lost.")
            % {"number": latest.number},
        )
    details = {"language": language, **details}
    changed = [name for name, value in details.items() if getattr(article, name) != value]
    article.title = title[:300]
    for name, value in details.items():
        setattr(article, name, value)
    article.save()
    if latest is None or (latest.title, latest.body) != (article.title, body):
        number = latest.number + 1 if latest else 1
        ArticleVersion.objects.create(
            article=article, number=number, title=article.title, body=body, author=actor
        )
    if changed and article.published_id is not None:
        # The ways to ask are read anew, and every index with them.
        Passage.objects.live().filter(version=article.published_id).update(embedded_by="")
        raise_revision()
    return article


@transaction.atomic
def publish_article(*, article: Article, version: ArticleVersion | None = None) -> Article:
    """From now on answers come from this version (the newest, where none is named)."""
    version = _go_live(article, version)
    raise_revision()
    audit.record("article.published", article, version=version.number)
    return article


@transaction.atomic
def publish_articles(texts: Iterable[Mapping[str, Any]]) -> int:
    """Write and publish many at once, all or none; returns how many.

    Each text holds the arguments of `write_article`. One line of the audit log speaks of them all.
    """
    count = 0
    for text in texts:
        _go_live(write_article(**text))
        count += 1
    if count:
        audit.record("articles.published", raise_revision(), articles=count)
    return count


def _go_live(article: Article, version: ArticleVersion | None = None) -> ArticleVersion:
    """Put a version (the newest, where none is named) in the place of what was published."""
    version = version or article.versions.order_by("-number").first()
    if version is None:
        raise ApplicationError("body_empty", _("An article needs a text."), field="body")
    _withdraw(article)
    if not version.passages.exists():
        Passage.objects.bulk_create(
            Passage(version=version, position=at, heading=piece.heading[:300], text=piece.text)
            for at, piece in enumerate(divided(version.body, title=version.title))
        )
    # The ways to ask may have changed since these were read.
    version.passages.update(is_live=True, embedded_by="")
    article.published, article.state = version, Article.State.PUBLISHED
    article.title = version.title
    article.save()
    announcements.announce_article(version)
    return version


@transaction.atomic
def archive_article(*, article: Article) -> Article:
    """No answer comes from it any more; its versions stay, for the answers that cited them."""
    _withdraw(article)
    article.published, article.state = None, Article.State.ARCHIVED
    article.save()
    raise_revision()
    audit.record("article.archived", article)
    return article


def raise_revision() -> Knowledge:
    knowledge, _made = Knowledge.objects.get_or_create()
    Knowledge.objects.filter(pk=knowledge.pk).update(revision=F("revision") + 1)
    return knowledge


def _withdraw(article: Article) -> None:
    Passage.objects.filter(version__article=article, is_live=True).update(is_live=False)
