"""The agents' desk: who waits, one conversation, and what an agent does with it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.contrib import messages
from django.db import transaction
from django.http import (
    Http404,
    HttpResponse,
    HttpResponseRedirect,
    JsonResponse,
    StreamingHttpResponse,
)
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from accounts.access import tenant_page
from accounts.models import User
from accounts.permissions import can_answer
from apps.chatbot import services
from apps.chatbot.answering import suggesting
from apps.chatbot.models import Conversation, Message, Suggestion
from apps.chatbot.widget import events
from apps.portal import desk_form, desk_queue, refusals
from apps.portal.desk_page import ConversationPage
from apps.portal.requests import TenantRequest
from common.errors import ApplicationError

# Seconds between two signs of life of whoever listens.
NOTED_EVERY = 30.0


@require_safe
@tenant_page()
def desk(request: TenantRequest) -> HttpResponse:
    """The queue alone."""
    return render(request, "portal/desk.html", _beside(request))


@require_safe
@tenant_page()
def queue_live(request: TenantRequest) -> HttpResponse:
    """The queue again; 204 while it is as the reader has `seen` it."""
    services.note_seen(request.user)
    if request.GET.get("seen") == desk_queue.mark():
        return HttpResponse(status=204)
    queue = desk_queue.Queue(request.user, request.GET)
    context = {"queue": queue, "open_id": request.GET.get("open", "")}
    return render(request, "portal/desk/_queue.html", context)


@require_safe
@tenant_page()
def conversation(request: TenantRequest, conversation_id: UUID) -> HttpResponse:
    """One conversation beside the queue."""
    return _one(request, _found(conversation_id))


def _one(
    request: TenantRequest, found: Conversation, refused: ApplicationError | None = None
) -> HttpResponse:
    """With what was written, where it was `refused`."""
    services.see_mentions(conversation=found, member=request.user)
    page = ConversationPage(found, request.membership, whole="whole" in request.GET)
    context = _beside(request)
    context |= {
        "query": context["queue"].query,
        "page": page,
        "open_id": str(found.pk),
        "snoozes": desk_form.SNOOZES.items(),
        "suggestion": _suggested(request, found),
        "others": services.others_at(conversation=found.pk, member=request.user),
    }
    taken = context["suggestion"]
    if taken is not None and request.GET.get("take") == str(taken.pk):
        context |= {"draft": taken.text, "taken": taken}
    if refused is None:
        return render(request, "portal/desk.html", context)
    context |= {"draft": request.POST.get("text", ""), "refused": refused}
    return render(request, "portal/desk.html", context, status=refused.status_hint)


@require_safe
@tenant_page()
def live(request: TenantRequest, conversation_id: UUID) -> HttpResponse:
    """What a conversation has behind number `after`, and how it stands now; 204 while nothing is new."""
    found, after = _found(conversation_id), _number(request.GET.get("after"))
    if found.last_seq <= after:
        return HttpResponse(status=204)
    services.see_mentions(conversation=found, member=request.user)
    page = ConversationPage(found, request.membership, after=after)
    context = {
        "page": page,
        "query": desk_queue.kept(request.GET),
        "snoozes": desk_form.SNOOZES.items(),
    }
    return render(request, "portal/desk/live.html", context)


@require_safe
@tenant_page()
async def stream(request: TenantRequest) -> HttpResponseBase:
    """Server-sent: `look`, whenever the queue or the `conversation` of the address has changed."""
    watched = request.GET.get("conversation", "")
    try:
        one = UUID(watched) if watched else None
    except ValueError:
        raise Http404 from None
    if one is not None:
        await sync_to_async(_found)(one)
    if request.headers.get("Accept") != "text/event-stream":
        # Whoever does not listen would wait for an end that does not come.
        return HttpResponse(_("This address is a stream of events."), status=406)
    watch = Watch(request.user, one)
    response = StreamingHttpResponse(events.stream(watch), content_type="text/event-stream")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response


class Watch:
    """Says "look", with the marks by which a reader knows whether it has seen it already."""

    def __init__(self, user: User, conversation: UUID | None) -> None:
        self.user = user
        self.conversation = conversation
        self.last: dict[str, Any] = {}
        self.noted = self.said = float("-inf")

    def look(self) -> list[tuple[str, dict[str, Any]]]:
        if time.monotonic() - self.noted > NOTED_EVERY:
            self.noted = time.monotonic()
            services.note_seen(self.user)
        now: dict[str, Any] = {"queue": desk_queue.mark()}
        if self.conversation is not None:
            if time.monotonic() - self.said > services.SAID_EVERY:
                self.said = time.monotonic()
                services.note_presence(conversation=self.conversation, member=self.user)
            others = services.others_at(conversation=self.conversation, member=self.user)
            now["others"] = [[str(one.user.pk), one.is_typing] for one in others]
            mine = suggesting.current(conversation=self.conversation, agent=self.user)
            now["suggestion"] = f"{mine.pk} {mine.state}" if mine else ""
            rows = Conversation.objects.filter(pk=self.conversation)
            now["last"] = rows.values_list("last_seq", flat=True).first()
        if now == self.last:
            return []
        self.last = now
        return [("look", now)]


@require_POST
@tenant_page(can_answer)
def say(request: TenantRequest, conversation_id: UUID) -> HttpResponse:
    """Send the visitor a message, or keep a note: 200 with its number as JSON, or the page again."""
    found = _found(conversation_id)
    wants_json = request.headers.get("Accept", "").startswith("application/json")
    form = desk_form.SayForm(request.POST)
    try:
        if not form.is_valid():
            raise ApplicationError("message_refused", _first_error(form), field="text")
        with transaction.atomic():
            posted = services.post_message(
                conversation=found,
                role=Message.Role.AGENT,
                text=form.cleaned_data["text"],
                client_id=form.cleaned_data["client_id"],
                private=form.cleaned_data["private"],
                author=request.user,
                read_to=form.must_be_first_behind,
            )
            if posted.is_new and not form.cleaned_data["private"]:
                suggesting.keep_verdict(
                    message=posted.message, taken=form.cleaned_data["suggestion"]
                )
    except ApplicationError as error:
        if wants_json:
            told = {"code": error.code, "detail": refusals.sentence(error)}
            return JsonResponse(told, status=error.status_hint)
        refusals.say(request, error)
        return _one(request, found, error)
    if wants_json:
        return JsonResponse({"message": str(posted.message.pk), "seq": posted.message.seq})
    return _to(request, found)


@require_POST
@tenant_page(can_answer)
def change(request: TenantRequest, conversation_id: UUID) -> HttpResponse:
    """Take, give, give back, snooze, resolve, or open again: what `do` says."""
    found = _found(conversation_id)
    act = _ACTS.get(request.POST.get("do", "").partition(":")[0])
    if act is None:
        raise Http404
    try:
        messages.success(request, act(request, found))
    except ApplicationError as error:
        refusals.say(request, error)
    return _to(request, found)


def _take(request: TenantRequest, found: Conversation) -> str:
    services.take_over(conversation=found, agent=request.user)
    return _("It is yours. The bot is silent until you give it back.")


def _give(request: TenantRequest, found: Conversation) -> str:
    chosen = request.POST.get("assignee", "")
    known = {str(one.pk): one for one in services.agents()}
    if chosen and chosen not in known:
        raise Http404
    to: User | None = known.get(chosen)
    services.assign(conversation=found, assignee=to, actor=request.user)
    return _("%(name)s has it now.") % {"name": to} if to else _("Nobody has it now.")


def _give_back(request: TenantRequest, found: Conversation) -> str:
    services.hand_back(conversation=found, actor=request.user)
    return _("The bot answers again from here on.")


def _snooze(request: TenantRequest, found: Conversation) -> str:
    until = desk_form.snoozed_until(request.POST["do"].partition(":")[2], timezone.now())
    if until is None:
        raise Http404
    services.snooze(conversation=found, until=until, actor=request.user)
    return _("Snoozed. It comes back by itself, or when the visitor writes.")


def _resolve(request: TenantRequest, found: Conversation) -> str:
    services.change_state(conversation=found, state=Conversation.State.RESOLVED, actor=request.user)
    return _("Resolved.")


_ACTS: dict[str, Callable[[TenantRequest, Conversation], str]] = {
    "take": _take,
    "give": _give,
    "give-back": _give_back,
    "snooze": _snooze,
    "resolve": _resolve,
}


def _beside(request: TenantRequest) -> dict[str, Any]:
    """What stands at the left of the desk."""
    services.note_seen(request.user)
    here = services.is_here(request.user) if can_answer(request.membership) else None
    return {"queue": desk_queue.Queue(request.user, request.GET), "is_here": here}


def _suggested(request: TenantRequest, found: Conversation) -> Suggestion | None:
    if not can_answer(request.membership):
        return None
    return suggesting.current(conversation=found.pk, agent=request.user)


def _found(conversation_id: UUID) -> Conversation:
    rows = Conversation.objects.select_related("contact", "inbox", "assignee")
    return get_object_or_404(rows, pk=conversation_id)


def _to(request: TenantRequest, found: Conversation) -> HttpResponse:
    address = reverse("portal:desk-conversation", args=[request.tenant.slug, found.pk])
    query = desk_queue.kept(request.GET)
    return HttpResponseRedirect(f"{address}?{query}" if query else address)


def _number(given: str | None) -> int:
    return int(given) if given and given.isascii() and given.isdecimal() and len(given) < 16 else 0


def _first_error(form: desk_form.SayForm) -> str:
    return str(next(iter(form.errors.values()))[0])
