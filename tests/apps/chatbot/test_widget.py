"""The widget's door: who is let in, what they may see, and that nothing is lost or doubled on the way."""

from __future__ import annotations

import time
import uuid
from datetime import timedelta
from typing import Any

import jwt
import pytest
from django.utils import timezone

from apps.chatbot import services
from apps.chatbot.models import Contact, Conversation, IdentityKey, Inbox, Message, WidgetSession
from apps.chatbot.widget import events, identity, tokens
from common.errors import ConflictError
from tenancy.models import Tenant
from tenancy.scope import system_scope, tenant_scope
from tests.apps.chatbot.makers import make_inbox
from tests.apps.chatbot.visitor import SITE, Browser
from tests.factories import make_member

pytestmark = pytest.mark.django_db

ROUTES = (
    "session", "leave", "conversations", "messages", "events", "person", "address", "feedback",
    "rating",
)  # fmt: skip


def signed(key: IdentityKey, **claims: Any) -> str:
    now = int(time.time())
    known = {"sub": "u-1", "iat": now, "exp": now + 600, "name": "韩梅梅"} | claims
    return jwt.encode(
        {name: value for name, value in known.items() if value is not None},
        key.secret,
        algorithm="HS256",
        headers={"kid": key.kid},
    )


@pytest.fixture
def key(inbox: Inbox) -> IdentityKey:
    with tenant_scope(inbox.tenant_id):
        return identity.add_key(inbox=inbox)


# --- Saying and hearing --------------------------------------------------------------------------


def test_a_page_that_is_loaded_makes_no_contact(browser: Browser) -> None:
    with system_scope("test"):
        assert WidgetSession.objects.count() == 1
        assert not Contact.objects.exists()


def test_a_message_begins_a_conversation_and_is_kept_once(browser: Browser) -> None:
    sent = str(uuid.uuid4())
    first = browser.say(client_id=sent, page="https://acme.example/basket?card=4111#x")
    assert first.status_code == 202
    again = browser.say(client_id=sent)
    assert again.status_code == 200
    assert again.json() == first.json()
    other = browser.say("别的", client_id=sent, conversation=first.json()["conversation"])
    assert other.status_code == 409
    with system_scope("test"):
        assert Message.objects.count() == 1
        assert Conversation.objects.get().page == "https://acme.example/basket"


def test_what_was_said_is_heard_from_where_one_stopped(browser: Browser) -> None:
    conversation = browser.say("一").json()["conversation"]
    browser.say("二", conversation=conversation)
    heard = browser.post("events", conversation=conversation, after=0, wait=0).json()
    assert [one["seq"] for one in heard["events"] if "seq" in one] == [1, 2, 3, 4]
    assert heard["after"] == 4
    later = browser.post("events", conversation=conversation, after=2, wait=0).json()
    assert [one["message"]["text"] for one in later["events"] if "message" in one] == ["二"]


def test_a_private_note_is_a_number_without_content(browser: Browser, inbox: Inbox) -> None:
    conversation = browser.say().json()["conversation"]
    with tenant_scope(inbox.tenant_id):
        services.post_message(
            conversation=Conversation.objects.get(), role="agent", text="此人很难缠", private=True
        )
    heard = browser.post("events", conversation=conversation, after=0, wait=0)
    assert "难缠" not in heard.content.decode()
    assert [one["seq"] for one in heard.json()["events"] if "seq" in one] == [1, 2, 3]


def test_a_reader_goes_on_in_the_middle_of_an_answer(browser: Browser, inbox: Inbox) -> None:
    browser.say()
    with system_scope("test"):
        answer = services.claim_answer()
    assert answer is not None
    with tenant_scope(inbox.tenant_id):
        services.keep_writing(answer, "七天内")
        reader = events.Reader(answer.conversation, after=2)
        name, first = reader.look()[0]
        assert (name, first["text"], first["reset"]) == ("answer.delta", "七天内", False)
        services.keep_writing(answer, "七天内可以退货。")
        assert reader.look()[0][1]["text"] == "可以退货。"
        # A reader that comes back says how much it has, and gets the rest.
        again = events.Reader(answer.conversation, 2, {str(answer.pk): (1, 2)})
        assert again.look()[0][1]["text"] == "内可以退货。"
        # Another writer begins anew: the reader is told to forget.
        type(answer).objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    with system_scope("test"):
        second = services.claim_answer()
    assert second is not None
    with tenant_scope(inbox.tenant_id):
        services.keep_writing(second, "生鲜")
        name, anew = reader.look()[0]
        assert anew["reset"]
        assert (anew["offset"], anew["text"]) == (0, "生鲜")


