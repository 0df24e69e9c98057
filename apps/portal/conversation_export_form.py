"""What is asked for a file of conversations."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.chatbot.models import ConversationExport, Inbox

FORMS = [one for one in ConversationExport.Form if one != ConversationExport.Form.ARCHIVE]


class ExportForm(forms.Form):
    """`notes`: whether whoever asks may have private notes."""

    form = forms.ChoiceField(
        label=_("Form"),
        choices=[(one.value, one.label) for one in FORMS],
        initial=ConversationExport.Form.NDJSON,
        widget=forms.RadioSelect,
    )
    inbox: Any = forms.ModelChoiceField(
        label=_("Of the inbox"), queryset=None, required=False, empty_label=_("all inboxes")
    )
    since = forms.DateField(
        label=_("Begun from"), required=False, widget=forms.DateInput(attrs={"type": "date"})
    )
    until = forms.DateField(
        label=_("Begun until"),
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text=_("The day itself is in it."),
    )
    with_notes = forms.BooleanField(
        label=_("With private notes"), required=False, help_text=_("As NDJSON alone.")
    )

    def __init__(self, *args: Any, notes: bool, **options: Any) -> None:
        super().__init__(*args, **options)
        # Asked for now, in the scope of the request.
        self.fields["inbox"].queryset = Inbox.objects.order_by("name", "pk")  # type: ignore[attr-defined]
        if not notes:
            del self.fields["with_notes"]

    @property
    def explained(self) -> list[tuple[Any, str]]:
        return [(radio, "") for radio in self["form"].subwidgets]

    def clean_since(self) -> datetime | None:
        return _midnight(self.cleaned_data["since"])

    def clean_until(self) -> datetime | None:
        day = self.cleaned_data["until"]
        return _midnight(day + timedelta(days=1)) if day else None


def _midnight(day: Any) -> datetime | None:
    return timezone.make_aware(datetime.combine(day, time())) if day else None
