"""A company's knowledge and its inboxes: what the pages of the chatbot show."""

from __future__ import annotations

from dataclasses import dataclass

from accounts.models import User
from apps.chatbot.models import Article, Inbox
from apps.chatbot.services import knowledge
from tenancy.models import Tenant
from tenancy.scope import tenant_scope

GUARANTEE = """The guarantee on facades is **ten years**.

## What it covers

- paint that peels or fades
- joints that open

| Part | Years |
| --- | --- |
| Facade | 10 |
| Windows | 5 |

Write to <service@example.com> with a picture.
"""
WARRANTY = """外墙保修十年，门窗保修五年。

## 如何报修

请把照片发到 service@example.com，我们两个工作日内答复。
"""


@dataclass(frozen=True)
class Scene:
    article: Article
    inbox: Inbox


def tell(tenant: Tenant, author: User) -> Scene:
    with tenant_scope(tenant):
        article = _published("How long is the guarantee?", GUARANTEE, author)
        knowledge.write_article(
            article=article,
            title="How long is the guarantee?",
            body=GUARANTEE.replace("| Windows | 5 |", "| Windows | 7 |"),
            actor=author,
        )
        _published("保修期有多长？", WARRANTY, author, language="zh", questions=["坏了怎么办"])
        _published(
            "Which colours can a facade have?",
            "Any colour of the NCS table; white and grey cost nothing extra.",
            author,
            is_curated=True,
        )
        knowledge.write_article(
            title="What happens when it rains for weeks and the scaffold cannot be put up?",
            body="To be written together with the foremen.",
            actor=author,
        )
        old = _published("Prices of 2023", "A square metre was 890 kr.", author)
        knowledge.archive_article(article=old)
        inbox = Inbox.objects.create(
            name="Acme 官网", allowed_origins=["https://www.example.com"], greeting="您好！Hello"
        )
    return Scene(article, inbox)


def _published(
    title: str, body: str, author: User, language: str = "en", **more: object
) -> Article:
    article = knowledge.write_article(
        title=title, body=body, language=language, actor=author, **more
    )
    return knowledge.publish_article(article=article)
