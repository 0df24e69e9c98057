"""A version is split, clean, hashed, and never changes."""

import io
import json
from collections import Counter
from pathlib import Path

import pytest
from django.db import IntegrityError, connection, transaction

from common.errors import ApplicationError
from labeling.models import Dataset, DatasetVersion, Example, VersionRow
from labeling.services import (
    create_dataset,
    digest_of,
    freeze_version,
    import_examples,
    write_rows,
)
from labeling.splits import Shares, assign
from tests.labeling.conftest import Offer, json_lines, questions


def split_of_ids(version: DatasetVersion) -> dict[str, str]:
    return {row.payload["id"]: row.split for row in VersionRow.objects.filter(version=version)}


def test_the_shares_are_about_what_was_asked_for() -> None:
    split_of = assign({f"组{n}": 1 for n in range(5_000)}, seed=0, shares=Shares())
    sizes = Counter(split_of.values())

    assert 3_850 < sizes["train"] < 4_150
    assert 420 < sizes["validation"] < 580
    assert 420 < sizes["test"] < 580


def test_small_data_still_has_something_in_every_split() -> None:
    for count in range(3, 40):
        for seed in range(20):
            split_of = assign({f"组{n}": 1 for n in range(count)}, seed=seed, shares=Shares())
            assert set(split_of.values()) == {"train", "validation", "test"}


def test_adding_rows_moves_none_of_the_others() -> None:
    before = assign({f"组{n}": 1 for n in range(500)}, seed=3, shares=Shares())
    after = assign({f"组{n}": 1 for n in range(900)}, seed=3, shares=Shares())

    assert {group: after[group] for group in before} == before


def test_another_seed_splits_otherwise() -> None:
    sizes = {f"组{n}": 1 for n in range(200)}

    assert assign(sizes, seed=1, shares=Shares()) != assign(sizes, seed=2, shares=Shares())


def test_a_conversation_never_straddles_two_splits(dataset: Dataset, offer: Offer) -> None:
    rows = [json.loads(line) for line in questions(400).splitlines()]
    offer(json_lines(*(row | {"group": f"会话{n % 60}"} for n, row in enumerate(rows))))
    version = freeze_version(dataset=dataset)

    splits: dict[str, set[str]] = {}
    for row in VersionRow.objects.filter(version=version):
        splits.setdefault(row.payload["group"], set()).add(row.split)
    assert len(splits) > 50
    assert all(len(found) == 1 for found in splits.values())


def test_the_same_rows_in_another_order_have_the_same_digest(
    dataset: Dataset, offer: Offer
) -> None:
    lines = questions(120).splitlines(keepends=True)
    offer("".join(lines))
    first = freeze_version(dataset=dataset)
    Example.objects.all().delete()
    offer("".join(reversed(lines)))
    second = freeze_version(dataset=dataset)

    assert second.digest == first.digest == digest_of(first)
    assert (first.number, second.number) == (1, 2)
    assert split_of_ids(second) == split_of_ids(first)


def test_one_changed_word_changes_the_digest(dataset: Dataset, offer: Offer) -> None:
    offer(questions(60))
    first = freeze_version(dataset=dataset)
    example = Example.objects.earliest("external_id")
    example.content["messages"][1]["content"] += "。"
    example.save()

    assert freeze_version(dataset=dataset).digest != first.digest


def test_drafts_and_rejected_rows_stay_outside(dataset: Dataset, offer: Offer) -> None:
    offer(questions(50))
    offer(questions(20, start=50), state="draft")
    Example.objects.filter(external_id="问-3").update(state="rejected")

    ids = split_of_ids(freeze_version(dataset=dataset))
    assert len(ids) == 49
    assert "问-3" not in ids


def test_near_copies_of_learned_rows_are_not_held_out(dataset: Dataset, offer: Offer) -> None:
    offer(questions(300))
    before = split_of_ids(freeze_version(dataset=dataset))
    held_out = [identity for identity, split in before.items() if split != "train"]
    learned = [identity for identity, split in before.items() if split == "train"]
    # Make each of ten held-out rows say almost what a learned one says.
    text = "请问贵公司的产品在七天之内不满意的话是否可以无理由退货并且全额退款到原来的账户"
    for identity in [*held_out[:10], learned[0]]:
        example = Example.objects.get(external_id=identity)
        example.content["messages"][0]["content"] = text + identity
        example.content["messages"][1]["content"] = "可以，" * 20
        example.save()

    version = freeze_version(dataset=dataset)
    after = split_of_ids(version)
    left_out = version.counts["left_out"]
    assert left_out["near_copies_in_test"] + left_out["near_copies_in_validation"] == 10
    assert not set(held_out[:10]) & set(after)
    assert sum(version.counts[split] for split in ("train", "validation", "test")) == len(after)


def test_exact_copies_go_in_once(dataset: Dataset, offer: Offer) -> None:
    offer(questions(40))
    first, second = Example.objects.order_by("external_id")[:2]
    second.content = first.content
    second.save()

    version = freeze_version(dataset=dataset)
    assert version.counts["left_out"]["copies"] == 1