def test_the_visitor_may_always_ask_for_a_person(browser: Browser) -> None:
    conversation = browser.say().json()["conversation"]
    assert browser.post("person", conversation=conversation).json()["owner"] == "people"


def test_a_thumb_needs_a_message_of_the_bot(browser: Browser, inbox: Inbox) -> None:
    browser.say()
    with system_scope("test"):
        answer = services.claim_answer()
    assert answer is not None
    with tenant_scope(inbox.tenant_id):
        said = services.end_answer(answer, text="七天内。", outcome="passage")
    assert said is not None
    assert browser.post("feedback", message=str(said.pk), helpful=True).status_code == 200
    assert browser.post("feedback", message=str(said.pk), helpful="yes").status_code == 400
    bad = browser.post("feedback", message=str(said.pk), helpful=False, reason="weil")
    assert bad.status_code == 400
    own = str(answer.question_id)
    assert browser.post("feedback", message=own, helpful=True).status_code == 404


# --- Who is let in ---------------------------------------------------------------------------------


FOREIGN_ORIGINS = [
    "", "null", "http://acme.example", "https://acme.example:8443", "https://evil.example",
    "https://acme.example.evil.example", "https://evil-acme.example", "https://www.acme.example",
    "https://acme.example/", "https://acme.example/path", "https://acme.example@evil.example",
    "https://ACME.example", "https://acme.example.", "https://acme.examp1e", "file://",
    "https://acme.example:443", "https://*.acme.example", "https://acme。example", "//acme.example",
    "acme.example", "https://acme.example https://evil.example", "https://acme.example,evil",
    "chrome-extension://abc", "https://127.0.0.1", "https://[::1]", "http://localhost",
    "https://xn--acme-example", "javascript:alert(1)", "data:text/html,x", "https://acme.example%00",
]  # fmt: skip


@pytest.mark.parametrize("origin", FOREIGN_ORIGINS)
def test_no_route_answers_to_a_site_that_is_not_listed(
    browser: Browser, inbox: Inbox, origin: str
) -> None:
    conversation = browser.say().json()["conversation"]
    stranger = Browser(inbox, origin, browser.access, browser.refresh)
    for route in ROUTES:
        asked = {
            "key": inbox.key, "conversation": conversation, "client_id": str(uuid.uuid4()),
            "text": "x", "wait": 0, "score": 5, "refresh": browser.refresh,
        }  # fmt: skip
        response = stranger.post(route, **asked)
        assert response.status_code == 403, route
        assert "Access-Control-Allow-Origin" not in response
        assert response.json()["code"] == "not_admitted"
    assert len(FOREIGN_ORIGINS) == 30


def test_an_empty_list_of_sites_lets_nobody_in(tenant: Tenant) -> None:
    with tenant_scope(tenant):
        closed = make_inbox(allowed_origins=[])
    assert Browser(closed).enter().status_code == 403


def test_a_site_that_is_taken_off_the_list_is_out_at_once(browser: Browser, inbox: Inbox) -> None:
    with tenant_scope(inbox.tenant_id):
        Inbox.objects.update(allowed_origins=["https://other.example"])
    assert browser.say().status_code == 403


def test_a_suspended_tenants_widget_is_no_widget(browser: Browser, tenant: Tenant) -> None:
    with system_scope("test"):
        Tenant.objects.update(state=Tenant.State.SUSPENDED)
    assert browser.say().status_code == 401
    assert Browser(browser.inbox).enter().status_code == 403


