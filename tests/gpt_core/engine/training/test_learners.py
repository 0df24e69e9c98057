"""Two ways to compute the same gradient: by hand on packed rows, by autograd on padded ones."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from gpt_core.engine.bases import Base, load_model, load_tokenizer
from gpt_core.engine.training.lora import LoraShape, key_a, key_b
from gpt_core.engine.training.loss import Sums, score, score_with_gradient
from gpt_core.engine.training.packed import PackedLearner, can_pack
from gpt_core.engine.training.packing import shared_beginning
from gpt_core.engine.training.padded import PaddedLearner
from gpt_core.engine.training.rows import Example, example_of

CPU = torch.device("cpu")
TEXTS = (
    ("When do you open?", "We open at nine."),
    ("退货", "退货需要多久？三到五天。"),
    ("How do I reset the router? Hold", "Yes.\nHold the button for ten seconds, please."),
    ("hi", "ok"),
)
PACKED = ("llama", "mistral", "qwen2", "qwen3")


def examples_for(base: Base) -> list[Example]:
    tokenizer = load_tokenizer(base)
    return [example_of({"prompt": q, "completion": a}, tokenizer, 200) for q, a in TEXTS]


def learner_of(
    kind: type[PackedLearner] | type[PaddedLearner],
    base: Base,
    dtype: torch.dtype = torch.float32,
    dropout: float = 0.0,
) -> PackedLearner | PaddedLearner:
    model = load_model(base, dtype)
    generator = torch.Generator().manual_seed(3)
    for parameter in model.parameters():
        # Fresh models have biases of nothing and norms of one, which would hide mistakes.
        if parameter.ndim == 1:
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.data.add_(0.3 * noise.to(dtype))
    lora = LoraShape(3, 6.0, False, dropout)
    learner = kind(model, base, lora, dtype=dtype, device=CPU, seed=1)
    for name in sorted(learner.weights.slots):
        master = learner.weights.master_of(name)
        master.copy_(0.1 * torch.randn(master.shape, generator=generator))
    learner.weights.refresh()
    learner.refresh()
    return learner


def gradients(learner: PackedLearner | PaddedLearner) -> dict[str, torch.Tensor]:
    return {name: learner.weights.grad_of(name).clone() for name in learner.weights.slots}


@pytest.mark.parametrize("architecture", PACKED)
def test_by_hand_and_by_autograd_agree(base_of: Callable[[str], Base], architecture: str) -> None:
    base = base_of(architecture)
    examples = examples_for(base)
    packed, padded = learner_of(PackedLearner, base), learner_of(PaddedLearner, base)
    ours = packed.accumulate(examples, scale=0.1, smoothing=0.1, seed=0)
    theirs = padded.accumulate(examples, scale=0.1, smoothing=0.1, seed=0)
    assert ours.loss == pytest.approx(theirs.loss, rel=1e-5)
    assert (ours.tokens, ours.correct) == (theirs.tokens, theirs.correct)
    wanted = gradients(padded)
    for name, gradient in gradients(packed).items():
        assert torch.allclose(gradient, wanted[name], atol=2e-6), name
    assert packed.evaluate(examples).loss == pytest.approx(ours.loss, rel=1e-5)


@pytest.mark.parametrize("architecture", PACKED)
def test_rows_together_teach_what_rows_alone_teach(
    base_of: Callable[[str], Base], architecture: str
) -> None:
    """Packing, padding in attention and the shared beginning change nothing."""
    base = base_of(architecture)
    examples = examples_for(base)
    assert shared_beginning(examples) > 5
    together, alone = learner_of(PackedLearner, base), learner_of(PackedLearner, base)
    sums = together.accumulate(examples, scale=1.0, smoothing=0.0, seed=0)
    apart = Sums()
    for example in examples:
        apart.add(alone.accumulate([example], scale=1.0, smoothing=0.0, seed=0))
    assert sums.loss == pytest.approx(apart.loss, rel=1e-5)
    wanted = gradients(alone)
    for name, gradient in gradients(together).items():
        assert torch.allclose(gradient, wanted[name], atol=2e-5), name


def test_bfloat16_is_close_to_float32(llama: Base) -> None:
    examples = examples_for(llama)
    exact = learner_of(PackedLearner, llama)
    short = learner_of(PackedLearner, llama, torch.bfloat16)
    wanted = exact.accumulate(examples, scale=1.0, smoothing=0.0, seed=0)
    got = short.accumulate(examples, scale=1.0, smoothing=0.0, seed=0)
    assert got.loss == pytest.approx(wanted.loss, rel=0.01)
    similar = torch.cosine_similarity(exact.weights.grad, short.weights.grad, dim=0)
    assert similar > 0.99


def test_dropout_follows_its_seed_and_its_gradient_is_right(llama: Base) -> None:
    examples = examples_for(llama)
    learner = learner_of(PackedLearner, llama, dropout=0.3)
    first = learner.accumulate(examples, scale=1.0, smoothing=0.0, seed=11)
    gradient = learner.weights.grad.clone()
    other = learner.accumulate(examples, scale=1.0, smoothing=0.0, seed=12)
    assert other.loss != first.loss
    direction = gradient / gradient.norm()
    losses = []
    for step in (0.01, -0.01):
        learner.weights.master.add_(direction, alpha=step)
        learner.refresh()
        losses.append(learner.accumulate(examples, scale=1.0, smoothing=0.0, seed=11).loss)
        learner.weights.master.sub_(direction, alpha=step)
    slope = (losses[0] - losses[1]) / 0.02
    assert slope == pytest.approx(float(gradient.norm()), rel=0.02)


def test_gpt2_learns_by_autograd(base_of: Callable[[str], Base]) -> None:
    base = base_of("gpt2")
    assert not can_pack(load_model(base, "float32"), 100)
    learner = learner_of(PaddedLearner, base)
    learner.accumulate(examples_for(base), scale=1.0, smoothing=0.0, seed=0)
    key = key_b("transformer.h.0.attn.c_attn")
    assert learner.weights.grad_of(key).abs().sum() > 0
    assert learner.weights.grad_of(key_a("transformer.h.1.mlp.c_proj")).shape == (3, 128)


def test_a_sliding_window_shorter_than_the_rows_is_left_to_autograd(
    base_of: Callable[[str], Base],
) -> None:
    model = load_model(base_of("mistral"), "float32")
    model.config.sliding_window = 64
    assert can_pack(model, 50)
    assert not can_pack(model, 100)


def test_every_weight_learns_in_full_fine_tuning(llama: Base) -> None:
    learner = PaddedLearner(
        load_model(llama, "float32"), llama, None, dtype=torch.float32, device=CPU, seed=0
    )
    learner.accumulate(examples_for(llama), scale=1.0, smoothing=0.1, seed=0)
    for name in learner.weights.slots:
        assert learner.weights.grad_of(name).abs().sum() > 0, name
    # The head is the embedding here, and learns from both ends.
    by_hand = learner.weights.grad_of("model.embed_tokens.weight").clone()
    model = load_model(llama, "float32").requires_grad_(True)
    for example in examples_for(llama):
        logits = model(input_ids=torch.tensor([example.ids])).logits[0]
        torch.nn.functional.cross_entropy(
            logits[list(example.positions)],
            torch.tensor(example.targets),
            reduction="sum",
            label_smoothing=0.1,
        ).backward()
    assert torch.allclose(by_hand, model.model.embed_tokens.weight.grad, atol=1e-4)


def test_the_loss_and_its_gradient_are_those_of_torch() -> None:
    torch.manual_seed(0)
    hidden = torch.randn(700, 8, requires_grad=True)
    head, targets = torch.randn(50, 8), torch.randint(0, 50, (700,))
    wanted = torch.nn.functional.cross_entropy(
        hidden @ head.t(), targets, reduction="sum", label_smoothing=0.2
    )
    (0.5 * wanted).backward()
    sums, gradient = score_with_gradient(hidden.detach(), head, targets, scale=0.5, smoothing=0.2)
    assert hidden.grad is not None
    assert torch.allclose(gradient, hidden.grad, atol=1e-5)
    plain = torch.nn.functional.cross_entropy(hidden @ head.t(), targets, reduction="sum")
    assert sums.loss == pytest.approx(float(plain), rel=1e-5)
    assert score(hidden.detach(), head, targets).loss == pytest.approx(float(plain), rel=1e-5)
    assert score(hidden.detach(), head, targets).correct == sums.correct
