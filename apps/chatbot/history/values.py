"""Fields of foreign objects, taken as they come: absent, null, a number for a text."""

from collections.abc import Mapping
from typing import Any

from apps.chatbot.history.shape import AGENT, BOT, SYSTEM, VISITOR

MOST_ID = 200

# How systems call the sides of a conversation.
_ROLES = {
    VISITOR: (
        "visitor", "user", "lead", "contact", "customer", "client", "end-user", "enduser", "requester", "buyer", "guest",
        "human", "incoming", "0", "访客", "客户", "用户", "顾客", "买家", "会员", "咨询者", "游客", "粉丝",
    ),
    AGENT: (
        "agent", "admin", "operator", "teammate", "staff", "employee", "support", "seller", "assistant", "outgoing", "1",
        "human_agent", "客服", "坐席", "座席", "人工", "人工客服", "商家", "卖家", "员工", "接待人员", "管理员",
    ),
    BOT: (
        "bot", "agent_bot", "agentbot", "robot", "ai", "ai_agent", "chatbot", "gpt", "机器人", "智能客服", "ai客服", "机器人客服",
        "智能助手", "自动回复",
    ),
    SYSTEM: (
        "system", "activity", "event", "rule", "trigger", "automation", "template", "workflow", "2", "3", "系统", "系统消息",
        "通知", "事件", "系统通知",
    ),
}  # fmt: skip
_ROLE_OF = {name: role for role, names in _ROLES.items() for name in names}


def role_called(name: Any) -> str:
    """The side that a system calls so; "" where the word says nothing to us."""
    return _ROLE_OF.get(text_of(name).strip().casefold(), "")


def text_of(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or value is None or isinstance(value, list | dict):
        return ""
    return str(value) if not isinstance(value, int) or value.bit_length() < 256 else ""


def id_of(value: Any) -> str:
    """An id as text; "" where there is none that we can keep."""
    text = text_of(value).strip()
    return text if len(text) <= MOST_ID else ""


def first_text(source: Mapping[str, Any], *keys: str) -> str:
    """The first of these fields that holds more than blanks."""
    return next((text for key in keys if (text := text_of(source.get(key))).strip()), "")


def list_of(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def object_of(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def words_of(value: Any) -> list[str]:
    """Tags: a list of texts, of objects with a name, or one text with commas."""
    if isinstance(value, str):
        value = value.replace("，", ",").split(",")
    found = [
        first_text(one, "name", "title") if isinstance(one, dict) else text_of(one)
        for one in list_of(value)
    ]
    return [word.strip()[:100] for word in found if word.strip()][:50]
