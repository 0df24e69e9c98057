"""What is asked for an inbox about the people behind it."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

MOST_CAPACITY = 10_000
MOST_MINUTES = 14_400


class TeamForm(forms.Form):
    """The part of the inbox's form about who answers what the bot does not."""

    auto_assign = forms.BooleanField(
        label=_("Give conversations out by itself"),
        required=False,
        help_text=_("In turn, to whoever is available at the desk. Otherwise agents take them."),
    )
    first_response_minutes = forms.IntegerField(
        label=_("Minutes until the first answer"),
        min_value=1,
        max_value=MOST_MINUTES,
        required=False,
        help_text=_("Of business hours. Empty means no target."),
    )
    next_response_minutes = forms.IntegerField(
        label=_("Minutes until each further answer"),
        min_value=1,
        max_value=MOST_MINUTES,
        required=False,
        help_text=_("From the visitor's message on."),
    )
    capacity = forms.IntegerField(
        label=_("Open conversations an agent"),
        min_value=0,
        max_value=MOST_CAPACITY,
        help_text=_("Who has as many is given no more."),
    )