def test_the_answer_names_the_one_site_that_was_let_in(browser: Browser) -> None:
    response = browser.say()
    assert response["Access-Control-Allow-Origin"] == SITE
    assert "Access-Control-Allow-Credentials" not in response
    assert response["Cache-Control"] == "no-store"
    assert not response.cookies


def test_a_forged_token_is_no_token(browser: Browser) -> None:
    for token in ("", "x", browser.access[:-2], browser.access + "A", browser.refresh, "🔑"):
        stranger = Browser(browser.inbox, SITE, token or "-")
        for route in ROUTES[2:]:
            assert stranger.post(route, conversation=str(uuid.uuid4())).status_code == 401


def test_a_cookie_counts_for_nothing(browser: Browser, tenant: Tenant) -> None:
    owner = make_member(tenant, "owner")
    signed_in = Browser(browser.inbox, SITE)
    signed_in.client.force_login(owner)
    for route in ROUTES[2:]:
        assert signed_in.post(route, conversation=str(uuid.uuid4())).status_code == 401


def test_an_access_token_ends(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "ACCESS_LASTS", timedelta(seconds=-1))
    assert browser.say().status_code == 401


def test_nobody_reads_another_visitors_conversation(browser: Browser, inbox: Inbox) -> None:
    conversation = browser.say("我的秘密").json()["conversation"]
    other = Browser(inbox)
    other.enter()
    other.say()
    for route in ("events", "person", "rating"):
        response = other.post(route, conversation=conversation, wait=0, score=3)
        assert response.status_code == 404
    assert other.say(conversation=conversation).status_code == 404
    assert len(other.post("conversations").json()["items"]) == 1


def test_a_refresh_token_works_once_and_its_theft_ends_the_session(browser: Browser) -> None:
    first = browser.refresh
    assert browser.enter(refresh=first).status_code == 200
    second = browser.refresh
    assert second != first
    # The answer may have been lost: for a moment the one before works as well.
    assert browser.enter(refresh=first).status_code == 200
    with system_scope("test"):
        WidgetSession.objects.update(rotated_at=timezone.now() - timedelta(minutes=5))
        former = WidgetSession.objects.get().former_hash
    assert former
    stolen = Browser(browser.inbox)
    assert stolen.enter(refresh=second).status_code == 401
    assert browser.say().status_code == 401, "both are out"


def test_after_leaving_nothing_is_left_for_the_next(browser: Browser) -> None:
    browser.say()
    assert browser.post("leave", key=browser.inbox.key, refresh=browser.refresh).status_code == 200
    assert browser.say().status_code == 401
    assert browser.enter(refresh=browser.refresh).status_code == 401


# --- Who somebody is ------------------------------------------------------------------------------


def test_a_signed_visitor_finds_their_history_again(inbox: Inbox, key: IdentityKey) -> None:
    here = Browser(inbox)
    assert here.enter(identity=signed(key)).json()["verified"]
    conversation = here.say("我的订单").json()["conversation"]
    there = Browser(inbox)
    there.enter(identity=signed(key))
    assert there.post("conversations").json()["items"][0]["id"] == conversation
    with system_scope("test"):
        assert Contact.objects.get().name == "韩梅梅"


def test_signing_in_takes_along_this_sessions_words_and_new_tokens(
    browser: Browser, key: IdentityKey
) -> None:
    conversation = browser.say().json()["conversation"]
    planted = Browser(browser.inbox, SITE, browser.access, browser.refresh)
    assert browser.enter(refresh=browser.refresh, identity=signed(key)).status_code == 200
    assert browser.post("conversations").json()["items"][0]["id"] == conversation
    assert planted.say().status_code == 401, "a token from before signing in is worth nothing"
    assert planted.enter(refresh=planted.refresh).status_code == 401


def test_what_a_visitor_types_is_no_identity(inbox: Inbox, key: IdentityKey) -> None:
    known = Browser(inbox)
    known.enter(identity=signed(key, email="li@example.com"))
    known.say("秘密")
    stranger = Browser(inbox)
    stranger.enter()
    stranger.say("x", email="li@example.com", sub="u-1", external_id="u-1")
    assert len(stranger.post("conversations").json()["items"]) == 1


