"""The widget's routes, all POST: a session, what is said, what is heard, and asking for a person."""

from __future__ import annotations

import uuid
from typing import Any

from asgiref.sync import sync_to_async
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase, HttpResponseNotAllowed
from django.utils.translation import gettext as _

from apps.chatbot import pre_chat, services
from apps.chatbot.models import Contact, Conversation, Feedback, Handoff, Inbox, Message
from apps.chatbot.services.contacts import MOST_ADDRESS, note_address, note_answers
from common.errors import ApplicationError, NotFoundError
from tenancy import quotas
from tenancy.scope import keep_scope_async, tenant_scope

from . import door, events, identity, shapes, tokens
from .door import Visit, by_key, by_token, without_cookies
from .errors import NotAdmittedError

MOST_WAIT = 25.0


@by_key
def session(request: HttpRequest, visit: Visit, asked: dict[str, Any]) -> HttpResponse:
    """Begin a visit, or go on with the one whose refresh token is sent; with `identity`, as somebody."""
    quotas.take_request()
    inbox, given, contact = visit.inbox, text_of(asked, "identity", 4000), None
    if given:
        if inbox.identity == Inbox.Identity.ANONYMOUS:
            raise NotAdmittedError
        contact = identity.verified_contact(inbox=inbox, token=given)
    elif inbox.identity == Inbox.Identity.VERIFIED:
        raise NotAdmittedError
    refresh = text_of(asked, "refresh", 100)
    if not refresh:
        return _told(tokens.begin_session(inbox=inbox, origin=visit.origin, contact=contact))
    pair = tokens.refreshed(inbox=inbox, origin=visit.origin, refresh=refresh)
    known = pair.session.contact
    if contact is not None and known != contact:
        # Whoever signs in gets tokens that nobody had before, whatever was planted in the browser.
        identity.take_along(session=pair.session, contact=contact)
        tokens.revoke(pair.session)
        pair = tokens.begin_session(inbox=inbox, origin=visit.origin, contact=contact)
    elif contact is None and known is not None and known.is_verified and asked.get("signed_out"):
        tokens.revoke(pair.session)
        pair = tokens.begin_session(inbox=inbox, origin=visit.origin)
    return _told(pair)


@by_key
def leave(request: HttpRequest, visit: Visit, asked: dict[str, Any]) -> HttpResponse:
    """End the visit: the next person at this browser sees nothing of it."""
    refresh = text_of(asked, "refresh", 100)
    if refresh:
        pair = tokens.refreshed(inbox=visit.inbox, origin=visit.origin, refresh=refresh)
        tokens.revoke(pair.session)
    return JsonResponse({})


@by_token
def conversations(request: HttpRequest, visit: Visit, asked: dict[str, Any]) -> HttpResponse:
    """The visitor's own conversations in this inbox, newest first."""
    rows = all_own(visit).order_by("-created_at")[:50]
    assert visit.session is not None
    contact = visit.session.contact
    return JsonResponse(
        {
            "reachable": bool(contact and contact.email),
            "items": [
                {"id": str(row.pk), "state": row.state, "owner": row.owner, "seq": row.last_seq}
                for row in rows
            ],
        }
    )


@by_token
def say(request: HttpRequest, visit: Visit, asked: dict[str, Any]) -> HttpResponse:
    """A message with an id of the sender's own; without `conversation` it begins one. 202, or 200
    for a repeat of the same send."""
    quotas.take_request()
    client_id = uuid_of(asked, "client_id")
    text = text_of(asked, "text", services.MOST_CHARACTERS + 1)
    with transaction.atomic():
        conversation = _conversation_for(visit, asked, client_id)
        posted = services.post_message(
            conversation=conversation, role=Message.Role.USER, text=text, client_id=client_id
        )
    answer = {
        "conversation": str(conversation.pk),
        "message": str(posted.message.pk),
        "seq": posted.message.seq,
    }
    return JsonResponse(answer, status=202 if posted.is_new else 200)


@by_token
def ask_for_person(request: HttpRequest, visit: Visit, asked: dict[str, Any]) -> HttpResponse:
    """The visitor may always ask for a person."""
    conversation = own(visit, uuid_of(asked, "conversation"))
    services.hand_off(conversation=conversation, reason=Handoff.Reason.CUSTOMER_REQUEST)
    return JsonResponse({"owner": conversation.owner, "state": conversation.state})


@by_token
def leave_address(request: HttpRequest, visit: Visit, asked: dict[str, Any]) -> HttpResponse:
    """Where an answer reaches a visitor while nobody is there, with a message for people if they
    have one. The conversation waits for a person."""
    quotas.take_request()
    conversation = own(visit, uuid_of(asked, "conversation"))
    text = text_of(asked, "text", services.MOST_CHARACTERS + 1)
    assert visit.session is not None
    assert visit.session.contact is not None
    with transaction.atomic():
        note_address(contact=visit.session.contact, email=text_of(asked, "email", MOST_ADDRESS))
        services.hand_off(conversation=conversation, reason=Handoff.Reason.CUSTOMER_REQUEST)
        if text.strip():
            client_id = uuid_of(asked, "client_id")
            services.post_message(
                conversation=conversation, role=Message.Role.USER, text=text, client_id=client_id
            )
    return JsonResponse({})


@by_token
def judge(request: HttpRequest, visit: Visit, asked: dict[str, Any]) -> HttpResponse:
    """A thumb on one message of the bot, with a reason; the last word counts."""
    message = Message.objects.filter(
        pk=uuid_of(asked, "message"),
        role=Message.Role.ASSISTANT,
        conversation__in=all_own(visit),
    ).first()
    if message is None:
        raise NotFoundError
    reason = text_of(asked, "reason", 12)
    if type(asked.get("helpful")) is not bool or (reason and reason not in Feedback.Reason.values):
        raise _invalid("helpful" if not reason else "reason")
    services.judge_message(
        message=message,
        helpful=asked["helpful"],
        reason=reason,
        comment=text_of(asked, "comment", 2000),
    )
    return JsonResponse({})


