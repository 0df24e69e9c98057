"""What goes on by e-mail to a visitor who has left."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from tenancy.models import TenantModel

from .conversations import Message


class ReplyMail(TenantModel):
    """An agent's message that waits to be sent by e-mail. `due_at` is when it is looked at next; while
    somebody sends it, until when it is theirs alone."""

    subject_path = "message__conversation__contact__subject"

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        SENT = "sent", _("sent")
        NEEDLESS = "needless", _("read in the widget")
        FAILED = "failed", _("failed")

    message = models.OneToOneField(Message, on_delete=models.CASCADE, related_name="mail")
    address = models.EmailField(_("e-mail address"))
    # The site on which the visitor wrote, as the server knows it.
    origin = models.CharField(max_length=255)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.WAITING)
    tries = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta(TenantModel.Meta):
        verbose_name = _("reply by e-mail")
        verbose_name_plural = _("replies by e-mail")
        indexes = [
            models.Index(
                fields=["due_at"], condition=models.Q(state="waiting"), name="chatbot_mail_due"
            )
        ]

    def __str__(self) -> str:
        return f"{self.state} {self.pk}"
