"""The decoder computes what transformers computes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from gpt_core.engine.bases import Base, load_model
from gpt_core.engine.errors import EngineError
from gpt_core.engine.serving.attention import KeyValueStore, Scratch, Segment, causal_mask
from gpt_core.engine.serving.decoder import Decoder, Step
from gpt_core.engine.serving.engine import Model, Options
from tests.tiny import ARCHITECTURES

from .bench import Bench, random_adapter

BaseOf = Callable[[str], Base]


def served_logits(
    base: Base, ids: torch.Tensor, *, dtype: str = "float32", read: int = 60
) -> torch.Tensor:
    """Logits (tokens, vocabulary): the first `read` tokens in two chunks, the rest one by one in two rows."""
    decoder = Model.load(Options(base=base.folder, dtype=dtype, context=256)).decoder
    slabs, found = decoder.make_slabs(1), []
    scratch = Scratch(decoder.shape, read)
    for start, end in ((0, 25), (25, read)):
        mask = causal_mask(end - start, start, decoder.dtype)
        segment = Segment(scratch, start, end - start, mask)
        positions = torch.arange(start, end)
        step = Step(
            ids[start:end],
            positions,
            [],
            slabs.step([]),
            [(segment, None)],
            torch.arange(end - start),
        )
        found.append(decoder.forward(step, slabs))
    rows = KeyValueStore(decoder.shape, rows=4, context=256)
    both = [rows.admit(scratch, read), rows.admit(scratch, read)]
    for place in range(read, len(ids)):
        for row in both:
            rows.ensure_room(row)
        here = torch.tensor([place, place])
        mix = slabs.step([None, None])
        step = Step(ids[here], here, rows.steps(), mix, [], torch.arange(2), rows=2)
        found.append(decoder.forward(step, slabs)[1:])
        for row in both:
            row.length += 1
    return torch.cat(found)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@torch.inference_mode()
def test_the_logits_equal_those_of_transformers(architecture: str, base_of: BaseOf) -> None:
    base = base_of(architecture)
    ids = torch.randint(3, 300, (150,), generator=torch.Generator().manual_seed(1))
    expected = load_model(base, torch.float32)(ids[None]).logits[0]
    torch.testing.assert_close(served_logits(base, ids), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@torch.inference_mode()
def test_an_adapter_adds_what_merged_weights_would(architecture: str, base_of: BaseOf) -> None:
    base = base_of(architecture)
    bench = Bench(base)
    tensors = random_adapter(base, 3)
    adapter = bench.adapter(tensors, scaling=0.5)
    heard = bench.alone("When do you open? 退货", adapter=adapter)
    model = load_model(base, torch.float32)
    for module, (a, b) in tensors.items():
        change = 0.5 * (b @ a)
        weight = model.get_parameter(f"{module}.weight")
        weight.add_(change.T if base.architecture == "gpt2" else change)
    assert heard.tokens == greedy(model, bench.model.encoder.text_ids("When do you open? 退货"), 12)
    assert heard.tokens != bench.alone("When do you open? 退货").tokens


def greedy(model: torch.nn.Module, ids: list[int], count: int) -> list[int]:
    """`count` tokens by transformers, most likely first."""
    written = list(ids)
    for _ in range(count):
        written.append(int(model(torch.tensor([written])).logits[0, -1].argmax()))
    return written[len(ids) :]


@torch.inference_mode()
def test_bfloat16_stays_close_to_float32(llama: Base) -> None:
    ids = torch.randint(3, 300, (90,), generator=torch.Generator().manual_seed(2))
    exact = served_logits(llama, ids)
    rounded = served_logits(llama, ids, dtype="bfloat16").float()
    assert (rounded - exact).abs().max() < 0.05


@torch.inference_mode()
def test_eight_bit_weights_for_one_row_stay_close(llama: Base) -> None:
    options = Options(base=llama.folder, dtype="bfloat16", weights="int8", context=256)
    decoder = Model.load(options).decoder
    slabs = decoder.make_slabs(1)
    scratch = Scratch(decoder.shape, 1)
    segment = Segment(scratch, 0, 1, causal_mask(1, 0, decoder.dtype))
    step = Step(
        torch.tensor([7]),
        torch.tensor([0]),
        [],
        slabs.step([]),
        [(segment, None)],
        torch.tensor([0]),
    )
    exact = load_model(llama, torch.float32)(torch.tensor([[7]])).logits[0]
    assert (decoder.forward(step, slabs).float() - exact).abs().max() < 0.05


def test_an_unknown_architecture_is_refused() -> None:
    class Config:
        model_type = "mamba"

    with pytest.raises(EngineError) as refusal:
        Decoder(Config(), {}, dtype=torch.float32, context=64)
    assert refusal.value.code == "base_unsupported"


def test_the_context_never_exceeds_what_the_model_was_made_for(llama: Base) -> None:
    model = Model.load(Options(base=llama.folder, dtype="float32", context=100_000, verify=False))
    assert model.decoder.context == 256
