"""What people say about a file of past conversations, and about what is redacted."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.chatbot.models import HistorySource
from labeling.models import Dataset


class HistoryForm(forms.Form):
    """A file, the system that it comes from, and where its questions go."""

    file = forms.FileField(label=_("File"), allow_empty_file=True)
    source = forms.ChoiceField(label=_("Comes from"), choices=HistorySource.choices)
    dataset: Any = forms.ModelChoiceField(
        label=_("Questions go into the dataset"),
        queryset=None,
        required=False,
        empty_label=_("a new dataset"),
    )
    name = forms.CharField(
        label=_("Name of the new dataset"),
        max_length=200,
        required=False,
        help_text=_("Left empty, it is called as the file is."),
    )
    reviewers = forms.TypedChoiceField(
        label=_("People who look at each answer"),
        choices=[(1, "1"), (2, "2"), (3, "3")],
        coerce=int,
        initial=1,
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # Asked for now, in the scope of the request.
        self.fields["dataset"].queryset = Dataset.objects.order_by("name", "pk")  # type: ignore[attr-defined]


class RulesForm(forms.Form):
    """One form or value a line."""

    orders = forms.CharField(
        label=_("How your order numbers look"),
        required=False,
        max_length=4_000,
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false"}),
        help_text=_(
            "One form a line, such as SO-\\d{8} or [A-Z]{2}\\d{6,10}: \\d is a digit, [A-Z] one of several "
            "characters, {8} or {6,10} how many."
        ),
    )
    kept = forms.CharField(
        label=_("What is your own and stays"),
        required=False,
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 6, "spellcheck": "false"}),
        help_text=_(
            "Your addresses, numbers and names, one a line, so that answers may speak of them; @example.com stands for "
            "every mailbox there."
        ),
    )
