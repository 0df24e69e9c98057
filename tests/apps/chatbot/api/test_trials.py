"""Trials of checkpoints, answers to review and canned replies over REST."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from apps.chatbot.models import AnswerReview, CandidateTrial, Inbox
from gpt_core.models import Checkpoint, Deployment
from tenancy.models import AuditEntry, Tenant
from tenancy.scope import tenant_scope
from tests.apps.chatbot.api.conftest import Api
from tests.apps.chatbot.makers import make_inbox
from tests.apps.chatbot.test_learning import answered, solve, visit
from tests.gpt_core.rows import make_checkpoint, make_evaluation

pytestmark = pytest.mark.django_db


@pytest.fixture
def pair(tenant: Tenant) -> tuple[Inbox, Checkpoint]:
    """An inbox that a checkpoint serves, and another that may take its place."""
    with tenant_scope(tenant):
        serving = make_checkpoint(tenant)
        slot = Deployment.objects.create(
            name="support", base_model=serving.base_model, checkpoint=serving
        )
        candidate = make_checkpoint(tenant, base_model=serving.base_model)
        make_evaluation(candidate, champion=serving)
        return make_inbox(deployment=slot), candidate


def test_a_trial_is_begun_watched_and_stopped(
    api: Api, tenant: Tenant, pair: tuple[Inbox, Checkpoint]
) -> None:
    inbox, candidate = pair
    asked = {"inbox": str(inbox.pk), "checkpoint": str(candidate.pk), "share": 99}
    made = api("post", "candidate-trials/", asked, 201)
    assert (made["end"], made["ended_at"]) == ("", None)
    assert api("post", "candidate-trials/", asked, 409)["code"] == "trial_under_way"
    with tenant_scope(tenant):
        for text in ("签收后七天内可以退货。", "两个工作日内发货。", "支持微信。"):
            conversation = visit(inbox)
            answered(conversation, "可以退货吗？", text)
            solve(conversation)
        on_candidate = CandidateTrial.objects.get().places.filter(is_candidate=True).count()
    place = f"candidate-trials/{made['id']}/"
    serving, tried = api("get", place)["arms"]
    assert (serving["is_candidate"], tried["is_candidate"]) == (False, True)
    assert (serving["failed"]["of"], tried["failed"]["of"]) == (3 - on_candidate, on_candidate)
    assert (tried["failed"]["hits"], tried["resolved"]["hits"]) == (0, on_candidate)
    stopped = api("post", f"{place}stop/", {})
    assert stopped["end"] == "stopped"
    assert api("post", f"{place}stop/", {}) == stopped
    found = api("get", f"candidate-trials/?inbox={inbox.pk}&checkpoint={candidate.pk}")["items"]
    assert [one["id"] for one in found] == [made["id"]]
    with tenant_scope(tenant):
        assert AuditEntry.objects.filter(action="trial.stopped").count() == 1
    api("post", "candidate-trials/", asked, 201)


@pytest.mark.parametrize(
    ("odd", "status", "code"),
    [
        ({"share": 0}, 400, "invalid"),
        ({"share": 100}, 400, "invalid"),
        ({"share": "viele"}, 400, "invalid"),
        ({"inbox": str(uuid4())}, 404, "not_found"),
        ({"checkpoint": str(uuid4())}, 404, "not_found"),
        ({"nothing": 1}, 400, "invalid"),
    ],
)
def test_a_trial_that_makes_no_sense_is_refused(
    api: Api, pair: tuple[Inbox, Checkpoint], odd: dict[str, Any], status: int, code: str
) -> None:
    asked = {"inbox": str(pair[0].pk), "checkpoint": str(pair[1].pk), "share": 10}
    assert api("post", "candidate-trials/", asked | odd, status)["code"] == code


def test_who_may_not_promote_tries_nothing(
    key_for: Callable[..., Api], pair: tuple[Inbox, Checkpoint]
) -> None:
    asked = {"inbox": str(pair[0].pk), "checkpoint": str(pair[1].pk), "share": 10}
    weak = key_for("view", "train", "answer", "annotate")
    weak("post", "candidate-trials/", asked, 403)
    assert weak("get", "candidate-trials/")["items"] == []


def test_drawn_answers_are_judged_and_the_last_word_counts(api: Api, tenant: Tenant) -> None:
    with tenant_scope(tenant):
        conversation = visit(make_inbox())
        said = answered(conversation, "可以退货吗？", "签收后七天内可以退货。")
        drawn, _made = AnswerReview.objects.get_or_create(answer=said.answered_by)
    (waiting,) = api("get", "answer-reviews/?verdict=waiting")["items"]
    assert (waiting["id"], waiting["reviewed_at"]) == (str(drawn.pk), None)
    assert waiting["answer"]["question"] == "可以退货吗？"
    assert waiting["answer"]["text"] == "签收后七天内可以退货。"
    place = f"answer-reviews/{drawn.pk}/"
    for verdict in ("right", "wrong"):
        assert api("post", f"{place}judge/", {"verdict": verdict})["verdict"] == verdict
    assert api("get", place)["verdict"] == "wrong"
    api("post", f"{place}judge/", {"verdict": "waiting"}, 400)
    with tenant_scope(tenant):
        assert AnswerReview.objects.get().reviewer == api.owner
    assert api("get", "answer-reviews/?verdict=waiting")["items"] == []


def test_drawn_answers_are_shown_to_those_alone_who_may_judge(key_for: Callable[..., Api]) -> None:
    key_for("view", "answer")("get", "answer-reviews/", status=403)


def test_a_canned_reply_is_written_changed_found_and_deleted(api: Api) -> None:
    asked = {"shortcut": "/谢谢", "language": "zh-hans", "text": "不客气，{{contact.name}}。"}
    made = api("post", "canned-replies/", asked, 201)
    assert made["shortcut"] == "谢谢"
    assert api("post", "canned-replies/", asked, 409)["code"] == "shortcut_taken"
    place = f"canned-replies/{made['id']}/"
    changed = api("patch", place, {"text": "不用谢。"})
    assert (changed["shortcut"], changed["text"]) == ("谢谢", "不用谢。")
    api("post", "canned-replies/", {"shortcut": "谢谢", "text": "Welcome."}, 201)
    assert len(api("get", "canned-replies/?shortcut=谢谢")["items"]) == 2
    (chinese,) = api("get", "canned-replies/?language=zh-hans")["items"]
    assert chinese == changed == api("get", place)
    api("delete", place, None, 204)
    api("get", place, status=404)


@pytest.mark.parametrize(
    ("odd", "code"),
    [
        ({"shortcut": "a b"}, "shortcut_invalid"),
        ({"shortcut": ""}, "invalid"),
        ({"text": "{{contact.age}}"}, "variable_unknown"),
        ({"text": ""}, "invalid"),
        ({"language": "tlh"}, "invalid"),
    ],
)
def test_a_reply_that_makes_no_sense_is_refused(api: Api, odd: dict[str, Any], code: str) -> None:
    asked = {"shortcut": "thanks", "text": "You are welcome."}
    assert api("post", "canned-replies/", asked | odd, 400)["code"] == code
    made = api("post", "canned-replies/", asked, 201)
    assert api("patch", f"canned-replies/{made['id']}/", odd, 400)["code"] == code
    assert api("get", f"canned-replies/{made['id']}/")["text"] == "You are welcome."


def test_who_may_not_answer_writes_no_reply(key_for: Callable[..., Api]) -> None:
    weak = key_for("view", "annotate")
    weak("post", "canned-replies/", {"shortcut": "thanks", "text": "Welcome."}, 403)
    assert weak("get", "canned-replies/")["items"] == []
