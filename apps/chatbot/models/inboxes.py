"""Where visitors knock: one inbox a site or channel, with the rules by which it answers."""

from __future__ import annotations

import secrets

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from gpt_core.models import Deployment
from labeling.models import Dataset
from tenancy.models import TenantModel


def new_key() -> str:
    """Public, and hard to guess all the same: it names the inbox in a page that anybody reads."""
    return f"w_{secrets.token_urlsafe(18)}"


class Inbox(TenantModel):
    """A widget's settings, and how far the bot may go in it.

    `allowed_origins` is enforced by the server on every widget route; empty means nobody.
    `hours` is {"zone": "Europe/Stockholm", "days": {"mon": [["09:00", "17:00"]], ...}}; empty
    means always open. `answer_threshold` is the confidence below which nothing generated is
    shown; `curated_threshold` the likeness from which a curated answer is returned as it stands.
    With `auto_assign` what waits is given to whoever is available and has fewer than `capacity`
    open conversations, of all inboxes. The targets of people's answers are minutes of `hours`.
    """

    subject_path = None

    class Identity(models.TextChoices):
        ANONYMOUS = "anonymous", _("anonymous visitors")
        VERIFIED = "verified", _("verified visitors only")
        BOTH = "both", _("both")

    name = models.CharField(_("name"), max_length=100)
    key = models.CharField(max_length=40, unique=True, default=new_key, editable=False)
    deployment = models.ForeignKey(
        Deployment, on_delete=models.SET_NULL, null=True, blank=True, related_name="inboxes"
    )
    language = models.CharField(_("language"), max_length=10, default="en")
    allowed_origins = models.JSONField(_("allowed origins"), default=list, blank=True)
    identity = models.CharField(
        _("identity"), max_length=10, choices=Identity, default=Identity.BOTH
    )
    bot_enabled = models.BooleanField(_("the bot answers"), default=True)
    answer_threshold = models.FloatField(
        _("least confidence of an answer"),
        default=0.5,
        validators=[MinValueValidator(0), MaxValueValidator(1)],
    )
    curated_threshold = models.FloatField(
        _("least likeness of a curated answer"),
        default=0.9,
        validators=[MinValueValidator(0), MaxValueValidator(1)],
    )
    banned_phrases = models.JSONField(_("banned phrases"), default=list, blank=True)
    hours = models.JSONField(_("business hours"), default=dict, blank=True)
    theme = models.JSONField(_("theme"), default=dict, blank=True)
    greeting = models.TextField(_("greeting"), blank=True)
    pre_chat = models.JSONField(_("questions before the chat"), default=list, blank=True)
    auto_assign = models.BooleanField(_("given out by itself"), default=False)
    # Where examples made of its conversations go; made with the first of them.
    dataset = models.ForeignKey(
        Dataset,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="inboxes",
        verbose_name=_("examples of conversations"),
    )
    first_response_minutes = models.PositiveIntegerField(
        _("minutes until the first answer"), null=True, blank=True
    )
    next_response_minutes = models.PositiveIntegerField(
        _("minutes until each further answer"), null=True, blank=True
    )
    capacity = models.PositiveIntegerField(_("open conversations per agent"), default=8)

    class Meta(TenantModel.Meta):
        ordering = ["name"]
        verbose_name = _("inbox")
        verbose_name_plural = _("inboxes")

    def __str__(self) -> str:
        return self.name
