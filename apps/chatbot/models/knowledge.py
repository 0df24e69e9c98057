"""Articles of knowledge, their versions, and the passages that answers are made from."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.chatbot.querysets import PassageQuerySet
from tenancy.models import TenantModel
from tenancy.querysets import TenantManager


class PassageManager(TenantManager.from_queryset(PassageQuerySet)):  # type: ignore[misc]
    """Passages of the tenant in scope."""


class Knowledge(TenantModel):
    """One row a tenant: its revision grows with every change to what is published, so that a
    reader's index knows with one query whether it is still true."""

    subject_path = None

    revision = models.PositiveBigIntegerField(default=0)

    class Meta(TenantModel.Meta):
        verbose_name = _("knowledge")
        verbose_name_plural = _("knowledge")
        constraints = [
            models.UniqueConstraint(fields=["tenant"], name="chatbot_knowledge_one_per_tenant")
        ]

    def __str__(self) -> str:
        return f"revision {self.revision}"


class Article(TenantModel):
    """What the company knows about one matter, in one language.

    `translation_of` ties languages together. `is_curated`: its body is an approved answer to its
    title and is returned as it stands where a question is like enough.
    """

    subject_path = None

    class State(models.TextChoices):
        DRAFT = "draft", _("draft")
        PUBLISHED = "published", _("published")
        ARCHIVED = "archived", _("archived")

    title = models.CharField(_("title"), max_length=300)
    language = models.CharField(_("language"), max_length=10, default="en")
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.DRAFT)
    is_curated = models.BooleanField(_("curated answer"), default=False)
    # Other ways to ask what the title asks.
    questions = models.JSONField(_("questions"), default=list, blank=True)
    tags = models.JSONField(_("tags"), default=list, blank=True)
    sources = models.JSONField(_("sources"), default=list, blank=True)
    external_id = models.CharField(_("id in the source"), max_length=200, blank=True)
    translation_of = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="translations"
    )
    published = models.ForeignKey(
        "chatbot.ArticleVersion", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(TenantModel.Meta):
        verbose_name = _("article")
        verbose_name_plural = _("articles")
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "external_id", "language"],
                condition=~models.Q(external_id=""),
                name="chatbot_article_once",
            )
        ]

    def __str__(self) -> str:
        return self.title


class ArticleVersion(TenantModel):
    """One text of an article, kept for ever: answers cite passages of exactly this text."""

    subject_path = None

    article = models.ForeignKey(Article, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField(_("number"))
    title = models.CharField(_("title"), max_length=300)
    body = models.TextField(_("text"))  # Markdown
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta(TenantModel.Meta):
        ordering = ["-number"]
        verbose_name = _("version of an article")
        verbose_name_plural = _("versions of articles")
        constraints = [
            models.UniqueConstraint(
                fields=["article", "number"], name="chatbot_articleversion_once"
            )
        ]

    def __str__(self) -> str:
        return f"v{self.number}"


class Passage(TenantModel):
    """A piece of a version, short enough to be read by the model whole: what retrieval finds."""

    subject_path = None

    version = models.ForeignKey(ArticleVersion, on_delete=models.CASCADE, related_name="passages")
    position = models.PositiveIntegerField()
    heading = models.CharField(max_length=300, blank=True)
    text = models.TextField()
    is_live = models.BooleanField(default=False)
    # What it means, as `retrieval.meaning` packs it, and the model that read it; "" is still to be read.
    vectors = models.BinaryField(null=True, blank=True, editable=False)
    embedded_by = models.CharField(max_length=100, blank=True, editable=False)

    objects: ClassVar[PassageManager] = PassageManager()

    class Meta(TenantModel.Meta):
        ordering = ["version", "position"]
        verbose_name = _("passage")
        verbose_name_plural = _("passages")
        constraints = [
            models.UniqueConstraint(fields=["version", "position"], name="chatbot_passage_once")
        ]
        indexes = [
            models.Index(fields=["tenant", "is_live"], name="chatbot_passage_live"),
            models.Index(
                fields=["embedded_by"],
                condition=models.Q(is_live=True),
                name="chatbot_passage_unread",
            ),
        ]

    def __str__(self) -> str:
        return self.heading or self.text[:40]

    @property
    def whole(self) -> str:
        """With its heading: whatever it states."""
        return f"{self.heading}\n{self.text}"
