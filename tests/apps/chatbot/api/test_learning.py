"""Questions without an article, test questions and their runs over REST."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from apps.chatbot.models import Gap, RegressionRun
from labeling import work
from tenancy.models import Tenant
from tenancy.scope import tenant_scope
from tests.apps.chatbot.api.conftest import Api
from tests.apps.chatbot.makers import make_inbox
from tests.apps.chatbot.test_learning import unanswered
from tests.gpt_core.rows import make_checkpoint

pytestmark = pytest.mark.django_db


def test_gaps_are_read_and_dismissed(api: Api, tenant: Tenant) -> None:
    with tenant_scope(tenant):
        inbox = make_inbox()
        unanswered(inbox, "冬天可以刷外墙吗？", "您好，冬天可以刷外墙吗", "门可以定做吗，要多久？")
        Gap.objects.create(inbox=inbox, asked_last=Gap.objects.all()[0].asked_last)
    found = api("get", f"knowledge-gaps/?inbox={inbox.pk}&state=open")["items"]
    assert sorted(len(one["questions"]) for one in found) == [1, 2]
    (twice,) = (one for one in found if len(one["questions"]) == 2)
    assert twice["questions"][0]["why"] == "missing_knowledge"
    place = f"knowledge-gaps/{twice['id']}/"
    assert api("post", f"{place}dismiss/", {})["state"] == "dismissed"
    assert api("get", place)["state"] == "dismissed"


def test_a_test_question_is_added_changed_asked_and_removed(api: Api, tenant: Tenant) -> None:
    with tenant_scope(tenant):
        inbox, checkpoint = make_inbox(), make_checkpoint(tenant)
    asked: dict[str, Any] = {"inbox": str(inbox.pk), "question": "可以退货吗？"}
    assert api("post", "test-questions/", asked, 400)["code"] == "nothing_expected"
    made = api("post", "test-questions/", asked | {"must_contain": ["七天"]}, 201)
    changed = api("post", "test-questions/", asked | {"must_refuse": True}, 201)
    assert (changed["id"], changed["must_contain"]) == (made["id"], [])
    begin = {"checkpoint": str(checkpoint.pk), "inbox": str(inbox.pk)}
    run = api("post", "test-runs/", begin, 201)
    assert run["state"] == "queued"
    with tenant_scope(tenant):
        work.carry_out(RegressionRun.objects.get())
    done = api("get", f"test-runs/{run['id']}/")
    assert (done["state"], done["passed"], done["cases_passed"]) == ("done", True, 1)
    assert [one["faults"] for one in done["results"][0]["samples"]] == [[], [], []]
    assert len(api("get", f"test-runs/?checkpoint={checkpoint.pk}&state=done")["items"]) == 1
    api("delete", f"test-questions/{made['id']}/", None, 204)
    assert api("post", "test-runs/", begin, 409)["code"] == "no_cases"


@pytest.mark.parametrize(
    ("odd", "status"),
    [
        ({"question": ""}, 400),
        ({"question": "问" * 1001}, 400),
        ({"must_contain": "七天"}, 400),
        ({"inbox": str(uuid4())}, 404),
        ({"article": str(uuid4())}, 404),
        ({"nothing": 1}, 400),
    ],
)
def test_what_makes_no_sense_is_refused(
    api: Api, tenant: Tenant, odd: dict[str, Any], status: int
) -> None:
    with tenant_scope(tenant):
        inbox = make_inbox()
    asked = {"inbox": str(inbox.pk), "question": "可以退货吗？", "must_contain": ["七天"]}
    api("post", "test-questions/", asked | odd, status)
