"""Conversations go out whole, to whom they may, and in bounded memory; no spreadsheet runs any of it."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
import zipfile
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.chatbot import services
from apps.chatbot.exporting import forms, reading
from apps.chatbot.models import Contact, Conversation, Message
from apps.chatbot.services.exports import start_export
from common.errors import ApplicationError
from labeling import work
from labeling.files import file_path
from labeling.services import create_dataset, import_examples
from tenancy.models import Tenant
from tests.apps.chatbot.makers import ask, make_conversation, make_inbox
from tests.apps.portal import desk_scene
from tests.factories import make_member

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def home(settings: Any, tmp_path: Any) -> None:
    settings.PARLEY_HOME = tmp_path


@pytest.fixture
def desk(in_tenant: Tenant) -> desk_scene.Desk:
    return desk_scene.tell(in_tenant, make_member(in_tenant, "agent", name="李娜"))


def written(form: str, **asked: Any) -> bytes:
    export = start_export(form=form, **asked)
    work.carry_out(export)
    export.refresh_from_db()
    assert export.is_ready, export.failure
    assert export.result is not None
    return file_path(export.result).read_bytes()


def lines(content: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in content.splitlines()]


def test_a_conversation_is_a_line_with_all_that_was_said(desk: desk_scene.Desk) -> None:
    found = {one["id"]: one for one in lines(written("ndjson"))}
    assert len(found) == 4
    one = found[str(desk.waiting.pk)]
    assert (one["contact"]["name"], one["state"]) == ("李雷", "open")
    assert one["handoffs"][0]["reason"] == "customer_request"
    assert [(said["role"], said["seq"]) for said in one["messages"]] == [
        ("user", 1), ("assistant", 3), ("user", 4),
    ]  # fmt: skip
    assert one["messages"][1]["answer"]["citations"][0]["title"] == "退货政策"
    assert found[str(desk.mine.pk)]["messages"][1]["author"] == "李娜"


def test_notes_go_out_where_they_were_asked_for_alone(desk: desk_scene.Desk) -> None:
    secret = "老客户，去年买过三次。"
    for form in ("ndjson", "csv", "openai"):
        assert secret not in written(form).decode()
    noted = written("ndjson", with_notes=True).decode()
    assert secret in noted
    assert '"private": true' in noted
    with pytest.raises(ApplicationError, match="notes_not_in_form"):
        start_export(form="csv", with_notes=True)


def test_a_table_has_a_message_a_row_and_runs_nothing(in_tenant: Tenant) -> None:
    contact = Contact.objects.create(name='=HYPERLINK("http://evil.example";"点我")')
    conversation = make_conversation(contact=contact)
    for text in ("=1+1", "＝cmd|' /C calc'!A0", "@SUM(A1)\n第二行", "您好，“引号”,逗号"):
        ask(conversation, text)
    content = written("csv")
    assert content.startswith("\ufeff".encode())
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    assert [row["text"] for row in rows] == [
        "'=1+1", "'＝cmd|' /C calc'!A0", "'@SUM(A1)\n第二行", "您好，“引号”,逗号",
    ]  # fmt: skip
    assert all(row["name"].startswith("'=") for row in rows)
    assert {row["conversation"] for row in rows} == {str(conversation.pk)}


def test_what_was_said_can_be_learned_from(desk: desk_scene.Desk) -> None:
    judged = Message.objects.get(conversation=desk.waiting, role="assistant")
    services.judge_message(message=judged, helpful=False, reason="wrong")
    for conversation, text in ((desk.mine, "已找到。"), (desk.waiting, "这次可以。")):
        services.post_message(conversation=conversation, role="agent", text=text)
    ask(desk.mine, "谢谢")
    never = make_conversation()
    message = services.post_message(conversation=never, role="agent", text="您好").message
    ask(never, "在吗")
    services.judge_message(message=message, helpful=False)
    content = written("openai")
    by_first = {one["messages"][0]["content"]: one["messages"] for one in lines(content)}
    assert len(by_first) == 2
    taught = by_first["可以退货吗？"]
    assert [one["role"] for one in taught] == ["user", "assistant"] * 2
    assert [one.get("weight") for one in taught] == [None, 0, None, None]
    spoken = next(said for first, said in by_first.items() if first.startswith("My parcel"))
    assert spoken[1]["content"].endswith("\n已找到。")
    assert len(spoken) == 2
    report = import_examples(
        dataset=create_dataset(name="客服"), stream=io.BytesIO(content), filename="聊天.jsonl"
    )
    assert (report.created, report.faults) == (2, [])


def test_which_conversations_is_said(desk: desk_scene.Desk) -> None:
    other = make_conversation(make_inbox(name="另一个"))
    ask(other)
    soon = timezone.now() + timedelta(hours=1)
    for asked, count in (
        ({"inbox": other.inbox}, 1),
        ({"contact": desk.mine.contact}, 1),
        ({"since": soon - timedelta(days=1), "until": soon}, 5),
    ):
        assert len(lines(written("ndjson", **asked))) == count
    export = start_export(form="ndjson", since=soon)
    work.carry_out(export)
    export.refresh_from_db()
    assert (export.state, export.failure) == ("failed", "file_empty")
    with pytest.raises(ApplicationError, match="range_empty"):
        start_export(form="ndjson", since=soon, until=soon)


def test_an_export_never_holds_more_than_a_page(in_tenant: Tenant) -> None:
    """10,000 messages, one conversation of 6,000 among them; the rows are made past the services."""
    inbox, contact = make_inbox(), Contact.objects.create(name="李雷")
    sizes = [6_000, *([80] * 50)]
    made = Conversation.objects.bulk_create(
        Conversation(inbox=inbox, contact=contact, last_seq=size) for size in sizes
    )
    for conversation, size in zip(made, sizes, strict=True):
        Message.objects.bulk_create(
            [
                Message(
                    conversation=conversation,
                    seq=seq,
                    role="assistant" if seq % 2 else "user",
                    text=f"第{seq}句：收到后七天内可以退货。",
                )
                for seq in range(size)
            ],
            batch_size=2_000,
        )
    tracemalloc.start()
    said = 0
    for piece in forms.ndjson(reading.told(Conversation.objects.all(), with_notes=False)):
        said += b'"seq": ' in piece
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20
    assert said == sum(sizes)


def test_a_contact_goes_out_with_everything_and_nobody_else(desk: desk_scene.Desk) -> None:
    content = written("archive", contact=desk.waiting.contact)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = archive.namelist()
        text = "".join(archive.read(name).decode() for name in names)
    assert "tables/chatbot.Message.ndjson" in names
    for word in ("可以退货吗？", "li@example.com", "能不能破例"):
        assert word in text
    for word in ("My parcel", "韩梅梅", "老客户，去年", "refresh_hash"):
        assert word not in text
    with pytest.raises(ApplicationError, match="contact_needed"):
        start_export(form="archive")
