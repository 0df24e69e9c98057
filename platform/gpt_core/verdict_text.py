"""The gate's verdict in words. English here; the translations live in the locale folders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.utils.formats import number_format
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from .gate import Reason, Verdict

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

METRIC_NAMES: dict[str, StrPromise] = {
    "loss": _("loss"),
    "perplexity": _("perplexity"),
    "token_accuracy": _("token accuracy"),
    "rouge_l": _("ROUGE-L"),
    "chrf": _("chrF"),
    "exact_match": _("exact match"),
    "label_accuracy": _("label accuracy"),
    "label_macro_f1": _("label macro-F1"),
    "distinct_1": _("different words"),
    "distinct_2": _("different word pairs"),
    "repetition": _("repetition"),
    "overlong_share": _("answers that do not end"),
    "empty_share": _("empty answers"),
    "copied_share": _("copied from the training examples"),
}

MODEL_NAMES: dict[str, StrPromise] = {
    "base": _("the base model"),
    "candidate": _("the new checkpoint"),
    "champion": _("the checkpoint that serves now"),
}

SLICE_NAMES: dict[str, StrPromise] = {
    "label": _("label"),
    "length": _("length of the answer"),
    "language": _("language"),
}

SLICE_VALUES: dict[tuple[str, str], StrPromise] = {
    ("length", "short"): pgettext_lazy("length of an answer", "short"),
    ("length", "medium"): pgettext_lazy("length of an answer", "medium"),
    ("length", "long"): pgettext_lazy("length of an answer", "long"),
    ("language", "zh"): _("Chinese"),
    ("language", "ja"): _("Japanese"),
    ("language", "ko"): _("Korean"),
    ("language", "latin"): _("Latin script"),
    ("language", "cyrillic"): _("Cyrillic script"),
    ("language", "arabic"): _("Arabic script"),
    ("language", "other"): _("other"),
}

_SENTENCES: dict[str, StrPromise] = {
    "enough_rows": _("%(n)s held-out examples were measured; at least %(minimum)s are needed."),
    "too_few_rows": _(
        "Only %(n)s held-out examples were measured; at least %(minimum)s are needed, "
        "since with fewer a good result may be luck."
    ),
    "better_than_base": _(
        "Better than the base model: %(metric)s %(candidate)s against %(base)s "
        "(difference %(mean)s, with 95%% certainty between %(low)s and %(high)s)."
    ),
    "not_surely_better_than_base": _(
        "Not surely better than the base model: %(metric)s %(candidate)s against %(base)s; "
        "the difference may be anything between %(low)s and %(high)s."
    ),
    "worse_than_base": _(
        "Worse than the base model: %(metric)s %(candidate)s against %(base)s "
        "(difference between %(low)s and %(high)s)."
    ),
    "no_champion": _("Nothing serves here yet, so there is no checkpoint to compare with."),
    "better_than_champion": _(
        "Better than the checkpoint that serves now: %(metric)s %(candidate)s against "
        "%(champion)s (difference between %(low)s and %(high)s)."
    ),
    "as_good_as_champion": _(
        "Not worse than the checkpoint that serves now: %(metric)s %(candidate)s against "
        "%(champion)s (difference between %(low)s and %(high)s; %(tolerance)s is tolerated)."
    ),
    "perhaps_worse_than_champion": _(
        "Perhaps worse than the checkpoint that serves now: %(metric)s %(candidate)s against "
        "%(champion)s; the difference may be anything between %(low)s and %(high)s, and only "
        "%(tolerance)s is tolerated."
    ),
    "worse_than_champion": _(
        "Worse than the checkpoint that serves now: %(metric)s %(candidate)s against %(champion)s."
    ),
    "guard_held": _(
        "Nothing against it in “%(metric)s”: %(candidate)s (limit %(limit)s, or what there is now)."
    ),
    "guard_collapsed": _(
        "Too much of “%(metric)s”: %(candidate)s, where %(limit)s is the limit and "
        "%(standing_name)s has %(standing)s."
    ),
    "slice_worse": _(
        "Look here: among the examples with %(slice)s “%(value)s”, %(metric)s is %(candidate)s "
        "against %(standing)s of %(standing_name)s."
    ),
    "figures_missing": _(
        "“%(metric)s” could not be compared with %(standing_name)s, and what was not measured "
        "cannot be called good."
    ),
    "main_metric_unusable": _("“%(metric)s” was not measured or has no better direction."),
}

_PASSED = _("The gate is open: this checkpoint may be promoted.")
_REFUSED = _("The gate is closed: this checkpoint should not be promoted.")


def sentence(reason: Reason) -> str:
    """A reason in the active language; a code of a later version is shown as it is."""
    template = _SENTENCES.get(reason.code)
    if template is None:
        return reason.code
    return str(template) % _Words(reason.figures)


def summary(verdict: Verdict) -> str:
    """The verdict in one sentence, in the active language."""
    return str(_PASSED if verdict.passed else _REFUSED)


def metric_name(name: str) -> str:
    """A metric as a page names it."""
    return str(METRIC_NAMES.get(name, name))


class _Words(dict[str, str]):
    """A reason's figures as words and numbers of the active language."""

    def __init__(self, figures: Mapping[str, Any]) -> None:
        super().__init__({name: _written(value) for name, value in figures.items()})
        if "metric" in figures:
            self["metric"] = metric_name(str(figures["metric"]))
        if "slice" in figures:
            kind, value = str(figures["slice"]), str(figures.get("value", ""))
            self["slice"] = str(SLICE_NAMES.get(kind, kind))
            self["value"] = str(SLICE_VALUES.get((kind, value), value))
        standing = str(figures.get("against", "base"))
        self["standing_name"] = str(MODEL_NAMES.get(standing, standing))
        self["standing"] = _written(figures.get(standing, "–"))

    def __missing__(self, name: str) -> str:
        # A report of another version lacks a figure: the sentence still stands.
        return "–"


def _written(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int):
        return str(number_format(value))
    # Three decimals tell losses apart; chrF and perplexity, in tens and hundreds, need one.
    return str(number_format(value, decimal_pos=3 if abs(value) < 10 else 1))
