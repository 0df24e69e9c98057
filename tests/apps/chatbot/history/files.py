"""Past conversations as each system exports them, and short ways to import them. Inside a scope."""

from __future__ import annotations

import io
import json
from typing import Any

from apps.chatbot import services
from apps.chatbot.models import HistoryRun
from labeling.models import Dataset
from labeling.services import create_dataset_of_any_address

QUESTION = "How do I return a pair of shoes that does not fit?"
ANSWER = "You can return them within 30 days: print the label in your profile and drop the box at any post office."
QUESTION_ZH = "鞋子不合脚，怎么退货？"
ANSWER_ZH = "签收后30天内都可以退货：在“我的页面”打印退货单，把鞋子交给任意快递网点即可。"


def ticket(number: int, *said: tuple[int, str], **fields: Any) -> dict[str, Any]:
    """A Zendesk ticket of customer 1; `said` are (author, text), agents from 10 on."""
    comments = [
        {
            "id": number * 100 + at,
            "author_id": author,
            "plain_body": text,
            "public": True,
            "created_at": f"2025-03-01T10:{at:02}:00Z",
        }
        for at, (author, text) in enumerate(said)
    ]
    return {
        "id": number,
        "subject": "",
        "requester_id": 1,
        "status": "solved",
        "via": {"channel": "email"},
        "created_at": "2025-03-01T10:00:00Z",
        "comments": comments,
    } | fields


USERS = [
    {"id": 1, "role": "end-user", "name": "Thandiwe Mokoena"},
    {"id": 10, "role": "agent", "name": "Siobhán Ní Bhriain"},
]


def zendesk(*tickets: dict[str, Any], users: bool = True) -> bytes:
    """A page of the incremental export."""
    page: dict[str, Any] = {"tickets": list(tickets), "after_cursor": None, "end_of_stream": True}
    if users:
        page["users"] = USERS
    return json.dumps(page, ensure_ascii=False, indent=1).encode()


def lines(*rows: Any) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def received(
    data: bytes, source: str = "zendesk", filename: str = "history.json", **options: Any
) -> HistoryRun:
    """Checked, and not begun."""
    dataset = options.pop("dataset", None) or create_dataset_of_any_address(name="客服")
    return services.receive_history(
        dataset=dataset, source=source, stream=io.BytesIO(data), filename=filename, **options
    )


def imported(data: bytes, source: str = "zendesk", **options: Any) -> HistoryRun:
    """Checked and read in."""
    return services.start_history(run=received(data, source, **options))


def pairs(dataset: Dataset) -> list[tuple[str, str]]:
    """Question and answer of every mined example, in the order of the file."""
    return [
        (example.content["messages"][0]["content"], example.content["messages"][1]["content"])
        for example in dataset.examples.order_by("external_id")
    ]
