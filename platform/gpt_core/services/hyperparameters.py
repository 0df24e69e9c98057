"""What a job may be asked to do: every setting with its bounds, "auto" where nobody chose."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _

from common.errors import ApplicationError

AUTO = "auto"
Check = Callable[[Any], bool]


def _whole(least: int, most: int) -> Check:
    return lambda value: type(value) is int and least <= value <= most


def _number(least: float, most: float) -> Check:
    def check(value: Any) -> bool:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and math.isfinite(value) and least <= value <= most

    return check


def _one_of(*choices: str) -> Check:
    return lambda value: isinstance(value, str) and value in choices


# name: (what it must be, what it must be in words)
HYPERPARAMETERS: Mapping[str, tuple[Check, Any]] = {
    "optimizer": (_one_of("adamw", "sgd"), _("adamw or sgd")),
    "learning_rate": (_number(1e-8, 1.0), _("a number from 0.00000001 to 1")),
    "learning_rate_multiplier": (_number(0.001, 100), _("a number from 0.001 to 100")),
    "warmup": (_number(0, 100_000), _("a share below 1 or a number of steps up to 100000")),
    "schedule": (_one_of("cosine", "linear", "constant"), _("cosine, linear or constant")),
    "batch_size": (_whole(1, 1024), _("a whole number from 1 to 1024")),
    "gradient_accumulation": (_whole(1, 1024), _("a whole number from 1 to 1024")),
    "epochs": (_number(0.01, 100), _("a number from 0.01 to 100")),
    "weight_decay": (_number(0, 1), _("a number from 0 to 1")),
    "label_smoothing": (_number(0, 0.5), _("a number from 0 to 0.5")),
    "max_grad_norm": (_number(0, 1000), _("a number from 0 to 1000")),
    "max_length": (_whole(8, 1_048_576), _("a whole number from 8 to 1048576")),
    "validation_every": (_whole(1, 1_000_000), _("a whole number from 1 to 1000000")),
    "patience": (_whole(0, 10_000), _("a whole number from 0, for none, to 10000")),
}
METHOD: Mapping[str, tuple[Check, Any]] = {
    "rank": (_whole(1, 256), _("a whole number from 1 to 256")),
    "alpha": (_number(0.01, 4096), _("a number from 0.01 to 4096")),
    "dropout": (_number(0, 0.9), _("a number from 0 to 0.9")),
}
METHOD_TYPES = ("lora", "rslora", "full")
MAIN_METRICS = (
    "auto", "loss", "token_accuracy", "rouge_l", "chrf", "exact_match", "label_accuracy",
    "label_macro_f1",
)  # fmt: skip


def resolve_hyperparameters(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Every hyperparameter, as asked or "auto". Raises ApplicationError naming the field."""
    found = _resolve(given, HYPERPARAMETERS, "hyperparameters")
    if AUTO not in (found["learning_rate"], found["learning_rate_multiplier"]):
        raise invalid(
            "hyperparameters.learning_rate_multiplier",
            _("absent where the learning rate itself is given"),
        )
    return found


def resolve_method(given: Mapping[str, Any] | str | None) -> dict[str, Any]:
    """The method with its settings; its name alone stands for all on "auto"."""
    asked: Any = {"type": given} if isinstance(given, str) else given or {}
    if not isinstance(asked, Mapping):
        raise invalid("method", _("an object such as {“type”: “lora”}"))
    kind = asked.get("type", "lora")
    if kind not in METHOD_TYPES:
        raise invalid("method.type", _("lora, rslora or full"))
    rest = {name: value for name, value in asked.items() if name != "type"}
    if kind == "full":
        if rest:
            raise invalid(f"method.{min(rest)}", _("absent: a full fine-tuning has no adapter"))
        return {"type": kind}
    return {"type": kind} | _resolve(rest, METHOD, "method")


def invalid(field: str, expected: Any) -> ApplicationError:
    return ApplicationError(
        "invalid_parameter",
        _("“%(field)s” must be %(expected)s.") % {"field": field, "expected": expected},
        field=field,
    )


def _resolve(
    given: Mapping[str, Any] | None, known: Mapping[str, tuple[Check, Any]], where: str
) -> dict[str, Any]:
    if given is not None and not isinstance(given, Mapping):
        raise invalid(where, _("an object"))
    given = given or {}
    for name in given:
        if name not in known:
            raise ApplicationError(
                "unknown_parameter",
                _("There is no parameter “%(name)s”. Known are: %(known)s.")
                % {"name": str(name)[:80], "known": ", ".join(known)},
                field=f"{where}.{str(name)[:80]}",
            )
    resolved = {}
    for name, (check, expected) in known.items():
        value = given.get(name, AUTO)
        if value is None:
            value = AUTO
        if value != AUTO and not check(value):
            raise invalid(f"{where}.{name}", expected)
        resolved[name] = value
    return resolved
