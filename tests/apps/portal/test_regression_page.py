"""Test questions on their page: written, kept with one click, asked, read."""

from __future__ import annotations

from typing import Any

import pytest

from apps.chatbot import services
from apps.chatbot.models import AnswerReview, Article, Inbox, RegressionCase, RegressionRun
from apps.chatbot.services import knowledge, regression
from gpt_core.models import Deployment
from labeling import work
from tenancy.models import AuditEntry, Tenant
from tenancy.scope import tenant_scope
from tests.apps.chatbot.makers import make_inbox
from tests.apps.chatbot.test_answering import Says, says  # noqa: F401
from tests.apps.chatbot.test_learning import answered, visit
from tests.apps.portal.conftest import Door
from tests.apps.portal.test_knowledge_pages import text_of
from tests.gpt_core.rows import make_checkpoint, make_evaluation

pytestmark = pytest.mark.django_db


def at(tenant: Tenant, path: str = "") -> str:
    return f"/t/{tenant.slug}/tests/{path}"


@pytest.fixture
def inbox(tenant: Tenant) -> Inbox:
    with tenant_scope(tenant):
        return make_inbox(name="官网")


def form(place: Inbox, **changed: Any) -> dict[str, Any]:
    return {"inbox": str(place.pk), "question": "可以退货吗？", "must_contain": "七天\n"} | changed


def test_a_question_is_written_and_taken_away(tenant: Tenant, inbox: Inbox, door: Door) -> None:
    client = door("annotator")
    assert "Nothing blocks a promotion yet" in text_of(client.get(at(tenant)))
    page = client.post(at(tenant), form(inbox), follow=True)
    assert "Kept." in text_of(page)
    with tenant_scope(tenant):
        case = RegressionCase.objects.get()
        assert (case.must_contain, case.article) == (["七天"], None)
    client.post(at(tenant, f"{case.pk}/remove/"))
    with tenant_scope(tenant):
        assert not RegressionCase.objects.exists()
        actions = set(AuditEntry.objects.values_list("action", flat=True))
    assert {"regression.case_added", "regression.case_removed"} <= actions


@pytest.mark.parametrize(
    "odd",
    [
        {"question": ""},
        {"must_contain": ""},
        {"must_contain": "\x00"},
        {"question": "问" * 1001},
        {"article": "x"},
        {"inbox": "x"},
    ],
)
def test_what_makes_no_sense_is_said_beside_its_field(
    odd: dict[str, str], tenant: Tenant, inbox: Inbox, door: Door
) -> None:
    page = door("annotator").post(at(tenant), form(inbox, **odd))
    assert page.status_code == 400
    assert "errorlist" in page.content.decode()


def test_a_run_is_asked_for_and_read(
    tenant: Tenant,
    inbox: Inbox,
    door: Door,
    says: Says,  # noqa: F811
) -> None:
    says("好的。")
    with tenant_scope(tenant):
        checkpoint = make_checkpoint(tenant)
        regression.add_case(inbox=inbox, question="<b>可以</b>退货吗？", must_contain=["七天"])
    client = door("admin")
    page = client.post(at(tenant, "run/"), {"checkpoint": str(checkpoint.pk)}, follow=True)
    assert "The questions are being asked." in text_of(page)
    with tenant_scope(tenant):
        run = RegressionRun.objects.get()
        work.carry_out(run)
    text = text_of(client.get(at(tenant)))
    assert "failed 0 of 1" in text
    page = client.get(at(tenant, f"runs/{run.pk}/"))
    assert "did not answer" in text_of(page)
    assert "<b>可以</b>" not in page.content.decode()
    assert client.post(at(tenant, "run/"), {"checkpoint": "无"}).status_code == 404


def test_good_answers_articles_and_mistakes_are_kept_with_one_click(
    tenant: Tenant, inbox: Inbox, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services.reviews, "DRAWN_SHARE", 1.0)
    with tenant_scope(tenant):
        answered(visit(inbox), "可以退货吗，要几天？", "签收后7天内可以退货。")
        article = knowledge.publish_article(
            article=knowledge.write_article(
                title="怎么开发票？", body="在订单页面。", language="zh"
            )
        )
        review = AnswerReview.objects.get()
    client = door("annotator")
    page = client.post(at(tenant, f"keep/review/{review.pk}/"), follow=True)
    assert "Kept." in text_of(page)
    page = client.post(at(tenant, f"keep/article/{article.pk}/"), follow=True)
    assert "1 question is a test now." in text_of(page)
    with tenant_scope(tenant):
        review.refresh_from_db()
        assert review.verdict == "right"
        kept = {one.question: one for one in RegressionCase.objects.all()}
        assert kept["可以退货吗，要几天？"].must_contain == ["7"]
        assert kept["怎么开发票？"].article == Article.objects.get()


@pytest.mark.parametrize("role", ["viewer", "agent"])
def test_who_may_not_label_reads(role: str, tenant: Tenant, inbox: Inbox, door: Door) -> None:
    client = door(role)
    assert "Add a question" not in text_of(client.get(at(tenant)))
    assert client.post(at(tenant), form(inbox)).status_code == 403
    assert client.post(at(tenant, "run/"), {"checkpoint": str(inbox.pk)}).status_code == 403


def test_the_page_of_a_checkpoint_says_what_keeps_it_out_and_an_owner_overrules(
    tenant: Tenant, inbox: Inbox, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpt_core.services.engines.load", lambda checkpoint: None)
    with tenant_scope(tenant):
        checkpoint = make_checkpoint(tenant)
        make_evaluation(checkpoint)
        inbox.deployment = Deployment.objects.create(
            name="support", base_model=checkpoint.base_model
        )
        inbox.save()
    path = f"/t/{tenant.slug}/checkpoints/{checkpoint.pk}/"
    client = door("owner")
    assert "Promote anyway" not in text_of(client.get(path))
    with tenant_scope(tenant):
        regression.add_case(inbox=inbox, question="可以退货吗？", must_refuse=True)
    text = text_of(client.get(path))
    assert "The test questions of “官网” have not been put to this checkpoint yet." in text
    assert "Promote anyway" in text
    sent = {"override": "yes", "reason": "我自己看过所有的回答了，可以上线", "from": "checkpoint"}
    client.post(f"{path}promote/", sent)
    with tenant_scope(tenant):
        assert Deployment.objects.get().checkpoint == checkpoint
