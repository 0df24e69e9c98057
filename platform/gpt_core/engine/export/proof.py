"""The proof: what was exported, read anew by another program's code, answers like the checkpoint.

Both write greedy answers to the same prompts, with the chat template and the end of the turn, in float32
arithmetic. Rounding the weights once may turn an answer where two words were as good as equally likely; such
a near tie is counted, everything else ends the export.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..bases import load_model, load_tokenizer
from ..bases.opening import quiet_transformers, read_model, read_tokenizer
from ..checkpoint import read_adapter
from ..errors import EngineError
from ..evaluation.generation import Answer, Question, answers
from ..evaluation.lineup import end_ids
from ..evaluation.mixture import Mixture
from ..formats import RowEncoder
from .prompts import PROMPTS
from .source import Source

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

MOST_TOKENS = 32
#: How far apart the logits may lie, as a share of their own spread (root mean square over standard
#: deviation): some ten times what rounding was measured to do, a hundredth of what a fault does.
FARTHEST = {"float32": 0.001, "float16": 0.02, "bfloat16": 0.1}
#: A word was as good as equally likely where its lead is within what rounding does, so many times over.
NEAR_TIE = 6.0


@dataclass(frozen=True)
class Reading:
    """A model with its tokenizer as somebody else's code read them."""

    reader: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase


@dataclass(frozen=True)
class Testimony:
    """What one model said: prompts, greedy answers, and the logits along the checkpoint's answers."""

    prompts: list[list[int]]
    ends: set[int]
    answers: list[Answer]


