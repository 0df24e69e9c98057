"""Which engine a model is served by, and how it is reached."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import httpx
from django.conf import settings

from .errors import EngineRefusedError

if TYPE_CHECKING:
    from ..models import Checkpoint

    #: What products hand over: a checkpoint, a base model's name, a checkpoint's name (looked up
    #: in the tenant's scope, so that another tenant's is unknown), or a ServedModel.
    Model: TypeAlias = "Checkpoint | str | ServedModel"


@dataclass(frozen=True)
class Engine:
    """An engine's address without a trailing slash or /v1, and the key it asks for."""

    url: str
    key: str = ""


@dataclass(frozen=True)
class ServedModel:
    """A name that the engine of `base` knows, or learns by loading `folder`."""

    name: str
    base: str
    folder: str | None = None
    digest: str | None = None

    @property
    def engine(self) -> Engine:
        return engine_of(self.base)


def engine_of(base: str) -> Engine:
    """The engine that serves a base; EngineRefusedError("base_not_served") where none does."""
    configured = settings.GPT_ENGINES.get(base)
    if configured is None:
        raise EngineRefusedError("base_not_served", base[:200], param="model")
    return _engine(configured)


def embedder_name() -> str:
    """The model that texts are compared by; "" where none is configured."""
    return next(iter(settings.GPT_EMBEDDER), "")


def embedder_engine() -> Engine:
    """Where that model is served; EngineRefusedError("embedder_missing") where there is none."""
    if not settings.GPT_EMBEDDER:
        raise EngineRefusedError("embedder_missing", param="model")
    return _engine(settings.GPT_EMBEDDER[embedder_name()])


def _engine(configured: str | dict[str, str]) -> Engine:
    if isinstance(configured, str):
        # The engine that `make run` starts asks for the key that both read from the settings.
        return Engine(_plain(configured), str(getattr(settings, "ENGINE_KEY", "")))
    return Engine(_plain(configured["url"]), str(configured.get("key", "")))


def served(model: Model) -> ServedModel:
    """Where a model is found. May ask the database, for a checkpoint's name or base."""
    if isinstance(model, ServedModel):
        return model
    if isinstance(model, str):
        if model in settings.GPT_ENGINES:
            return ServedModel(model, model)
        model = _checkpoint_called(model)
    base = model.base_model.name if model.kind == "adapter" else model.name
    if model.kind != "adapter":
        # A full fine-tune is a base of its own: its engine is started with it and loads nothing.
        return ServedModel(model.name, base)
    return ServedModel(model.name, base, model.folder, model.digest)


def _checkpoint_called(name: str) -> Checkpoint:
    from ..models import Checkpoint

    present = Checkpoint.objects.present().select_related("base_model")
    found = present.filter(name=name).first()
    if found is None:
        raise EngineRefusedError("model_unknown", name[:200], param="model")
    return found


def _plain(url: str) -> str:
    """People write the address as OpenAI's clients want it, with /v1, or without."""
    return str(httpx.URL(url)).rstrip("/").removesuffix("/v1")
