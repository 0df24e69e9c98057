"""Spreadsheets of messages, one a row, of any desk: columns known by their names in two languages."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from django.utils.translation import gettext_lazy as _

from apps.chatbot.history.shape import AGENT, BOT, SYSTEM, VISITOR, Part
from apps.chatbot.history.spool import Message
from apps.chatbot.history.times import moment
from apps.chatbot.history.values import MOST_ID, role_called, words_of
from apps.chatbot.history.words import from_markup, plain
from common.errors import ApplicationError
from labeling.faults import Fault, excerpt
from labeling.readers.columns import NOTHING_ELSE, Columns
from labeling.readers.raw import RawRow

CONVERSATION, TIME, ROLE, SENDER, TEXT = "conversation", "time", "role", "sender", "text"
CUSTOMER, AGENT_NAME, KIND, PRIVATE = "customer", "agent", "kind", "private"
CHANNEL, STATUS, TAGS, RATING = "channel", "status", "tags", "rating"

NAMES: Mapping[str, tuple[str, ...]] = {
    CONVERSATION: (
        "conversationid", "conversation", "sessionid", "session", "ticketid", "threadid", "chatid", "dialogid",
        "会话id", "会话编号", "会话号", "会话", "对话id", "对话编号", "工单号", "工单编号", "工单id", "咨询id", "接待id",
    ),
    TIME: (
        "messagecreatedat", "createdat", "time", "timestamp", "date", "datetime", "sentat", "messagetime",
        "消息时间", "发送时间", "创建时间", "时间", "聊天时间", "日期", "发送日期",
    ),
    ROLE: (
        "messageauthortype", "authortype", "sendertype", "role", "direction", "from", "fromtype", "usertype",
        "发送方", "角色", "发送者类型", "发送人类型", "消息来源", "发送方类型", "消息方向", "身份", "来源",
    ),
    SENDER: (
        "sender", "author", "messageauthorname", "authorname", "sendername", "name", "nickname", "username",
        "发送人", "发送者", "发言人", "昵称", "姓名", "发送人名称", "发送者昵称", "发送人昵称",
    ),
    CUSTOMER: (
        "customer", "visitor", "customername", "customerid", "contact", "visitorid",
        "访客", "客户", "顾客", "买家", "访客名称", "访客昵称", "客户名称", "客户昵称", "访客id", "客户id", "用户", "用户昵称",
    ),
    AGENT_NAME: (
        "agent", "agentname", "operator", "客服", "客服名称", "客服昵称", "坐席", "座席", "接待客服", "客服姓名", "接待人员", "坐席姓名",
    ),
    TEXT: (
        "messagebody", "body", "text", "content", "message", "messagecontent", "messagetext",
        "消息内容", "内容", "聊天内容", "消息", "聊天记录", "对话内容", "发送内容", "文本",
    ),
    KIND: ("messagetype", "type", "contenttype", "消息类型", "类型", "内容类型"),
    PRIVATE: ("private", "internal", "isprivate", "note", "内部备注", "是否内部", "备注消息"),
    CHANNEL: ("channel", "client", "platform", "客户端", "渠道", "来源渠道", "接入渠道", "访问来源"),
    STATUS: ("conversationstate", "state", "status", "会话状态", "状态"),
    TAGS: ("conversationtags", "tags", "labels", "标签", "会话标签"),
    RATING: ("rating", "csat", "satisfaction", "满意度", "评价"),
}  # fmt: skip
_MEANING = {name: role for role, names in NAMES.items() for name in names}
_FILLING = re.compile(r"[\s_\-（）()]+")
_CJK = re.compile("[\u4e00-\u9fff]")

# Merged cells stand in the first of their rows alone.
_MERGED = (CONVERSATION, CUSTOMER, AGENT_NAME)
# Without an id of the conversation, a pause as long as this begins another.
PAUSE = timedelta(hours=2)
CHINA = ZoneInfo("Asia/Shanghai")

_SPOKEN_BY = re.compile(
    r"^\s*[【\[（(]?(访客|客户|用户|顾客|买家|客服|人工客服|坐席|机器人|智能客服|系统|customer|visitor|user|agent|bot|system)"
    r"[^:：】\]）)\n]{0,20}[】\]）)]?\s*[:：]\s*",
    re.IGNORECASE,
)
_BY_NAME = (
    (BOT, re.compile(r"机器人|智能|小助手|AI|bot\b", re.IGNORECASE)),
    (SYSTEM, re.compile(r"系统|system", re.IGNORECASE)),
    (
        AGENT,
        re.compile(r"客服|坐席|座席|专员|售后|售前|店铺|旗舰店|顾问|support|agent", re.IGNORECASE),
    ),
)
_NO_TEXT = re.compile(
    r"图片|表情|语音|视频|文件|image|file|voice|video|sticker|picture", re.IGNORECASE
)
_EVENT = re.compile(r"系统|事件|通知|提示|event|system|activity", re.IGNORECASE)
_YES = {"1", "true", "yes", "是", "y"}


def meaning(name: str) -> str | None:
    """The role of a column, or None where its name says nothing to us."""
    folded = unicodedata.normalize("NFKC", name).strip().strip("\ufeff:：?？*").casefold()
    return _MEANING.get(_FILLING.sub("", folded))


class Header:
    """What the columns mean: as a person said, else as their names say. Known once a header was seen."""

    def __init__(self, mapping: Mapping[str, str]) -> None:
        unknown = set(mapping) - set(NAMES) - {NOTHING_ELSE}
        if unknown:
            raise ApplicationError(
                "mapping_unknown",
                _("The mapping speaks of “%(key)s”; it can name: %(known)s.")
                % {"key": excerpt(sorted(unknown)[0]), "known": ", ".join(NAMES)},
                field="mapping",
            )
        self._mapping = mapping
        self.zone: tzinfo | None = None

    def recognise(self, cells: Sequence[str]) -> Columns | Fault:
        names = tuple(cell.strip().strip("\ufeff") for cell in cells)
        missing = [column for _role, column in self._chosen() if column not in names]
        if missing:
            figures = {"column": excerpt(missing[0]), "found": excerpt(", ".join(names), 120)}
            return Fault("column_missing", figures=figures)
        roles = self.guessed(names)
        if TEXT not in roles or not {CONVERSATION, TIME} & set(roles):
            return Fault("columns_no_messages", figures={"found": excerpt(", ".join(names), 120)})
        if _CJK.search("".join(names)):
            self.zone = CHINA
        used = set(roles.values())
        ignored = tuple(name for at, name in enumerate(names) if name and at not in used)
        return Columns(names, roles, frozenset(), ignored)

    def guessed(self, names: Sequence[str]) -> dict[str, int]:
        """Role -> the place of its column, as far as that is known."""
        roles = {role: names.index(column) for role, column in self._chosen() if column in names}
        if NOTHING_ELSE not in self._mapping:
            for at, name in enumerate(names):
                role = meaning(name)
                if role is not None and role not in roles and at not in roles.values():
                    roles[role] = at
        return roles

    def _chosen(self) -> list[tuple[str, str]]:
        return [(role, column) for role, column in self._mapping.items() if role != NOTHING_ELSE]


def messages(rows: Iterable[RawRow | Fault], header: Header) -> Iterator[Message | Fault | str]:
    """Each row as a message. A row that cannot be read gives its faults and the name of its conversation."""
    table = _Table(header)
    for raw in rows:
        if isinstance(raw, Fault):
            yield raw
            if table.name:
                yield table.name
            continue
        yield from table.read(raw)


class _Table:
    """What the rows above said counts for those below: merged cells, and the conversation we are in."""

    def __init__(self, header: Header) -> None:
        self.name = ""
        self._header = header
        self._above: dict[str, str] = {}
        self._last: datetime | None = None

    def read(self, raw: RawRow) -> Iterator[Message | Fault | str]:
        row = {role: cell.strip() for role, cell in raw.value.items() if isinstance(cell, str)}
        for role in _MERGED:
            if row.get(role):
                self._above[role] = row[role]
            elif role in self._above and (role == CONVERSATION or not row.get(CONVERSATION)):
                row[role] = self._above[role]
        at = moment(row.get(TIME), self._header.zone) if row.get(TIME) else None
        self._enter(row, at)
        if row.get(TIME) and at is None:
            yield raw.fault("moment_unknown", (TIME,), {"found": excerpt(row[TIME])})
            yield self.name
            return
        role = self._role(row)
        if not role:
            said = row.get(ROLE) or row.get(SENDER) or row.get(TEXT, "")
            yield raw.fault(
                "speaker_unknown", (ROLE if ROLE in row else TEXT,), {"found": excerpt(said)}
            )
            yield self.name
            return
        yield Message(self.name, raw.line, self._part(row, role, at), self._about(row, role))

    def _enter(self, row: Mapping[str, str], at: datetime | None) -> None:
        """The conversation that the row belongs to: the one it names, or the one going on."""
        if row.get(CONVERSATION):
            name = row[CONVERSATION]
            digest = hashlib.sha256(name.encode()).hexdigest()
            self.name = name if len(name) <= MOST_ID else f"sha256:{digest}"
        elif not self.name or at is None or self._last is None or abs(at - self._last) > PAUSE:
            # Known by how it begins, so that the same file gives the same conversations.
            told = "\0".join((row.get(TIME, ""), row.get(SENDER, ""), row.get(TEXT, "")))
            self.name = f"sha256:{hashlib.sha256(told.encode()).hexdigest()[:32]}"
        self._last = at or self._last

    def _role(self, row: Mapping[str, str]) -> str:
        if _EVENT.search(row.get(KIND, "")):
            return SYSTEM
        if role := role_called(row.get(ROLE, "")) or role_called(row.get(KIND, "")):
            return role
        sender = row.get(SENDER) or row.get(ROLE, "")
        if sender:
            if sender == row.get(CUSTOMER):
                return VISITOR
            if sender == row.get(AGENT_NAME):
                return AGENT
            for role, shape in _BY_NAME:
                if shape.search(sender):
                    return role
            # Of two sides one is a desk's by its name; whoever else speaks is the other.
            return VISITOR if SENDER in row else ""
        spoken = _SPOKEN_BY.match(row.get(TEXT, ""))
        return role_called(spoken[1]) if spoken else ""

    def _part(self, row: Mapping[str, str], role: str, at: datetime | None) -> Part:
        text = row.get(TEXT, "")
        if not row.get(ROLE) and not row.get(SENDER):
            text = _SPOKEN_BY.sub("", text)
        is_file = bool(_NO_TEXT.search(row.get(KIND, ""))) or bool(
            re.fullmatch(r"https?://\S+\.(?:png|jpe?g|gif|webp|mp4|amr|mp3|pdf)\S*", text)
        )
        markup = text.lstrip().startswith("<")
        return Part(
            role=role,
            text="" if is_file else (from_markup(text) if markup else plain(text)),
            at=at,
            is_private=row.get(PRIVATE, "").casefold() in _YES or row.get(KIND, "") == "note",
            attachments=int(is_file),
            author=row.get(SENDER, "") if role in (VISITOR, AGENT) else "",
        )

    def _about(self, row: Mapping[str, str], role: str) -> dict[str, object]:
        customer = row.get(CUSTOMER) or (row.get(SENDER, "") if role == VISITOR else "")
        names = [row.get(CUSTOMER, ""), row.get(AGENT_NAME, "")]
        return {
            "customer": customer,
            "channel": row.get(CHANNEL, ""),
            "status": row.get(STATUS, ""),
            "rating": row.get(RATING, ""),
            "tags": words_of(row.get(TAGS, "")),
            "names": [name for name in names if name],
        }
