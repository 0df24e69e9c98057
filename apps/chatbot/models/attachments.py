"""Files that visitors send."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from tenancy.models import TenantModel

from .conversations import Message


class Attachment(TenantModel):
    """One file of one message. Nobody is given it before a worker has looked through it."""

    subject_path = "message__conversation__contact__subject"

    class State(models.TextChoices):
        WAITING = "waiting", _("being checked")
        CLEAN = "clean", _("checked")
        REFUSED = "refused", _("refused")

    message = models.OneToOneField(Message, on_delete=models.CASCADE, related_name="attachment")
    name = models.CharField(_("name"), max_length=200)
    kind = models.CharField(_("type"), max_length=10)
    size = models.PositiveIntegerField(_("size"))
    # Of what was sent; and of what is given out, where that is a picture without its metadata.
    digest = models.CharField(max_length=64)
    plain_digest = models.CharField(max_length=64, blank=True)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.WAITING)
    fault = models.CharField(max_length=40, blank=True)

    class Meta(TenantModel.Meta):
        verbose_name = _("attachment")
        verbose_name_plural = _("attachments")
        indexes = [
            models.Index(
                fields=["created_at"],
                condition=models.Q(state="waiting"),
                name="chatbot_file_waiting",
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def path(self) -> Path:
        return Path(settings.PARLEY_HOME) / "attachments" / str(self.tenant_id) / str(self.pk)


class FileTicket(TenantModel):
    """One member's way to one file on the origin of uploads, to which no cookie goes: for a minute,
    and once."""

    subject_path = "attachment__message__conversation__contact__subject"

    attachment = models.ForeignKey(Attachment, on_delete=models.CASCADE, related_name="tickets")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta(TenantModel.Meta):
        verbose_name = _("file ticket")
        verbose_name_plural = _("file tickets")

    def __str__(self) -> str:
        return str(self.pk)