def prompts_of(tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    encoder = RowEncoder(tokenizer)
    return [encoder.prompt({"messages": messages}) for messages in PROMPTS]


@torch.inference_mode()
def witness(
    mixture: Mixture,
    owner: str | None,
    tokenizer: PreTrainedTokenizerBase,
    report: Callable[[float], None] = lambda _: None,
) -> Testimony:
    """The greedy answers of a model to the fixed prompts."""
    prompts = prompts_of(tokenizer)
    ends = end_ids(mixture.model, tokenizer.eos_token_id)
    done = [0]

    def hear(tokens: int) -> None:
        done[0] += tokens
        report(min(1.0, done[0] / (MOST_TOKENS * len(prompts))))

    questions = [Question(owner, ids) for ids in prompts]
    found = answers(mixture, questions, cap=MOST_TOKENS, ends=ends, on_tokens=hear)
    return Testimony(prompts, ends, found)


@torch.inference_mode()
def logits_along(mixture: Mixture, owner: str | None, said: Testimony) -> list[torch.Tensor]:
    """[answer tokens + 1, words] for every prompt: what is thought at each step of these answers."""
    found = []
    for prompt, answer in zip(said.prompts, said.answers, strict=True):
        mixture.choose([owner])
        ids = torch.tensor([prompt + answer.ids])
        kept = len(answer.ids) + 1
        found.append(mixture.model(input_ids=ids, logits_to_keep=kept).logits[0].float())
    return found


@torch.inference_mode()
def prove(
    source: Source,
    read: Callable[[], Reading],
    precision: str,
    report: Callable[[float], None] = lambda _: None,
) -> dict[str, Any]:
    """The proof's figures. Raises EngineError: export_tokenizer_differs, export_end_differs,
    export_logits_differ, export_answers_differ."""
    with source.answering() as (mixture, owner):
        own = witness(mixture, owner, load_tokenizer(source.base), lambda share: report(share / 2))
        expected = logits_along(mixture, owner, own)
    del mixture
    reading = read()
    theirs = Mixture(reading.model, {})
    other = witness(theirs, None, reading.tokenizer, lambda share: report(0.5 + share / 2))
    if other.prompts != own.prompts:
        raise EngineError("export_tokenizer_differs", f"{reading.reader} reads other tokens")
    if other.ends != own.ends:
        raise EngineError("export_end_differs", f"{sorted(other.ends)} end, not {sorted(own.ends)}")
    found = logits_along(theirs, None, own)
    figures = _apart(expected, found)
    same, ties = _compare(own.answers, other.answers, expected, figures["rms_difference"])
    proof = {
        "reader": reading.reader,
        "prompts": len(own.prompts),
        "tokens": sum(len(answer.ids) + 1 for answer in own.answers),
        "same_answers": same,
        "near_ties": ties,
        **figures,
    }
    if not figures["share_of_spread"] <= FARTHEST[precision]:
        raise EngineError("export_logits_differ", str(proof))
    if same + ties < len(own.prompts):
        raise EngineError("export_answers_differ", str(proof))
    return proof


def _apart(expected: Sequence[torch.Tensor], found: Sequence[torch.Tensor]) -> dict[str, float]:
    """How far the logits lie apart, and how wide they spread themselves."""
    most, squares, spread, count = 0.0, 0.0, 0.0, 0
    for one, other in zip(expected, found, strict=True):
        if one.shape != other.shape:
            raise EngineError("export_logits_differ", f"{tuple(one.shape)}, {tuple(other.shape)}")
        difference = (one - other).double()
        most = max(most, float(difference.abs().max()))
        squares += float(difference.square().sum())
        spread += float((one.double() - one.double().mean(-1, keepdim=True)).square().sum())
        count += one.numel()
    rms, wide = math.sqrt(squares / count), math.sqrt(spread / count)
    return {
        "max_difference": most,
        "rms_difference": rms,
        "share_of_spread": rms / wide if wide else math.inf,
    }


def _compare(
    own: Sequence[Answer],
    other: Sequence[Answer],
    expected: Sequence[torch.Tensor],
    rms: float,
) -> tuple[int, int]:
    """(answers that are the same, answers that part at a near tie)."""
    same = ties = 0
    for mine, theirs, logits in zip(own, other, expected, strict=True):
        if mine == theirs:
            same += 1
            continue
        pairs = zip(mine.ids, theirs.ids, strict=False)
        at = next((n for n, (a, b) in enumerate(pairs) if a != b), None)
        if at is None:
            at = min(len(mine.ids), len(theirs.ids))
        best, second = logits[at].topk(2).values.tolist()
        ties += best - second <= NEAR_TIE * rms
    return same, ties


# --- Reading what was exported ---------------------------------------------------------------------


def read_merged(folder: Path) -> Reading:
    import transformers

    return Reading(
        f"transformers {transformers.__version__}",
        read_model(folder, torch.float32).eval(),
        read_tokenizer(folder),
    )


def read_gguf(path: Path) -> Reading:
    """By transformers, which reads the tokenizer, the template and the settings from the file alone."""
    import gguf
    import transformers
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    where: dict[str, Any] = {"gguf_file": path.name, "local_files_only": True}
    with quiet_transformers():
        try:
            config = AutoConfig.from_pretrained(str(path.parent), **where)
            # It overlooks that heads may have a size of their own, which the file says.
            fields = gguf.GGUFReader(path).fields
            architecture = fields["general.architecture"].contents()
            config.head_dim = int(fields[f"{architecture}.attention.key_length"].contents())
            model = AutoModelForCausalLM.from_pretrained(
                str(path.parent), config=config, dtype=torch.float32, **where
            )
            tokenizer = AutoTokenizer.from_pretrained(str(path.parent), **where)
        except Exception as error:  # whatever a file that is not as it should be makes it raise
            raise EngineError("export_unreadable", str(error)[:500]) from error
    return Reading(f"transformers {transformers.__version__}", model.eval(), tokenizer)


def read_adapter_folder(folder: Path, source: Source) -> Reading:
    """By PEFT where it is installed; else by our own reader, into the base's own layers."""
    model: Any = load_model(source.base, torch.float32)
    tokenizer = load_tokenizer(source.base)
    if importlib.util.find_spec("peft"):
        import peft

        model = peft.PeftModel.from_pretrained(model, str(folder)).merge_and_unload()
        return Reading(f"peft {peft.__version__}", model.eval(), tokenizer)
    adapter = read_adapter(folder, source.base, name="", digest="")
    for path, (a, b) in adapter.tensors.items():
        weight = model.get_submodule(path).weight
        change = b.float() @ a.float() * adapter.scaling
        weight.add_(change.T if source.base.architecture == "gpt2" else change)
    return Reading("parley", model, tokenizer)
