"""Loss, answers and labels of a batch with several adapters against each one computed by itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from gpt_core.engine.bases import Base, load_model, load_tokenizer
from gpt_core.engine.checkpoint import Adapter, load_adapter, open_checkpoint
from gpt_core.engine.evaluation.generation import Question, answer_cap, answers
from gpt_core.engine.evaluation.labels import LabelScorer, candidates_of, label_of
from gpt_core.engine.evaluation.likelihood import batches, likelihoods
from gpt_core.engine.evaluation.mixture import Mixture
from gpt_core.engine.formats import RowEncoder
from tests.tiny import ARCHITECTURES, tiny_base

from .stage import chat_row, label_row, random_checkpoint

ROWS = [
    chat_row(1, "When do you open?", "We open at nine in the morning."),
    chat_row(2, "退货需要多久？", "退货通常需要三到五个工作日。请提供您的订单号。"),
    chat_row(3, "Hello", "Hi! <|im_end|> is just text here."),
    chat_row(4, "How do I reset the router? " * 4, "Hold the button."),
    label_row(5, "Where is my parcel?", "shipping"),
]
OWNERS = (None, "candidate", "champion")


@dataclass
class Stage:
    base: Base
    model: Any
    encoder: RowEncoder
    adapters: dict[str, Adapter]
    mixture: Mixture

    def solo(self, owner: str | None) -> Any:
        """The base with one adapter folded into its weights, in float32."""
        model = load_model(self.base, torch.float32)
        if owner is not None:
            adapter = self.adapters[owner]
            for path, (a, b) in adapter.tensors.items():
                module: Any = model.get_submodule(path)
                delta = adapter.scaling * (b.float() @ a.float())
                module.weight.data += delta.T if self.base.architecture == "gpt2" else delta
        return model


@pytest.fixture(scope="module", params=ARCHITECTURES)
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    folder: Path = tmp_path_factory.mktemp(request.param)
    base = tiny_base(folder, request.param)
    adapters = {
        name: load_adapter(
            open_checkpoint(random_checkpoint(base, folder, seed=seed, size=0.3)), base
        )
        for name, seed in (("candidate", 1), ("champion", 2))
    }
    model = load_model(base, torch.float32)
    return Stage(base, model, RowEncoder(load_tokenizer(base)), adapters, Mixture(model, adapters))


def test_the_loss_of_a_batch_is_that_of_each_row_alone(stage: Stage) -> None:
    rows = [stage.encoder.encode(row, max_length=256) for row in ROWS]
    for owner in OWNERS:
        model = stage.solo(owner)
        for row, found in zip(rows, likelihoods(stage.mixture, owner, rows), strict=True):
            logits = model(input_ids=torch.tensor([row.ids])).logits[0]
            logprobs = torch.log_softmax(logits.float(), dim=-1)
            places = [at for at in range(1, len(row.ids)) if row.mask[at]]
            expected = -sum(float(logprobs[at - 1, row.ids[at]]) for at in places)
            right = sum(int(logits[at - 1].argmax()) == row.ids[at] for at in places)
            assert found.tokens == len(places)
            assert found.loss_sum == pytest.approx(expected, rel=1e-4)
            assert found.correct == right


def test_greedy_answers_of_a_mixed_batch_are_those_of_each_model_alone(stage: Stage) -> None:
    prompts = [stage.encoder.prompt(row) for row in ROWS]
    questions = [Question(owner, prompt) for owner in OWNERS for prompt in prompts]
    # The end token of a random model hardly ever comes; a frequent one makes rows leave early.
    first = answers(stage.mixture, questions, cap=12, ends={2})
    ends = {2, first[1].ids[3], first[7].ids[5]}
    found = answers(stage.mixture, questions, cap=12, ends=ends)
    assert len({len(answer.ids) for answer in found}) > 1
    for question, answer in zip(questions, found, strict=True):
        model, ids = stage.solo(question.owner), list(question.ids)
        while len(ids) < len(question.ids) + 12:
            token = int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax())
            if token in ends:
                break
            ids.append(token)
        assert answer.ids == ids[len(question.ids) :]
        assert answer.overlong == (len(answer.ids) == 12)


def test_labels_scored_in_one_pass_score_as_one_by_one(stage: Stage) -> None:
    train = [
        label_row(1, "a", "shipping"),
        label_row(2, "b", "refund"),
        label_row(3, "c", "refund", "shipping"),
        label_row(4, "d", "发票"),
        chat_row(5, "e", "not a label", labels=["refund"]),
    ]
    candidates = candidates_of(train)
    assert candidates == [("refund",), ("refund", "shipping"), ("shipping",), ("发票",)]
    row = label_row(9, "我的包裹在哪里？ Where is it?", "shipping")
    found = LabelScorer(stage.encoder, candidates).scores(stage.mixture, "candidate", row)
    model = stage.solo("candidate")
    for label, score in zip(candidates, found, strict=True):
        encoded = stage.encoder.encode({**row, "labels": list(label)}, max_length=256)
        logprobs = torch.log_softmax(model(input_ids=torch.tensor([encoded.ids])).logits[0], -1)
        expected = sum(
            float(logprobs[at - 1, encoded.ids[at]])
            for at in range(1, len(encoded.ids))
            if encoded.mask[at]
        )
        assert score == pytest.approx(expected, rel=1e-4)


def test_labels_are_a_task_only_where_the_answer_is_the_labels() -> None:
    assert label_of(label_row(1, "x", "a", "b")) == ("a", "b")
    assert label_of(chat_row(1, "x", "发票", labels=["发票"])) == ("发票",)
    assert label_of(chat_row(1, "x", "We open at nine.", labels=["hours"])) is None
    assert label_of(chat_row(1, "x", "We open at nine.")) is None


def test_many_labels_are_scored_in_several_passes_with_the_same_result(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidates = [(f"label {number}",) for number in range(20)]
    row = label_row(1, "Where is it?", "label 3")
    whole = LabelScorer(stage.encoder, candidates).scores(stage.mixture, None, row)
    monkeypatch.setattr("gpt_core.engine.evaluation.labels.TOKENS_PER_PASS", 90)
    parts = LabelScorer(stage.encoder, candidates).scores(stage.mixture, None, row)
    assert parts == pytest.approx(whole, rel=1e-4)


def test_batches_hold_every_row_once_and_keep_to_their_budget() -> None:
    lengths = [5, 90, 7, 40, 40, 3, 200]
    found = list(batches(lengths, 100))
    assert sorted(position for batch in found for position in batch) == list(range(7))
    for batch in found:
        assert len(batch) == 1 or len(batch) * max(lengths[at] for at in batch) <= 100


def test_the_cap_follows_the_references_but_not_the_longest_few() -> None:
    assert answer_cap([40] * 99 + [4000], context=2048) == 60
    assert answer_cap([2, 3], context=2048) == 16
    assert answer_cap([1000], context=8192) == 512
    assert answer_cap([1000], context=256) == 128
    assert answer_cap([], context=256) == 16