@pytest.mark.parametrize(
    "forge",
    [
        lambda key: signed(key, exp=int(time.time()) - 60),
        lambda key: signed(key, exp=int(time.time()) + 7200),
        lambda key: signed(key, exp=None),
        lambda key: signed(key, iat=None),
        lambda key: signed(key, sub=None),
        lambda key: signed(key, sub=" "),
        lambda key: jwt.encode({"sub": "u-1"}, "", algorithm="none", headers={"kid": key.kid}),
        lambda key: jwt.encode(
            {"sub": "u-1", "iat": int(time.time()), "exp": int(time.time()) + 60},
            "k" * 40,
            algorithm="HS256",
            headers={"kid": key.kid},
        ),
        lambda key: jwt.encode(
            {"sub": "u-1", "iat": int(time.time()), "exp": int(time.time()) + 60},
            key.secret,
            algorithm="HS256",
            headers={"kid": "another"},
        ),
        lambda key: jwt.encode(
            {"sub": "u-1", "iat": int(time.time()), "exp": int(time.time()) + 60},
            key.secret * 2,
            algorithm="HS512",
            headers={"kid": key.kid},
        ),
        lambda key: signed(key) + "x",
        lambda key: "not.a.token",
    ],
)
def test_a_forged_identity_is_refused(inbox: Inbox, key: IdentityKey, forge: Any) -> None:
    assert Browser(inbox).enter(identity=forge(key)).status_code == 403


def test_anothers_key_vouches_for_nobody_here(inbox: Inbox, other_tenant: Tenant) -> None:
    with tenant_scope(other_tenant):
        foreign = identity.add_key(inbox=make_inbox())
    assert Browser(inbox).enter(identity=signed(foreign)).status_code == 403


def test_two_keys_live_side_by_side_and_a_retired_one_does_not(
    inbox: Inbox, key: IdentityKey
) -> None:
    with tenant_scope(inbox.tenant_id):
        second = identity.add_key(inbox=inbox)
        with pytest.raises(ConflictError, match="too_many_keys"):
            identity.add_key(inbox=inbox)
    assert Browser(inbox).enter(identity=signed(key)).status_code == 200
    with tenant_scope(inbox.tenant_id):
        identity.retire_key(key=key)
    assert Browser(inbox).enter(identity=signed(key)).status_code == 403
    assert Browser(inbox).enter(identity=signed(second)).status_code == 200


def test_an_inbox_for_verified_visitors_takes_no_others(tenant: Tenant) -> None:
    with tenant_scope(tenant):
        strict = make_inbox(identity="verified")
        open_ = make_inbox(identity="anonymous")
        key = identity.add_key(inbox=open_)
    assert Browser(strict).enter().status_code == 403
    assert Browser(open_).enter(identity=signed(key)).status_code == 403


# --- Bad input -------------------------------------------------------------------------------------


ODD: list[Any] = [{}, [], 1, 1.5, True, None, "", "\u0000", "x" * 70_000, {"$ne": ""}, ["a"], -1]


@pytest.mark.parametrize("route", ROUTES)
def test_odd_input_is_refused_in_words(browser: Browser, inbox: Inbox, route: str) -> None:
    names = (
        "key", "refresh", "identity", "conversation", "client_id", "text", "after", "wait", "offsets",
        "message", "helpful", "reason", "comment", "score", "page", "language", "email", "answers",
    )  # fmt: skip
    conversation = browser.say().json()["conversation"]
    good = {"key": inbox.key, "conversation": conversation, "text": "x", "wait": 0}
    for name in names:
        for value in ODD:
            response = browser.post(route, **good | {name: value})
            assert response.status_code < 500, (route, name, value)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'{"a":1,"a":2}', b"x" * 70_000])
def test_a_body_that_is_no_object_is_refused(browser: Browser, body: bytes) -> None:
    for route in ROUTES:
        response = browser.client.post(
            f"/widget/v1/{route}/", body, content_type="application/json", HTTP_ORIGIN=SITE
        )
        assert 400 <= response.status_code < 500


def test_only_posting_is_answered(browser: Browser) -> None:
    for route in ROUTES:
        assert browser.client.get(f"/widget/v1/{route}/").status_code == 405
