"""What people say of a labelling task."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from common.errors import ApplicationError
from gpt_core.suggestions import choices_of_suggester
from labeling.models import Dataset, LabelingTask
from labeling.models.queue import LEAST_RANDOM, MOST_OVERLAP
from labeling.queue.setup import keyed

PLAIN = ("name", "guideline", "mode", "overlap", "suggester")
NUMBERS = ("uncertain_share", "diverse_share", "random_share", "gold_count", "gold_share")


class LabelingTaskForm(forms.Form):
    """One form for a new task and for changes; what is not filled in keeps its default."""

    name = forms.CharField(label=_("Name"), max_length=200)
    dataset: forms.ModelChoiceField[Dataset] = forms.ModelChoiceField(
        label=_("Dataset"),
        queryset=None,
        help_text=_("Its drafts are put before people. Accepted examples may serve as gold items."),
    )
    mode = forms.ChoiceField(label=_("What people do"), choices=LabelingTask.Mode.choices)
    labels = forms.CharField(
        label=_("Labels, one a line"),
        required=False,
        max_length=10_000,
        widget=forms.Textarea(attrs={"rows": 6, "spellcheck": "false"}),
        help_text=_(
            "Keys are given in order, 1 to 9, then letters. “r: refund” asks for the key r; "
            "e, g, s and u are the page's own."
        ),
    )
    guideline = forms.CharField(
        label=_("Guideline"),
        required=False,
        max_length=50_000,
        widget=forms.Textarea(attrs={"rows": 8}),
        help_text=_("Markdown: # headings, - lists, **strong**, `code`. People open it with g."),
    )
    overlap = forms.IntegerField(
        label=_("People per item"),
        min_value=1,
        max_value=MOST_OVERLAP,
        initial=1,
        help_text=_("From two people on, agreement can be measured."),
    )
    suggester = forms.ChoiceField(label=_("Suggestions by"), required=False)
    uncertain_share = forms.IntegerField(
        label=_("Uncertain, %"), min_value=0, max_value=100, initial=50, required=False
    )
    diverse_share = forms.IntegerField(
        label=_("Diverse, %"), min_value=0, max_value=100, initial=30, required=False
    )
    random_share = forms.IntegerField(
        label=_("Random, %"),
        min_value=LEAST_RANDOM,
        max_value=100,
        initial=20,
        required=False,
        help_text=_("Drawn by chance alone, so that what is measured on them holds for all."),
    )
    gold_count = forms.IntegerField(
        label=_("Gold items"),
        min_value=0,
        max_value=100_000,
        initial=0,
        required=False,
        help_text=_("Accepted examples whose labels are known, mixed in without a mark."),
    )
    gold_share = forms.IntegerField(
        label=_("Gold, per cent of what a person gets"),
        min_value=0,
        max_value=50,
        initial=5,
        required=False,
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["dataset"].queryset = Dataset.objects.order_by("name")  # type: ignore[attr-defined]
        names = [(name, name) for name in choices_of_suggester()]
        self.fields["suggester"].choices = [("", _("Nobody")), *names]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if given.get("mode") != LabelingTask.Mode.REVIEW and "labels" in given:
            try:
                given["labels"] = keyed(
                    [one for one in given["labels"].splitlines() if one.strip()]
                )
            except ApplicationError as error:
                self.add_error("labels", str(error.detail))
        elif "labels" in given:
            given["labels"] = []
        for name in NUMBERS:
            if given.get(name) is None and name in given:
                given[name] = self.fields[name].initial
        return given

    @classmethod
    def of_task(cls, task: LabelingTask, data: Any = None) -> LabelingTaskForm:
        initial: dict[str, Any] = {name: getattr(task, name) for name in (*PLAIN, *NUMBERS)}
        initial["dataset"] = task.dataset_id
        initial["labels"] = "\n".join(f"{one['key']}: {one['name']}" for one in task.labels)
        return cls(data, initial=initial)
