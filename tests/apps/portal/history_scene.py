"""A company's history: one file that came in, with faults and things passed over, and one that is looked at."""

from __future__ import annotations

from typing import Any

from apps.chatbot.models import PastConversation
from tenancy.models import Tenant
from tenancy.scope import tenant_scope
from tests.apps.chatbot.history.files import (
    ANSWER,
    ANSWER_ZH,
    QUESTION,
    QUESTION_ZH,
    imported,
    received,
    ticket,
    zendesk,
)

TABLE = (
    "会话ID,发送方,消息时间,消息内容\n"
    f"S1,访客,2025-03-01 14:05:00,{QUESTION_ZH}我的手机是13812345678\n"
    f"S1,客服,2025-03-01 14:06:00,{ANSWER_ZH}\n"
    "S2,???,2025-03-01 14:07:00,谁在说话\n"
)


def tell(tenant: Tenant, actor: Any) -> dict[str, Any]:
    file = zendesk(
        ticket(1, (1, f"{QUESTION} My name is Thandiwe."), (10, ANSWER), subject="Return"),
        ticket(2, (1, f"您好，{QUESTION_ZH}"), (10, ANSWER_ZH)),
        ticket(3, (1, QUESTION), (10, f"Hi! {ANSWER}")),
        ticket(4, (1, QUESTION), (10, "Let me check that.")),
        {"id": 5, "comments": "none"},
    )
    with tenant_scope(tenant):
        done = imported(file, filename="zendesk.json", actor=actor)
        check = received(
            TABLE.encode("gb18030"), "table", "聊天记录.csv", dataset=done.dataset, actor=actor
        )
        past = PastConversation.objects.get(external_id="1")
    return {"history": done, "history-check": check, "past": past}
