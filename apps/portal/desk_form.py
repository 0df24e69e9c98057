"""What an agent sends from the desk."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.chatbot.services import MOST_CHARACTERS

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

SNOOZES: dict[str, StrPromise] = {
    "hour": _("For an hour"),
    "day": _("Until tomorrow at 9:00"),
    "week": _("Until Monday at 9:00"),
}


class SayForm(forms.Form):
    """`client_id` is the script's own: the same send again is the same message. `read_to` is how far
    its writer had read; `sure` that it is sent whatever a colleague has answered since; `suggestion`
    which one was taken into it."""

    text = forms.CharField(max_length=MOST_CHARACTERS, strip=True)
    client_id = forms.UUIDField(required=False)
    private = forms.BooleanField(required=False)
    read_to = forms.IntegerField(min_value=0, max_value=2**62, required=False)
    suggestion = forms.UUIDField(required=False)
    sure = forms.BooleanField(required=False)

    @property
    def must_be_first_behind(self) -> int | None:
        """The number behind which no colleague may have answered; None where that does not matter."""
        given = self.cleaned_data
        return None if given["private"] or given["sure"] else given["read_to"]


def snoozed_until(choice: str, now: datetime) -> datetime | None:
    """When it comes back, in the zone that is active; None for what is no choice."""
    local = timezone.localtime(now)
    match choice:
        case "hour":
            return now + timedelta(hours=1)
        case "day":
            days = 1
        case "week":
            days = 7 - local.weekday()
        case _:
            return None
    morning = datetime.combine(local.date() + timedelta(days=days), time(9))
    return timezone.make_aware(morning)
