"""Files become articles: what is new is a draft, what has changed a version, what is known nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import User
from apps.chatbot.article_files import MOST_BYTES, Text, read_articles
from apps.chatbot.models import Article, ArticleVersion
from common.errors import ApplicationError
from tenancy import audit

from .knowledge import publish_article, write_article

MOST_FILES = 20


class Upload(Protocol):
    """A file that was sent: its name, and its bytes."""

    name: str | None

    def read(self, size: int = ...) -> bytes: ...


@dataclass
class FileOutcome:
    """What became of one file; `faults` are (line, why), line 0 where it is the file as a whole."""

    name: str
    new: int = 0
    changed: int = 0
    known: int = 0
    published: int = 0
    faults: list[tuple[int, str]] = field(default_factory=list)


def import_articles(
    *, files: Iterable[Upload], language: str, publish: bool = False, actor: User | None = None
) -> list[FileOutcome]:
    """Each file for itself: a fault in one takes nothing from another.

    A text that some version of an article in its language already holds adds nothing; another text
    under a title that is there becomes its next version. Drafts, unless `publish`.
    """
    outcomes = [_file(one, language, publish, actor) for one in files]
    new, changed = sum(one.new for one in outcomes), sum(one.changed for one in outcomes)
    if new or changed:
        audit.record(
            "article.imported",
            articles=new + changed,
            files=len(outcomes),
            new=new,
            changed=changed,
        )
    return outcomes


@transaction.atomic
def _file(upload: Upload, language: str, publish: bool, actor: User | None) -> FileOutcome:
    outcome = FileOutcome((upload.name or "")[:200])
    try:
        # One byte more than fits says that it does not.
        read = read_articles(name=outcome.name, data=upload.read(MOST_BYTES + 1))
    except ApplicationError as error:
        outcome.faults.append((0, str(error.detail)))
        return outcome
    outcome.faults += read.faults
    lines: dict[tuple[str, str], int] = {}
    for text in read.texts:
        key = (text.title, text.language or language)
        if key in lines:
            why = _("The title stands in line %(line)d already.") % {"line": lines[key]}
            outcome.faults.append((text.line, why))
            continue
        lines[key] = text.line
        try:
            _article(outcome, text, key[1], publish, actor)
        except ApplicationError as error:
            outcome.faults.append((text.line, str(error.detail)))
    outcome.faults.sort()
    return outcome


def _article(
    outcome: FileOutcome, text: Text, language: str, publish: bool, actor: User | None
) -> None:
    title, body = text.title.strip()[:300], text.body.strip()
    versions = ArticleVersion.objects.filter(title=title, article__language=language)
    same = versions.filter(body=body).select_related("article").first()
    if same is not None:
        outcome.known += 1
        # Looked at as a draft, and now brought again to be published.
        if publish and same.article.state == Article.State.DRAFT:
            publish_article(article=same.article, version=same)
            outcome.published += 1
        return
    there = Article.objects.filter(title=title, language=language).order_by("created_at").first()
    source = {"file": outcome.name} | ({"line": text.line} if text.line else {})
    article = write_article(
        title=title,
        body=body,
        language=language,
        article=there,
        actor=actor,
        sources=[*(there.sources if there else []), source][-20:],
    )
    if there is None:
        outcome.new += 1
    else:
        outcome.changed += 1
    if publish:
        publish_article(article=article)
        outcome.published += 1
