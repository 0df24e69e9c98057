"""The numbers on their page and by REST, and the queue of answers that lot drew."""

from __future__ import annotations

from typing import Any

import pytest

from apps.chatbot import services
from apps.chatbot.models import AnswerReview, Inbox
from tenancy.models import Tenant
from tenancy.scope import tenant_scope
from tests.apps.chatbot.api.conftest import Api
from tests.apps.chatbot.makers import make_inbox
from tests.apps.chatbot.test_learning import answered, solve, visit
from tests.apps.portal.conftest import Door
from tests.apps.portal.test_knowledge_pages import text_of

pytestmark = pytest.mark.django_db


def at(tenant: Tenant, path: str = "") -> str:
    return f"/t/{tenant.slug}/numbers/{path}"


@pytest.fixture
def inbox(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> Inbox:
    """Two that the bot resolved, one that people have; every answer drawn."""
    monkeypatch.setattr(services.reviews, "DRAWN_SHARE", 1.0)
    with tenant_scope(tenant):
        inbox = make_inbox(name="官网")
        for question in ("可以退货吗？", "<b>门</b>可以定做吗？"):
            conversation = visit(inbox)
            answered(conversation, question, "收到后七天内可以。")
            solve(conversation)
        answered(visit(inbox), "地板能不能水洗？")
    return inbox


def test_each_figure_stands_with_its_definition(tenant: Tenant, inbox: Inbox, door: Door) -> None:
    text = text_of(door("viewer").get(at(tenant)))
    assert "Resolved without people 67 % 2 of 3 · 21–94 % · still few" in text
    assert "no person was fetched" in text
    assert "nothing in the knowledge answers it 1 33 %" in text
    assert "days of UTC" in text
    assert "Review answers" not in text


@pytest.mark.parametrize("odd", [{"days": "8"}, {"days": "无"}, {"inbox": "x"}, {"days": "9" * 99}])
def test_what_makes_no_sense_shows_everything(
    odd: dict[str, str], tenant: Tenant, inbox: Inbox, door: Door
) -> None:
    client = door("viewer")
    assert "3 conversations" in text_of(client.get(at(tenant), odd))
    assert client.get(at(tenant, "days/"), odd).json()["days"][-1]


def test_an_inbox_without_conversations_says_so(tenant: Tenant, inbox: Inbox, door: Door) -> None:
    with tenant_scope(tenant):
        other = make_inbox(name="别处")
    page = door("viewer").get(at(tenant), {"inbox": str(other.pk), "days": "7"})
    assert "No conversation began in these days." in text_of(page)


def test_the_chart_has_every_day(tenant: Tenant, inbox: Inbox, door: Door) -> None:
    found = door("viewer").get(at(tenant, "days/"), {"days": "7"}).json()
    assert len(found["days"]) == 7
    assert (found["bot"][-1], found["people"][-1], found["neither"][-1]) == (2, 1, 0)


def test_drawn_answers_are_judged_one_after_another(
    tenant: Tenant, inbox: Inbox, door: Door
) -> None:
    client = door("annotator")
    for verdict in ("right", "wrong"):
        page = client.get(at(tenant, "review/"))
        assert "<b>门</b>" not in page.content.decode()
        with tenant_scope(tenant):
            waiting = AnswerReview.objects.filter(verdict="waiting").order_by("pk").first()
        assert waiting is not None
        path = at(tenant, f"review/{waiting.pk}/")
        assert client.post(path, {"verdict": "maybe"}).status_code == 400
        client.post(path, {"verdict": verdict})
    assert "Every drawn answer is reviewed." in text_of(client.get(at(tenant, "review/")))
    assert "Wrong answers 50 % 1 of 2" in text_of(client.get(at(tenant)))
    with tenant_scope(tenant):
        assert AnswerReview.objects.exclude(reviewer=None).count() == 2


def test_who_may_not_label_reviews_nothing(tenant: Tenant, inbox: Inbox, door: Door) -> None:
    client = door("agent")
    with tenant_scope(tenant):
        review = AnswerReview.objects.all()[0]
    assert client.get(at(tenant, "review/")).status_code == 403
    assert client.post(at(tenant, f"review/{review.pk}/"), {"verdict": "right"}).status_code == 403


def test_a_program_reads_the_same_figures(tenant: Tenant, inbox: Inbox) -> None:
    api = Api(tenant)
    found: dict[str, Any] = api("get", f"support-numbers/?days=7&inbox={inbox.pk}")
    assert found["auto_resolved"]["value"] == pytest.approx(2 / 3)
    assert found["reasons"] == [{"reason": "missing_knowledge", "conversations": 1}]
    assert found["wrong"] == {"hits": 0, "of": 0, "value": None, "low": None, "high": None}
    assert (found["zone"], len(found["days"])) == ("UTC", 7)
    assert api("get", "support-numbers/?days=8", status=400)["code"] == "invalid"
    assert api("get", f"support-numbers/?inbox={tenant.pk}", status=404)["code"] == "not_found"
