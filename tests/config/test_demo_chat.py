"""The last chapter of the first run: knowledge that is published once, and a chat that answers from it."""

import pytest
from django.test import Client

from apps.chatbot.models import Article
from apps.chatbot.retrieval.search import search
from apps.chatbot.services import knowledge
from config import demo
from config.demo import chat
from config.demo.company import DEPLOYMENT
from gpt_core.models import Deployment
from tenancy.audit import AuditEntry
from tenancy.scope import tenant_scope
from tests.factories import make_tenant, make_user
from tests.gpt_core.rows import make_base

pytestmark = pytest.mark.django_db
SITE = "http://127.0.0.1:8000"


def nothing(share: float | None, words: str) -> None:
    """Nobody watches."""


@pytest.fixture
def story() -> demo.Story:
    return demo.Story(
        company=demo.ZARAGOZA,
        tenant=make_tenant("zaragoza"),
        owner=make_user("owner@zaragoza.example"),
    )


def test_what_the_company_knows_is_published_once_and_found(story: demo.Story) -> None:
    with tenant_scope(story.tenant):
        # A start that was broken off left this behind.
        knowledge.publish_articles([{"external_id": "bygglov-001", "title": "Q", "body": "A"}])
        for _start in range(2):
            assert chat.publish_knowledge(story, nothing).startswith("503")
        assert Article.objects.filter(state=Article.State.PUBLISHED).count() == 503
        assert AuditEntry.objects.filter(action="article.published").count() == 0
        found = search("When may I begin to build after the permit?")
        assert found, "the articles are searched at once"


def test_the_chat_stands_on_another_site_and_nowhere_else(
    story: demo.Story, client: Client
) -> None:
    with tenant_scope(story.tenant):
        Deployment.objects.create(name=DEPLOYMENT, base_model=make_base())
        inbox = chat.open_chat(story, SITE)
        assert chat.open_chat(story, SITE) == inbox
        assert inbox.allowed_origins == [SITE]
    assert client.get(f"/demo/{inbox.key}/", headers={"host": "127.0.0.1:8000"}).status_code == 200
    assert client.get(f"/demo/{inbox.key}/", headers={"host": "localhost:8000"}).status_code == 404
