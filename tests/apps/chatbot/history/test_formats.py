"""Every format that people bring is read as what it says, with its traps."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

import pytest

from apps.chatbot.history.reading import HistoryReading
from apps.chatbot.history.shape import Conversation
from labeling.faults import Fault
from tests.apps.chatbot.history.files import (
    ANSWER,
    ANSWER_ZH,
    QUESTION,
    QUESTION_ZH,
    lines,
    ticket,
    zendesk,
)


def read(
    data: bytes, source: str, filename: str = "history.json", mapping: Any = None
) -> tuple[list[Conversation], list[Fault]]:
    found = list(HistoryReading(io.BytesIO(data), filename, source, mapping))
    return (
        [one for one in found if isinstance(one, Conversation)],
        [one for one in found if isinstance(one, Fault)],
    )


def said(conversation: Conversation) -> list[tuple[str, str]]:
    """(role, text), a note in brackets."""
    return [
        (f"({part.role})" if part.is_private else part.role, part.text)
        for part in conversation.parts
    ]


def table(*rows: Sequence[str]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue()


def workbook(*rows: Sequence[Any], merged: str = "") -> bytes:
    import openpyxl

    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(list(row))
    if merged:
        book.active.merge_cells(merged)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


# --- Zendesk ---------------------------------------------------------------------------------


def test_zendesk_users_behind_the_tickets_say_who_is_an_agent() -> None:
    (one,), faults = read(zendesk(ticket(1, (10, "We moved."), (2, "Where to?"))), "zendesk")
    # 10 is an agent by the list; 2 is in no list and did not open the ticket.
    assert said(one) == [("agent", "We moved."), ("agent", "Where to?")]
    assert faults == []


def test_zendesk_lines_with_internal_notes_machines_and_markup() -> None:
    row = ticket(7, (1, QUESTION), (10, "Is he a VIP?"), (-1, "Ticket closed."), (10, ""))
    row["comments"][1]["public"] = False
    row["comments"][3] |= {
        "plain_body": None,
        "html_body": "<p>Within <b>30&nbsp;days</b>.</p><script>x()</script><blockquote>old</blockquote>",
        "attachments": [{"id": 1}],
    }
    (one,), _faults = read(
        lines({"id": 1, "role": "end-user", "name": "A"}, row), "zendesk", "t.jsonl"
    )
    assert said(one) == [
        ("visitor", QUESTION),
        ("(agent)", "Is he a VIP?"),
        ("system", "Ticket closed."),
        ("agent", "Within 30 days."),
    ]
    assert one.parts[3].attachments == 1


def test_a_mail_is_read_without_what_it_quotes_and_its_signature() -> None:
    text = f"{QUESTION}\n\n-- \nT. Mokoena\nAcme Ltd\n+1 415 555 0134"
    quoted = f"{ANSWER}\n\nOn Mon, 3 Mar 2025 at 10:00, T wrote:\n> {QUESTION}"
    chinese = f"{ANSWER_ZH}\n\n------------------ 原始邮件 ------------------\n发件人: 客户"
    (one,), _faults = read(zendesk(ticket(1, (1, text), (10, quoted), (10, chinese))), "zendesk")
    assert [text for _role, text in said(one)] == [QUESTION, ANSWER, ANSWER_ZH]


def test_a_faulty_ticket_is_refused_as_a_whole_with_its_line_and_place() -> None:
    rows = [
        ticket(1, (1, "a")),
        ticket(2) | {"comments": "none"},
        {"subject": "no id", "comments": []},
    ]
    rows.append(ticket(3, (1, "a")) | {"comments": [7]})
    (one,), faults = read(lines(*rows), "zendesk", "t.jsonl")
    assert one.external_id == "1"
    assert [(fault.code, fault.line, fault.pointer) for fault in faults] == [
        ("messages_not_list", 2, "/comments"),
        ("conversation_id_missing", 3, "/id"),
        ("message_not_object", 4, "/comments/0"),
    ]
    assert all(fault.message and fault.fix for fault in faults)


# --- Intercom --------------------------------------------------------------------------------

INTERCOM = {
    "id": "9001",
    "state": "closed",
    "created_at": 1_740_823_200,
    "tags": {"type": "tag.list", "tags": [{"name": "returns"}]},
    "source": {
        "type": "email",
        "body": f"<p>{QUESTION}</p>",
        "author": {"type": "user", "id": "u1", "name": "Thandiwe Mokoena"},
    },
    "conversation_parts": {
        "conversation_parts": [
            {"part_type": "assignment", "body": None, "author": {"type": "admin"}, "created_at": 1},
            {
                "part_type": "comment",
                "body": "<p>Try our FAQ.</p>",
                "author": {"type": "bot", "from_ai_agent": True},
                "created_at": 1_740_823_201,
            },
            {
                "part_type": "note",
                "body": "<p>angry</p>",
                "author": {"type": "admin"},
                "created_at": 1_740_823_202,
            },
            {
                "part_type": "comment",
                "body": f"<p>{ANSWER}</p>",
                "author": {"type": "admin"},
                "created_at": 1_740_823_203,
            },
        ]
    },
}


@pytest.mark.parametrize(
    "data", [lines(INTERCOM), json.dumps({"conversations": [INTERCOM]}, indent=2).encode()]
)
def test_intercom_conversations_begin_in_their_source(data: bytes) -> None:
    (one,), faults = read(data, "intercom")
    assert faults == []
    assert said(one) == [
        ("visitor", QUESTION),
        ("bot", "Try our FAQ."),
        ("(agent)", "angry"),
        ("agent", ANSWER),
    ]
    assert (one.tags, one.channel, one.customer) == (["returns"], "email", "u1")


def test_intercom_tables_are_put_together_by_conversation() -> None:
    head = [
        "message_id",
        "message_body",
        "message_type",
        "message_created_at",
        "message_author_type",
        "conversation_id",
    ]
    rows = [
        ["1", f"<p>{QUESTION}</p>", "comment", "2025-03-01 10:00:00", "user", "c1"],
        ["2", "Do you ship abroad?", "comment", "2025-03-01 10:01:00", "lead", "c2"],
        ["4", ANSWER, "comment", "2025-03-01 10:06:00", "admin", "c1"],
        ["3", "checking", "note", "2025-03-01 10:05:00", "admin", "c1"],
    ]  # fmt: skip
    found, faults = read(table(head, *rows).encode(), "intercom", "export.csv")
    assert faults == []
    assert {one.external_id: said(one) for one in found} == {
        "c1": [("visitor", QUESTION), ("(agent)", "checking"), ("agent", ANSWER)],
        "c2": [("visitor", "Do you ship abroad?")],
    }


# --- Chatwoot --------------------------------------------------------------------------------


def chatwoot_messages() -> list[dict[str, Any]]:
    contact, user, bot = {"type": "contact"}, {"type": "user"}, {"type": "agent_bot"}
    told = [
        (0, QUESTION, False, contact),
        (2, "Conversation was assigned", False, None),
        (3, "Give us your e-mail", False, None),
        (1, "I am a robot", False, bot),
        (1, "who takes this?", True, user),
        (1, ANSWER, False, user),
    ]
    return [
        {
            "id": at,
            "message_type": kind,
            "content": text,
            "private": private,
            "sender": sender,
            "created_at": 1_740_823_200 + at,
        }
        for at, (kind, text, private, sender) in enumerate(told)
    ]


EXPECTED = [
    ("visitor", QUESTION),
    ("system", "Conversation was assigned"),
    ("system", "Give us your e-mail"),
    ("bot", "I am a robot"),
    ("(agent)", "who takes this?"),
    ("agent", ANSWER),
]


def test_chatwoot_conversations_of_the_api() -> None:
    row = {"id": 5, "status": "resolved", "labels": ["退货"], "messages": chatwoot_messages()}
    (one,), faults = read(json.dumps({"data": {"payload": [row]}}).encode(), "chatwoot")
    assert faults == []
    assert (said(one), one.status, one.tags) == (EXPECTED, "resolved", ["退货"])


def test_chatwoot_events_of_the_webhook_are_put_together() -> None:
    names = {0: "incoming", 1: "outgoing", 2: "activity", 3: "template"}
    rows = [
        message
        | {
            "event": "message_created",
            "message_type": names[message["message_type"]],
            "conversation": {"id": 5, "status": "open"},
        }
        for message in chatwoot_messages()
    ]
    rows += [
        {"event": "conversation_updated", "id": 5},
        rows[0] | {"conversation": {"id": 6}, "content": "another"},
    ]
    found, faults = read(lines(rows[3], *rows[:3], *rows[4:]), "chatwoot", "hooks.jsonl")
    assert faults == []
    assert {one.external_id: said(one) for one in found}["5"] == EXPECTED


def test_an_answer_from_the_channels_own_app_is_a_persons() -> None:
    echo = {
        "id": 1,
        "conversation_id": 5,
        "message_type": 1,
        "content": ANSWER,
        "sender": None,
        "content_attributes": {"external_echo": True},
        "created_at": 5,
    }
    (one,), _faults = read(lines(echo), "chatwoot", "m.jsonl")
    assert said(one) == [("agent", ANSWER)]


# --- Freshdesk -------------------------------------------------------------------------------


def test_freshdesk_tickets_begin_with_their_description() -> None:
    row = {
        "id": 31,
        "subject": "Return",
        "description_text": QUESTION,
        "requester_id": 77,
        "created_at": "2025-03-01T10:00:00Z",
        "conversations": [
            {"incoming": False, "private": True, "body_text": "who?", "created_at": "2025-03-01T10:02:00Z"},
            {"incoming": False, "private": False, "body": f"<div>{ANSWER}</div>", "created_at": "2025-03-01T10:01:00Z"},
            {"incoming": True, "private": False, "body_text": "Great, thanks", "created_at": "2025-03-01T10:03:00Z"},
        ],
    }  # fmt: skip
    (one,), faults = read(json.dumps([row]).encode(), "freshdesk")
    assert faults == []
    assert said(one) == [
        ("visitor", QUESTION),
        ("agent", ANSWER),
        ("(agent)", "who?"),
        ("visitor", "Great, thanks"),
    ]


# --- Chinese desks ----------------------------------------------------------------------------

HEAD = ["会话ID", "访客", "客服", "发送方", "消息时间", "消息内容"]
ROWS = [
    ["S1", "小猫", "客服01", "访客", "2025/3/1 下午2:05:00", QUESTION_ZH],
    ["S1", "小猫", "客服01", "访客", "2025/3/1 下午2:05:30", "[图片]"],
    ["S1", "小猫", "客服01", "客服", "2025/3/1 下午2:06:00", ANSWER_ZH],
    ["S1", "小猫", "客服01", "系统消息", "2025/3/1 下午2:09:00", "会话结束"],
]


@pytest.mark.parametrize("encoding", ["gb18030", "utf-8-sig", "utf-16"])
def test_chinese_desks_write_tables_in_their_own_encodings(encoding: str) -> None:
    (one,), faults = read(table(HEAD, *ROWS).encode(encoding), "table", "导出.csv")
    assert faults == []
    assert said(one) == [
        ("visitor", QUESTION_ZH),
        ("visitor", "[图片]"),
        ("agent", ANSWER_ZH),
        ("system", "会话结束"),
    ]
    assert one.parts[0].at is not None
    assert one.parts[0].at.isoformat() == "2025-03-01T14:05:00+08:00"


def test_merged_cells_of_a_workbook_count_for_the_rows_below() -> None:
    rows = [ROWS[0], [None, None, None, *ROWS[1][3:]], [None, None, None, *ROWS[2][3:]]]
    (one,), faults = read(workbook(HEAD, *rows, merged="A2:A4"), "table", "导出.xlsx")
    assert faults == []
    assert (one.external_id, len(one.parts)) == ("S1", 3)


def test_a_table_without_conversations_is_parted_at_pauses() -> None:
    head = ["昵称", "内容", "状态", "类型", "客户端", "创建时间"]
    rows = [
        ["小猫", QUESTION_ZH, "已读", "TEXT", "WEB", "2025-03-01 14:05:00"],
        ["客服小美", ANSWER_ZH, "已读", "TEXT", "WEB", "2025-03-01 14:06:00"],
        ["小狗", "可以开发票吗", "已读", "TEXT", "WEB", "2025-03-02 09:00:00"],
    ]
    found, faults = read(table(head, *rows).encode(), "table", "bytedesk.csv")
    assert faults == []
    assert [said(one) for one in found] == [
        [("visitor", QUESTION_ZH), ("agent", ANSWER_ZH)],
        [("visitor", "可以开发票吗")],
    ]


def test_speakers_written_into_the_text_are_found() -> None:
    rows = [["会话编号", "时间", "聊天内容"], ["1", "2025-03-01 10:00", f"访客：{QUESTION_ZH}"]]
    rows.append(["1", "2025-03-01 10:01", f"客服小李：{ANSWER_ZH}"])
    (one,), _faults = read(table(*rows).encode(), "table", "a.csv")
    assert said(one) == [("visitor", QUESTION_ZH), ("agent", ANSWER_ZH)]


def test_columns_with_names_of_their_own_are_mapped_by_hand() -> None:
    rows = [["Vorgang", "Wer", "Was"], ["1", "customer", QUESTION], ["1", "agent", ANSWER]]
    _found, faults = read(table(*rows).encode(), "table", "a.csv")
    assert [fault.code for fault in faults] == ["columns_no_messages"]
    mapping = {"conversation": "Vorgang", "role": "Wer", "text": "Was"}
    (one,), faults = read(table(*rows).encode(), "table", "a.csv", mapping)
    assert (said(one), faults) == ([("visitor", QUESTION), ("agent", ANSWER)], [])


def test_a_row_that_cannot_be_read_costs_its_whole_conversation() -> None:
    rows = [
        *ROWS,
        ["S2", "小狗", "客服01", "访客", "昨天", "在吗，退货运费谁出？"],
        ["S2", "小狗", "客服01", "客服", "2025/3/1 14:09:00", ANSWER_ZH],
        ["S3", "小鸟", "客服01", "???", "2025/3/1 14:09:00", "谁在说话"],
    ]
    found, faults = read(table(HEAD, *rows).encode(), "table", "a.csv")
    assert [one.external_id for one in found] == ["S1"]
    assert [(fault.code, fault.line, fault.pointer) for fault in faults] == [
        ("moment_unknown", 6, "/消息时间"),
        ("speaker_unknown", 8, "/发送方"),
    ]


# --- Files that were made to teach ------------------------------------------------------------


def test_openai_chat_keeps_what_is_not_to_be_learned_as_a_note() -> None:
    row = {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": QUESTION},
            {"role": "assistant", "content": "Dunno.", "weight": 0},
            {"role": "user", "content": QUESTION_ZH},
            {"role": "assistant", "content": ANSWER_ZH},
        ]
    }
    (one,), faults = read(lines(row), "openai", "chat.jsonl")
    assert faults == []
    assert [role for role, _text in said(one)] == [
        "system",
        "visitor",
        "(agent)",
        "visitor",
        "agent",
    ]


def test_sharegpt_and_plain_questions() -> None:
    talk = {
        "conversations": [{"from": "human", "value": QUESTION}, {"from": "gpt", "value": ANSWER}]
    }
    (one,), _faults = read(lines(talk), "sharegpt", "s.jsonl")
    assert said(one) == [("visitor", QUESTION), ("agent", ANSWER)]
    rows = table(["问题", "答案"], [QUESTION_ZH, ANSWER_ZH]).encode("gb18030")
    (one,), _faults = read(rows, "questions", "faq.csv")
    assert said(one) == [("visitor", QUESTION_ZH), ("agent", ANSWER_ZH)]


def test_a_file_of_another_kind_is_refused_with_a_sentence() -> None:
    found, faults = read(b"%PDF-1.7 whatever", "zendesk", "t.pdf")
    assert found == []
    assert [fault.code for fault in faults] == ["form_foreign"]
