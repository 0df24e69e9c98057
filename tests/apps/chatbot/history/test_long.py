"""A small share of benchmarks.history: everything comes in once, however often it is sent."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from apps.chatbot.history.reading import HistoryReading
from apps.chatbot.history.shape import Conversation
from apps.chatbot.models import MinedPair, PastConversation, PastPart
from benchmarks.history import write_table, write_zendesk
from labeling.models import Example
from tenancy.models import Tenant
from tests.apps.chatbot.history.files import imported

KEPT = (PastConversation, PastPart, MinedPair, Example)
Write = Callable[[Path, int, int], int]


@pytest.mark.parametrize(("source", "write"), [("zendesk", write_zendesk), ("table", write_table)])
def test_a_second_import_adds_nothing(
    source: str, write: Write, in_tenant: Tenant, tmp_path: Path
) -> None:
    path = tmp_path / ("h.json" if source == "zendesk" else "h.csv")
    conversations = write(path, 600, 7)
    first = imported(path.read_bytes(), source, filename=path.name)
    assert (first.counts["created"], first.counts["messages"]) == (conversations, 600)
    kept = [model.objects.count() for model in KEPT]
    assert kept[1] == 600
    assert 0 < kept[3] < kept[2]
    again = imported(path.read_bytes(), source, filename=path.name, dataset=first.dataset)
    assert again.counts["unchanged"] == conversations
    assert [model.objects.count() for model in KEPT] == kept


def test_reading_holds_no_more_of_a_long_file_than_of_a_short_one(tmp_path: Path) -> None:
    def peak(messages: int) -> int:
        path = tmp_path / f"{messages}.json"
        write_zendesk(path, messages, 7)
        with path.open("rb") as stream:
            tracemalloc.start()
            found = HistoryReading(stream, path.name, "zendesk")
            count = sum(isinstance(one, Conversation) for one in found)
            held = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert count > 0
        return held

    # Beyond one chunk of the file.
    assert peak(8_000) < peak(2_500) + (1 << 20)
