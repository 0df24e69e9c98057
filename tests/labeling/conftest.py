"""A dataset to fill, the hostile files, and short ways to offer bytes to the importer."""

import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labeling.importing import ImportReport
from labeling.models import Dataset
from labeling.services import create_dataset, import_examples
from tenancy.models import Tenant

ROOT = Path(__file__).resolve().parents[2]
Offer = Callable[..., ImportReport]


@pytest.fixture
def dataset(in_tenant: Tenant) -> Dataset:
    return create_dataset(name="客服", slug="support", language="zh")


@pytest.fixture
def offer(dataset: Dataset) -> Offer:
    """Import bytes or text into `dataset`: offer(data, "name.csv", dry_run=True)."""

    def importing(data: bytes | str, filename: str = "rows.jsonl", **options: Any) -> ImportReport:
        raw = data.encode() if isinstance(data, str) else data
        return import_examples(
            dataset=dataset, stream=io.BytesIO(raw), filename=filename, **options
        )

    return importing


@pytest.fixture(scope="session")
def bad_input() -> Path:
    """The folder of hostile files; a test that needs it skips where it is not there."""
    data = Path(os.environ.get("PARLEY_DATA", ROOT.parent / "shared" / "data"))
    folder = data / "badinput"
    if not folder.is_dir():
        pytest.skip("the folder named by PARLEY_DATA has no badinput/")
    return folder


def json_lines(*rows: Any) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def questions(count: int, *, start: int = 0) -> str:
    """So many rows that have nothing in common, in Chinese."""
    rows = []
    for number in range(start, start + count):
        signs = "".join(chr(0x4E00 + (number * 7919 + step * 104729) % 20000) for step in range(24))
        rows.append({"id": f"问-{number}", "question": f"{signs[:12]}？", "answer": signs[12:]})
    return json_lines(*rows)
