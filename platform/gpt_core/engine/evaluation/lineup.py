"""Who stands against whom: the base, the candidate and the champion, opened and checked.

Adapters of one base share its weights and go through one batch. A full fine-tune is a base of its
own and is loaded after the others have gone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..bases import Base, load_model, load_tokenizer, open_base
from ..checkpoint import Adapter, load_adapter, open_checkpoint
from ..errors import EngineError
from ..formats import RowEncoder
from .mixture import Mixture

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# Below this a bfloat16 model is no faster, and rounding is all that is gained.
_SMALL = 10_000_000


@dataclass(frozen=True)
class Lineup:
    """The models that one loaded base carries: name -> its adapter, None for the base as it is."""

    base: Base
    members: Mapping[str, Adapter | None]

    @contextmanager
    def opened(self) -> Iterator[tuple[Mixture, RowEncoder, set[int]]]:
        """The loaded models, what turns rows into tokens, and the ids that end an answer."""
        model: Any = load_model(self.base, dtype_for(self.base))
        if torch.cuda.is_available():
            model = model.to("cuda")
        tokenizer = load_tokenizer(self.base)
        adapters = {name: adapter for name, adapter in self.members.items() if adapter}
        mixture = Mixture(model, adapters)
        try:
            yield mixture, RowEncoder(tokenizer), end_ids(model, tokenizer.eos_token_id)
        finally:
            mixture.release()

    def owner(self, name: str) -> str | None:
        """What `Mixture` calls a member."""
        return name if self.members[name] is not None else None


def line_up(
    base_folder: Path, candidate: Path, champion: Path | None
) -> tuple[list[Lineup], dict[str, str]]:
    """The lineups to load one after the other, and the checkpoints' names.

    Raises EngineError of opening: checkpoint_..., base_...; a champion trained on another base
    is "checkpoint_base": losses of two vocabularies do not compare.
    """
    base = open_base(base_folder)
    shared: dict[str, Adapter | None] = {"base": None}
    alone: list[Lineup] = []
    names = {"base": base.name}
    for role, folder in (("candidate", candidate), ("champion", champion)):
        if folder is None:
            continue
        checkpoint = open_checkpoint(folder)
        names[role] = checkpoint.name
        if checkpoint.manifest["kind"] == "adapter":
            shared[role] = load_adapter(checkpoint, base)
            continue
        if checkpoint.manifest["base"].get("digest") != base.digest:
            raise EngineError("checkpoint_base", f"{checkpoint.name} was made from another base")
        alone.append(Lineup(open_base(checkpoint.folder, verify=False), {role: None}))
    return [Lineup(base, shared), *alone], names


def dtype_for(base: Base) -> torch.dtype:
    """bfloat16 where the machine multiplies it faster than float32."""
    if base.parameters < _SMALL:
        return torch.float32
    if torch.cuda.is_available():
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if fast else torch.float32


def end_ids(model: PreTrainedModel, end_of_turn: int | None) -> set[int]:
    """The end of a turn as the tokenizer has it, and whatever else the model's own settings end
    generation with."""
    settings = getattr(model, "generation_config", None)
    said = getattr(settings, "eos_token_id", None)
    more = said if isinstance(said, list) else [said]
    return {int(id_) for id_ in (end_of_turn, *more) if id_ is not None}