@by_token
def rate(request: HttpRequest, visit: Visit, asked: dict[str, Any]) -> HttpResponse:
    """How satisfied the visitor is with the whole conversation, 1 to 5, once it is resolved."""
    conversation = own(visit, uuid_of(asked, "conversation"))
    score = asked.get("score")
    if type(score) is not int or not 1 <= score <= 5:
        raise _invalid("score")
    services.rate_conversation(
        conversation=conversation, score=score, comment=text_of(asked, "comment", 2000)
    )
    return JsonResponse({})


@without_cookies
async def listen(request: HttpRequest) -> HttpResponseBase:
    """The conversation's events after `after`, as a stream; with `wait`, as one answer."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    visit: Visit | None = None
    try:
        asked = door.asked_of(request)
        visit = await sync_to_async(door.visit_of)(request)
        with tenant_scope(visit.inbox.tenant_id):
            conversation = await sync_to_async(own)(visit, uuid_of(asked, "conversation"))
            reader = events.Reader(conversation, whole_of(asked, "after"), _offsets(asked))
            if "wait" in asked:
                seconds = min(float(whole_of(asked, "wait")), MOST_WAIT)
                found = await events.wait(reader, seconds)
                response: HttpResponseBase = JsonResponse({"events": found, "after": reader.after})
            else:
                parts = keep_scope_async(events.stream(reader))
                response = StreamingHttpResponse(parts, content_type="text/event-stream")
                response["X-Accel-Buffering"] = "no"
    except ApplicationError as error:
        response = door.refusal(error)
    return door.with_origin(response, request, visit)


# --- Reading what was asked -----------------------------------------------------------------------


def text_of(asked: dict[str, Any], name: str, most: int) -> str:
    value = asked.get(name, "")
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > most:
        raise _invalid(name)
    return value


def uuid_of(asked: dict[str, Any], name: str) -> uuid.UUID:
    try:
        return uuid.UUID(text_of(asked, name, 36))
    except ValueError:
        raise _invalid(name) from None


def whole_of(asked: dict[str, Any], name: str) -> int:
    value = asked.get(name, 0)
    if type(value) is not int or not 0 <= value < 2**62:
        raise _invalid(name)
    return value


def _offsets(asked: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """{"<answer>": [attempt, characters]} of the answers that the reader has begun to read."""
    given = asked.get("offsets", {})
    if not isinstance(given, dict) or len(given) > 50:
        raise _invalid("offsets")
    found = {}
    for answer, place in given.items():
        if not isinstance(place, list) or [type(one) for one in place] != [int, int]:
            raise _invalid("offsets")
        found[answer] = (place[0], max(0, place[1]))
    return found


def _invalid(name: str) -> ApplicationError:
    return ApplicationError(
        "invalid", _("“%(field)s” is missing or wrong.") % {"field": name}, field=name
    )


def _told(pair: tokens.Tokens) -> JsonResponse:
    contact = pair.session.contact
    return JsonResponse(
        {
            "access": pair.access,
            "expires_in": pair.seconds,
            "refresh": pair.refresh,
            "verified": bool(contact and contact.is_verified),
            "inbox": shapes.inbox_shape(pair.session.inbox),
        }
    )


def all_own(visit: Visit) -> Any:
    assert visit.session is not None
    rows = Conversation.objects.filter(inbox=visit.inbox)
    contact = visit.session.contact
    return rows.filter(contact=contact) if contact else rows.none()


def own(visit: Visit, pk: uuid.UUID) -> Conversation:
    """A conversation of this visitor's; any other is as absent as none."""
    found: Conversation | None = all_own(visit).select_related("inbox").filter(pk=pk).first()
    if found is None:
        raise NotFoundError
    return found


def _conversation_for(visit: Visit, asked: dict[str, Any], client_id: uuid.UUID) -> Conversation:
    if asked.get("conversation"):
        return own(visit, uuid_of(asked, "conversation"))
    session = visit.session
    assert session is not None
    # Locked, so that a first message that is sent twice at once begins one conversation.
    held = type(session).objects.select_for_update(of=("self",)).get(pk=session.pk)
    if held.contact is None:
        held.contact = Contact.objects.create(language=text_of(asked, "language", 10))
        held.save(update_fields=["contact"])
        session.contact = held.contact
    sent = Message.objects.filter(
        client_id=client_id, conversation__inbox=visit.inbox, conversation__contact=held.contact
    ).select_related("conversation__inbox")
    before = sent.first()
    if before is not None:
        return before.conversation
    _introduce(visit, held.contact, asked)
    return services.begin_conversation(
        inbox=visit.inbox,
        contact=held.contact,
        language=text_of(asked, "language", 10),
        page=_page(asked),
    )


def _introduce(visit: Visit, contact: Contact, asked: dict[str, Any]) -> None:
    """Before a visitor's first conversation the inbox's questions are answered."""
    questions = visit.inbox.pre_chat
    if not questions or contact.conversations.filter(inbox=visit.inbox).exists():
        return
    answers = pre_chat.answers_to(
        questions, asked.get("answers", {}), is_verified=contact.is_verified
    )
    note_answers(contact=contact, questions=questions, answers=answers)


def _page(asked: dict[str, Any]) -> str:
    """Where the visitor was: origin and path, for what stands behind them may be a secret."""
    return text_of(asked, "page", 2000).partition("?")[0].partition("#")[0][:500]
