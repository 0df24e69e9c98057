"""Conversations as a file for the company to take away."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from labeling.models import StoredFile, Work

from .conversations import Contact
from .inboxes import Inbox


class ConversationExport(Work):
    """One such file: asked for, written by a worker, kept for some days.

    Which conversations: of an inbox, of a contact, begun from `since` and before `until`; each may
    be left open. `with_notes` is for those who may answer visitors, and goes with every look at it.
    """

    subject_path = "contact__subject"
    done_by = "apps.chatbot.exporting.writing.carry_out"
    queue = "long"

    class Form(models.TextChoices):
        NDJSON = "ndjson", _("NDJSON, a conversation a line")
        CSV = "csv", _("CSV, a message a row")
        OPENAI = "openai", _("OpenAI chat, to tune a model")
        ARCHIVE = "archive", _("everything of one contact, as a ZIP")

    form = models.CharField(_("form"), max_length=8, choices=Form)
    inbox = models.ForeignKey(
        Inbox, on_delete=models.CASCADE, null=True, blank=True, related_name="exports"
    )
    contact = models.ForeignKey(
        Contact, on_delete=models.CASCADE, null=True, blank=True, related_name="exports"
    )
    since = models.DateTimeField(_("begun from"), null=True, blank=True)
    until = models.DateTimeField(_("begun before"), null=True, blank=True)
    with_notes = models.BooleanField(_("with private notes"), default=False)
    conversations = models.PositiveBigIntegerField(_("conversations"), default=0)
    # Not `file`: what has one is read from it and waits for it (labeling.work).
    result = models.ForeignKey(
        StoredFile, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta(Work.Meta):
        abstract = False
        verbose_name = _("export of conversations")
        verbose_name_plural = _("exports of conversations")
        indexes = [
            models.Index(fields=["tenant", "-created_at"], name="chatbot_export_recent"),
            models.Index(
                fields=["created_at"],
                name="chatbot_export_open",
                condition=models.Q(state__in=["queued", "running"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.form} {self.state}"

    @property
    def is_ready(self) -> bool:
        """There is a file to be taken."""
        kept = self.result is not None and self.result.state == StoredFile.State.STORED
        return self.state == self.State.DONE and kept
