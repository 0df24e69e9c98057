"""What people write into the portal's forms."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from common import strict_json
from common.errors import ApplicationError
from labeling.models import Dataset

MOST_TURNS = 61


class DatasetForm(forms.Form):
    """What a dataset is called, and what it is for."""

    name = forms.CharField(label=_("Name"), max_length=200)
    description = forms.CharField(
        label=_("What it is for"),
        max_length=10_000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    language = forms.CharField(
        label=_("Language"), max_length=10, required=False, help_text=_("Such as en or zh.")
    )


class ImportForm(forms.Form):
    """A file, and the dataset that it goes into: one that is here, or a new one."""

    file = forms.FileField(label=_("File"), allow_empty_file=True)
    dataset: Any = forms.ModelChoiceField(
        label=_("Into the dataset"),
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

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # Asked for now, in the scope of the request.
        self.fields["dataset"].queryset = Dataset.objects.order_by("name", "pk")  # type: ignore[attr-defined]


class OverrideForm(forms.Form):
    """Why an owner promotes against the gate's word. It is kept with the change."""

    reason = forms.CharField(
        label=_("Why the gate is overruled"),
        min_length=10,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 3}),
    )


class AskForm(forms.Form):
    """A question in the playground, with what was said before it."""

    model = forms.CharField(max_length=64)
    temperature = forms.FloatField(min_value=0, max_value=2)
    max_tokens = forms.IntegerField(min_value=1, max_value=1024)
    messages = forms.CharField(max_length=100_000, strip=False)

    def clean_messages(self) -> list[dict[str, str]]:
        """Turns of user and assistant in alternation, ending with the question."""
        wrong = forms.ValidationError(_("The conversation cannot be read. Load the page again."))
        try:
            turns = strict_json.loads(self.cleaned_data["messages"])
        except ApplicationError as error:
            raise wrong from error
        if not isinstance(turns, list) or not 1 <= len(turns) <= MOST_TURNS:
            raise wrong
        for at, turn in enumerate(turns):
            role = "user" if at % 2 == 0 else "assistant"
            if not isinstance(turn, dict) or set(turn) != {"role", "content"}:
                raise wrong
            if turn["role"] != role or not isinstance(turn["content"], str):
                raise wrong
        if len(turns) % 2 == 0 or not turns[-1]["content"].strip():
            raise wrong
        return turns
