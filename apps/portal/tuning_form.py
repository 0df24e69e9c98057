"""What people say when they start a fine-tuning: three choices, and every setting on auto until somebody knows better."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.portal import words
from gpt_core.models import BaseModel
from gpt_core.services.hyperparameters import HYPERPARAMETERS, MAIN_METRICS, METHOD, METHOD_TYPES
from gpt_core.verdict_text import METRIC_NAMES
from labeling.models import DatasetVersion

# OpenAI's name for what the rate itself says better here.
_NOT_HERE = frozenset({"learning_rate_multiplier"})
_CHOICES = {
    "optimizer": ("adamw", "sgd"),
    "schedule": ("cosine", "linear", "constant"),
}
_METHODS = {
    "lora": _("LoRA: a small adapter beside the base model"),
    "rslora": _("Rank-stabilised LoRA: for large ranks"),
    "full": _("Full: every weight; a base model of its own that needs an engine of its own"),
}


class ChoiceForm(forms.Form):
    """What to learn from, what to tune, and which slot it is for."""

    version = forms.UUIDField(error_messages={"required": _("Choose a dataset version.")})
    base = forms.UUIDField(error_messages={"required": _("Choose a base model.")})
    deployment = forms.RegexField(
        regex=r"\A[a-z0-9][a-z0-9-]{0,62}\Z",
        error_messages={
            "required": _("Name the deployment that it is for."),
            "invalid": _("Small letters, digits and hyphens, 63 at most."),
        },
    )

    def clean_version(self) -> DatasetVersion:
        found = DatasetVersion.objects.select_related("dataset")
        version = found.filter(pk=self.cleaned_data["version"]).first()
        if version is None:
            raise forms.ValidationError(_("Choose a dataset version."))
        return version

    def clean_base(self) -> BaseModel:
        base = BaseModel.objects.filter(pk=self.cleaned_data["base"]).first()
        if base is None:
            raise forms.ValidationError(_("Choose a base model."))
        return base


class SettingsForm(forms.Form):
    """The settings; an empty field is "auto". Their bounds are the service's, which says what is wrong."""

    name = forms.CharField(
        label=_("Name"),
        max_length=64,
        required=False,
        help_text=_("For the list of jobs; without one it has its number."),
    )
    method = forms.ChoiceField(
        label=_("Method"), choices=[(one, _METHODS[one]) for one in METHOD_TYPES], required=False
    )
    main_metric = forms.ChoiceField(
        label=_("The metric that decides"),
        choices=[(one, METRIC_NAMES.get(one, _("auto"))) for one in MAIN_METRICS],
        required=False,
    )
    precision = forms.ChoiceField(
        label=_("Precision"),
        choices=[("auto", _("auto")), ("float32", "float32"), ("bfloat16", "bfloat16")],
        required=False,
    )
    seed = forms.IntegerField(
        label=_("Seed"), required=False, help_text=_("0 unless you want another order of examples.")
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in (*METHOD, *HYPERPARAMETERS):
            if name not in _NOT_HERE:
                self.fields[name] = _field(name)

    def settings(self) -> dict[str, Any]:
        """As the service wants them."""
        said = self.cleaned_data
        kind = said["method"] or "lora"
        method = {"type": kind}
        if kind != "full":
            method |= {name: said[name] for name in METHOD}
        return {
            "suffix": said["name"],
            "method": method,
            "hyperparameters": {
                name: "auto" if said[name] == "" else said[name]
                for name in HYPERPARAMETERS
                if name not in _NOT_HERE
            },
            "main_metric": said["main_metric"] or "auto",
            "precision": said["precision"] or "auto",
            "seed": said["seed"] or 0,
        }

    def refuse(self, field: str | None, why: str) -> None:
        """The service's complaint at the field that it names, else above them all."""
        name = (field or "").rpartition(".")[2]
        name = {"type": "method", "suffix": "name"}.get(name, name)
        self.add_error(name if name in self.fields else None, why)

    @property
    def was_changed(self) -> bool:
        """Somebody set something by hand, or it is wrong: the folded part is to be open."""
        return bool(self.errors) or (self.is_bound and bool(set(self.changed_data) - {"name"}))

    @property
    def plain(self) -> list[forms.BoundField]:
        return [self[name] for name in ("name",)]

    @property
    def advanced(self) -> list[forms.BoundField]:
        return [self[name] for name in self.fields if name != "name"]


class _AutoField(forms.CharField):
    """A number, a word, or nothing at all for auto."""

    def clean(self, value: Any) -> Any:
        text = str(super().clean(value)).strip()
        if not text or text == "auto":
            return "auto"
        for kind in (int, float):
            try:
                return kind(text)
            except ValueError:
                continue
        return text


def _field(name: str) -> forms.Field:
    label = words.parameter_name(name)
    if name in _CHOICES:
        choices = [("auto", _("auto")), *((one, one) for one in _CHOICES[name])]
        return forms.ChoiceField(label=label, choices=choices, required=False)
    return _AutoField(
        label=label,
        max_length=20,
        required=False,
        widget=forms.TextInput(attrs={"placeholder": _("auto"), "autocomplete": "off"}),
    )
