"""A support inbox in a running site: `python -m tests.browser.inbox ORIGIN` prints key=KEY, and asking=KEY of one that
asks before the chat, whose people come in three days, in traditional Chinese."""

from __future__ import annotations

import sys

import django


def main() -> None:
    django.setup()
    seed(sys.argv[1])


def seed(origin: str) -> None:
    from datetime import timedelta

    from django.utils import timezone

    from apps.chatbot.hours import DAYS
    from apps.chatbot.services import knowledge
    from gpt_core.models import Deployment
    from tenancy.models import Tenant
    from tenancy.scope import system_scope, tenant_scope
    from tests.apps.chatbot.makers import make_inbox
    from tests.apps.chatbot.test_knowledge import ARTICLES

    with system_scope("test: find the tenant"):
        tenant = Tenant.objects.get(slug="acme")
    with tenant_scope(tenant):
        for title, body, language in ARTICLES:
            article = knowledge.write_article(title=title, body=body, language=language)
            knowledge.publish_article(article=article)
        inbox = make_inbox(
            name="Acme 客服",
            allowed_origins=[origin],
            deployment=Deployment.objects.get(name="support"),
            greeting="Hello, 您好！",
        )
        day = DAYS[(timezone.now() + timedelta(days=3)).weekday()]
        asking = make_inbox(
            name="Acme 臺灣",
            allowed_origins=[origin],
            language="zh-hant",
            theme={"accent": "#ffee00", "mode": "light"},
            hours={"zone": "Asia/Taipei", "days": {day: [["09:00", "10:00"]]}},
            pre_chat=[
                {"kind": "name", "label": "怎麼稱呼您？", "required": True},
                {"kind": "choice", "label": "關於", "required": True, "choices": ["退貨", "發票"]},
            ],
        )
    print(f"asking={asking.key}")  # noqa: T201
    print(f"key={inbox.key}")  # noqa: T201


if __name__ == "__main__":
    main()
