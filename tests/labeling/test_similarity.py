"""Near-copies are found in Chinese as in English, and different texts are left alone."""

import random
from importlib import util
from pathlib import Path

import pytest

from labeling.faults import Fault
from labeling.models import Dataset
from labeling.services import freeze_version
from labeling.similarity import ALIKE, Neighbours, likeness, shingles
from tests.labeling.conftest import Offer

CHINESE = "请问贵公司的产品在七天之内不满意的话是否可以无理由退货并且全额退款到原来的账户，谢谢"
ENGLISH = "How long does it take to get a building permit for a new detached house in Helsingborg?"


@pytest.mark.parametrize("text", [CHINESE, ENGLISH])
def test_one_changed_character_is_still_a_copy(text: str) -> None:
    for place in range(4, len(text) - 4, 5):
        other = text[:place] + "某" + text[place + 1 :]
        assert likeness(shingles(text), shingles(other)) >= 0.75


def test_width_case_and_spacing_make_no_difference() -> None:
    assert (
        likeness(shingles("Hello，World 123 你好"), shingles("ＨＥＬＬＯ,world  １２３\n你好"))
        == 1.0
    )


def test_other_questions_are_not_copies() -> None:
    assert likeness(shingles(CHINESE), shingles("请问贵公司周末几点开门，可以预约吗？")) < 0.2
    assert likeness(shingles(ENGLISH), shingles("What does a building permit cost?")) < 0.3


@pytest.mark.parametrize("text", ["", " ", "a", "好", "\n\n", "😀", "你好"])
def test_short_texts_are_like_themselves(text: str) -> None:
    assert likeness(shingles(text), shingles(text)) == 1.0


def test_neighbours_are_found_and_forgotten() -> None:
    chance = random.Random(5)
    texts = {
        f"行{n}": "".join(chr(chance.randrange(0x4E00, 0x9000)) for _sign in range(60))
        for n in range(300)
    }
    neighbours = Neighbours()
    for key, text in texts.items():
        neighbours.add(key, text)
    found = 0
    for key, text in texts.items():
        place = chance.randrange(60)
        near = text[:place] + "变" + text[place + 1 :]
        if likeness(shingles(text), shingles(near)) >= ALIKE:
            found += neighbours.alike(near) == [key]
    assert found >= 295
    neighbours.remove("行7")
    assert neighbours.alike(texts["行7"]) == []
    assert len(neighbours) == 299


def test_the_hashes_are_the_same_in_every_process_and_release() -> None:
    """What is left out of a version depends on them, and so does its digest."""
    assert shingles("退货要几").tolist() == [2043945911, 2891824400]


@pytest.fixture(scope="session")
def zaragoza() -> Path:
    spec = util.find_spec("zaragoza_construction_faq")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("the demo's data is not installed")
    return Path(spec.submodule_search_locations[0]) / "data"


@pytest.mark.parametrize(
    "name", ["faq-en.csv", "faq-en.jsonl", "faq-en-alpaca.jsonl", "faq-en-sharegpt.jsonl"]
)
def test_a_companys_real_history_is_read_without_a_fault(
    zaragoza: Path, offer: Offer, name: str
) -> None:
    report = offer((zaragoza / name).read_bytes(), name, dry_run=True)

    assert (report.rows, report.fault_count) == (503, 0)
    assert report.created + report.duplicates == 503


def test_a_companys_real_history_is_split(zaragoza: Path, offer: Offer, dataset: Dataset) -> None:
    report = offer((zaragoza / "faq-en.csv").read_bytes(), "faq-en.csv")
    version = freeze_version(dataset=dataset)

    assert [fault for fault in report.faults if isinstance(fault, Fault)] == []
    assert version.counts["train"] > 350
    assert version.counts["test"] >= 30