def test_too_little_data_is_said_with_the_least_that_is_needed(
    dataset: Dataset, offer: Offer
) -> None:
    offer(questions(9))
    with pytest.raises(ApplicationError, match="dataset_too_small") as refused:
        freeze_version(dataset=dataset)

    assert "10" in str(refused.value.detail)
    offer(questions(10))
    version = freeze_version(dataset=dataset)
    assert version.counts["warnings"] == ["test_split_small"]


def test_shares_must_make_sense(dataset: Dataset) -> None:
    with pytest.raises(ApplicationError, match="shares_invalid"):
        freeze_version(dataset=dataset, shares=(0.9, 0.2, 0.1))


def test_the_database_refuses_to_change_a_version(dataset: Dataset, offer: Offer) -> None:
    offer(questions(30))
    version = freeze_version(dataset=dataset)
    row = VersionRow.objects.filter(version=version).first()
    assert row is not None

    def refused(change: str, *values: str) -> None:
        with pytest.raises(IntegrityError, match="frozen"), transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(change, values)

    for column in ("number", "seed"):
        refused(f"UPDATE labeling_datasetversion SET {column} = {column}")
    for column in ("digest", "counts", "shares"):
        refused(f"UPDATE labeling_datasetversion SET {column} = %s", "{}")
    refused("UPDATE labeling_versionrow SET payload = %s", "{}")
    refused("UPDATE labeling_versionrow SET position = position + 1")
    for model, change in ((VersionRow, {"split": "test"}), (DatasetVersion, {"digest": "0"})):
        with pytest.raises(IntegrityError, match="frozen"), transaction.atomic():
            model.objects.update(**change)
    with pytest.raises(IntegrityError, match="frozen"), transaction.atomic():
        row.save()
    assert digest_of(version) == version.digest


def test_deleting_an_example_leaves_the_frozen_row(dataset: Dataset, offer: Offer) -> None:
    offer(questions(30))
    version = freeze_version(dataset=dataset)
    Example.objects.all().delete()

    assert digest_of(version) == version.digest
    assert not VersionRow.objects.exclude(example=None).exists()


def test_write_rows_writes_whole_lines_that_the_engine_reads(
    dataset: Dataset, offer: Offer, tmp_path: Path
) -> None:
    offer(questions(60))
    version = freeze_version(dataset=dataset)
    path = tmp_path / "train.jsonl"

    assert write_rows(version, "train", path) == version.counts["train"]
    rows = [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]
    assert len(rows) == version.counts["train"]
    assert rows[0].keys() == {"id", "line", "group", "messages"}
    assert isinstance(rows[0]["line"], int)
    assert [entry.name for entry in tmp_path.iterdir()] == ["train.jsonl"]


def test_a_version_that_lost_rows_is_not_handed_on(
    dataset: Dataset, offer: Offer, tmp_path: Path
) -> None:
    offer(questions(30))
    version = freeze_version(dataset=dataset)
    row = VersionRow.objects.filter(split="train").first()
    assert row is not None
    row.delete()

    with pytest.raises(ApplicationError, match="version_incomplete"):
        write_rows(version, "train", tmp_path / "train.jsonl")
    assert list(tmp_path.iterdir()) == []


def test_an_example_edited_while_it_is_frozen_is_noticed(
    dataset: Dataset, offer: Offer, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(questions(30))
    from labeling import versions

    compared = versions.left_out

    def and_then_somebody_edits(*args: object) -> object:
        found = compared(*args)  # type: ignore[arg-type]
        example = Example.objects.first()
        assert example is not None
        example.content["messages"][1]["content"] = "改了"
        example.save()
        return found

    monkeypatch.setattr(versions, "left_out", and_then_somebody_edits)
    with pytest.raises(ApplicationError, match="dataset_changed"):
        freeze_version(dataset=dataset)
    assert not DatasetVersion.objects.exists()
    assert not VersionRow.objects.exists()


def test_rows_given_for_validation_are_the_validation_split(dataset: Dataset, offer: Offer) -> None:
    offer(questions(60))
    given = create_dataset(name="验证", slug="validation")
    # Five of them are learned from as well.
    import_examples(
        dataset=given, stream=io.BytesIO(questions(25, start=55).encode()), filename="v.jsonl"
    )
    version = freeze_version(dataset=dataset, validation=given)
    rows = VersionRow.objects.filter(version=version)
    assert rows.filter(split="validation").count() == 20 == version.counts["validation"]
    assert set(rows.filter(split="validation").values_list("example__dataset", flat=True)) == {
        given.pk
    }
    assert not rows.exclude(split="validation").filter(example__dataset=given).exists()
    assert rows.filter(split="test").exists()
    assert version.counts["left_out"]["copies"] == 5
    assert version.shares == [pytest.approx(0.9), 0.0, pytest.approx(0.1)]
    assert digest_of(version) == version.digest
