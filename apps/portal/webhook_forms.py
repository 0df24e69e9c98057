"""What is asked for a webhook."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from tenancy.webhooks.types import EVENT_TYPES


class WebhookForm(forms.Form):
    url = forms.CharField(
        label=_("Address"),
        max_length=2000,
        help_text=_("Of the public internet, with https. Every message is signed."),
        widget=forms.URLInput(
            attrs={"placeholder": "https://example.com/parley", "autocomplete": "off"}
        ),
    )
    description = forms.CharField(label=_("What for"), max_length=200, required=False)
    events = forms.MultipleChoiceField(
        label=_("Tell it about"),
        choices=list(EVENT_TYPES.items()),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("None ticked means everything, also what will be added later."),
    )

    @property
    def explained(self) -> list[tuple[Any, str]]:
        """Each event with its code, which is what a program reads."""
        return [(box, str(box.data["value"])) for box in self["events"].subwidgets]
