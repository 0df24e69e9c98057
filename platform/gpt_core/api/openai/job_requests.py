"""What a caller asks for when creating a job, field by field; what is not supported is named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.utils.translation import gettext as _

from common.errors import ApplicationError
from labeling.models import StoredFile

from ...models import BaseModel
from ...services.hyperparameters import HYPERPARAMETERS, METHOD
from . import errors, ids
from .base import checked_fields
from .names import base_called, model_called

FIELDS = (
    "model", "training_file", "validation_file", "suffix", "seed", "method", "hyperparameters",
    "metadata", "integrations",
)  # fmt: skip
ESTIMATE_FIELDS = ("model", "training_file", "validation_file", "method", "hyperparameters")
MOST_PAIRS, MOST_KEY, MOST_VALUE = 16, 64, 512
_OTHER_METHODS = ("dpo", "reinforcement")


class Settings:
    """The method and its hyperparameters, and where in the body each was given."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.where = "hyperparameters"
        found = _object(given.get("hyperparameters"), "hyperparameters")
        method = _object(given.get("method"), "method")
        if method:
            nested = _supervised(method)
            if nested:
                if found:
                    raise errors.wrong("hyperparameters", _("absent where “method” has them"))
                self.where, found = "method.supervised.hyperparameters", dict(nested)
        names = {"n_epochs", "lora", *HYPERPARAMETERS} - {"epochs"}
        for name in found:
            if name not in names:
                raise errors.unknown(f"{self.where}.{name}")
        self.method = _lora(found.get("lora"), self.where)
        self.hyperparameters = {
            "epochs" if name == "n_epochs" else name: value
            for name, value in found.items()
            if name != "lora"
        }

    @contextmanager
    def renamed(self) -> Iterator[None]:
        """Errors of the services name the field as the caller wrote it."""
        try:
            yield
        except ApplicationError as error:
            section, _dot, name = (error.field or "").partition(".")
            if section == "hyperparameters":
                error.field = f"{self.where}.{'n_epochs' if name == 'epochs' else name}"
            elif section == "method":
                error.field = f"{self.where}.lora.{name}"
            if error.field and name:
                error.detail = str(error.detail).replace(f"{section}.{name}", error.field)
            raise


def read(given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of services.start_from_files but for the settings."""
    if given.get("integrations", []) != []:
        raise errors.unsupported(
            "integrations", _("The machines that train reach nothing outside.")
        )
    suffix = given.get("suffix", "")
    if not isinstance(suffix, str) or "\x00" in suffix:
        raise errors.wrong("suffix", _("a text of at most 64 characters"))
    validation = given.get("validation_file")
    return {
        "base_model": _base(given["model"]),
        "training_file": stored_file(given["training_file"], "training_file"),
        "validation_file": (
            stored_file(validation, "validation_file") if validation is not None else None
        ),
        "suffix": suffix,
        "seed": given.get("seed"),
        "metadata": _metadata(given.get("metadata")),
    }


def stored_file(value: Any, field: str) -> StoredFile:
    if not isinstance(value, str):
        raise errors.wrong(field, _("the id of a file"))
    files = StoredFile.objects.present().filter(purpose=StoredFile.Purpose.FINE_TUNE)
    return ids.named(files, ids.FILE, value, field)


def _base(name: Any) -> BaseModel:
    if not isinstance(name, str):
        raise errors.wrong("model", _("the name of a base model"))
    try:
        return base_called(name)
    except errors.UnknownModelError:
        model_called(name)  # raises as well where it is no model at all
    raise errors.unsupported("model", _("Only a base model can be fine-tuned."))


def _supervised(method: Mapping[str, Any]) -> Mapping[str, Any]:
    kind = method.get("type")
    if kind in _OTHER_METHODS:
        raise errors.unsupported("method.type", _("Use “supervised”."))
    if kind != "supervised":
        raise errors.wrong("method.type", "supervised")
    for name in method:
        if name in _OTHER_METHODS and method[name] is not None:
            raise errors.unsupported(f"method.{name}")
        if name not in ("type", "supervised", *_OTHER_METHODS):
            raise errors.unknown(f"method.{name}")
    supervised = _object(method.get("supervised"), "method.supervised")
    for name in supervised:
        if name != "hyperparameters":
            raise errors.unknown(f"method.supervised.{name}")
    return _object(supervised.get("hyperparameters"), "method.supervised.hyperparameters")


def _lora(value: Any, where: str) -> dict[str, Any]:
    found = _object(value, f"{where}.lora")
    for name in found:
        if name not in ("type", *METHOD):
            raise errors.unknown(f"{where}.lora.{name}")
    return {"type": "lora", **found}


def _metadata(value: Any) -> dict[str, str]:
    found = _object(value, "metadata")
    if len(found) > MOST_PAIRS:
        raise errors.wrong("metadata", _("at most %(most)d pairs") % {"most": MOST_PAIRS})
    for name, text in found.items():
        if not 1 <= len(name) <= MOST_KEY:
            raise errors.wrong(
                "metadata", _("keys of 1 to %(most)d characters") % {"most": MOST_KEY}
            )
        if not isinstance(text, str) or len(text) > MOST_VALUE:
            raise errors.wrong(
                f"metadata.{name}",
                _("a text of at most %(most)d characters") % {"most": MOST_VALUE},
            )
    return found


def _object(value: Any, field: str) -> dict[str, Any]:
    """null and absent are the same, in the object as well."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise errors.wrong(field, _("an object"))
    return checked_fields(value, value)
