"""What auto will choose is said before a trainer has looked, by the trainer's own rules."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gpt_core import auto_rules, foresight
from tenancy.models import Tenant
from tests.gpt_core.rows import make_base, make_version

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]


def test_rows_are_counted_and_tokens_guessed(in_tenant: Tenant) -> None:
    sizes = foresight.sizes_of(make_version(train=6, validation=2))
    assert (sizes.rows, sizes.validation) == (6, 2)
    assert 0 < sizes.learned < sizes.tokens
    assert sizes.longest <= sizes.tokens


def test_a_sample_stands_for_all_rows(in_tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    version = make_version(train=40)
    whole = foresight.sizes_of(version)
    monkeypatch.setattr(foresight, "SAMPLE_ROWS", 10)
    sampled = foresight.sizes_of(version)
    assert sampled.tokens == pytest.approx(whole.tokens, rel=0.2)


def test_chinese_counts_more_tokens_for_a_letter() -> None:
    assert foresight._guess("退货需要多久") > foresight._guess("retour")


def test_every_choice_is_the_rules(in_tenant: Tenant) -> None:
    base = make_base()
    Path(base.folder, "base.json").write_text(json.dumps({"hidden_size": 576}))
    sizes = foresight.Sizes(rows=402, validation=50, tokens=36_000, learned=14_000, longest=210)
    chosen = {one.name: one.value for one in foresight.foresee(sizes, base)}
    assert chosen["batch_size"] == auto_rules.batch(402) == 8
    assert chosen["epochs"] == 3.0
    assert chosen["rank"] == 16
    assert chosen["alpha"] == 32.0
    assert chosen["learning_rate"] == auto_rules.learning_rate(576, full=False)
    assert chosen["max_length"] is None


def test_a_full_fine_tuning_has_no_rank(in_tenant: Tenant) -> None:
    sizes = foresight.Sizes(10, 0, 100, 50, 20)
    names = {one.name for one in foresight.foresee(sizes, make_base(), method="full")}
    assert names.isdisjoint({"rank", "alpha", "dropout"})


@pytest.mark.parametrize(
    "content", ["", "[]", '{"hidden_size": "wide"}', '{"hidden_size": -1}', "一"]
)
def test_a_base_whose_manifest_says_nothing_leaves_the_rate_open(
    in_tenant: Tenant, content: str
) -> None:
    base = make_base()
    Path(base.folder, "base.json").write_text(content)
    assert foresight.hidden_size_of(base) is None
    Path(base.folder, "base.json").unlink()
    chosen = {
        one.name: one.value for one in foresight.foresee(foresight.Sizes(1, 0, 1, 1, 1), base)
    }
    assert chosen["learning_rate"] is None


def test_a_version_without_rows_is_no_crash(in_tenant: Tenant) -> None:
    sizes = foresight.sizes_of(make_version(train=0, validation=0, test=0))
    assert sizes == foresight.Sizes(0, 0, 0, 0, 0)
    assert foresight.foresee(sizes, make_base())
