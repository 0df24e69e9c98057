"""The panel's page, framed by the sites of its inbox and no other; and a site of ours to try it on."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.templatetags.static import static
from django.utils import translation
from django.utils.translation import pgettext
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.http import require_safe

from apps.chatbot.models import Feedback, Inbox

from .door import inbox_of
from .languages import language_for


@require_safe
@xframe_options_exempt
def panel(request: HttpRequest) -> HttpResponse:
    """The frame's page. It holds nothing of anybody: who is there is told to it by the page around."""
    inbox = inbox_of(request.GET.get("key", ""))
    if inbox is None or not inbox.allowed_origins:
        raise Http404
    language = language_for(request.GET.get("language", ""), inbox.language)
    with translation.override(language):
        context = {
            "inbox": inbox,
            "language": {"zh-hans": "zh-CN", "zh-hant": "zh-TW"}.get(language, language),
            "origins": json.dumps(inbox.allowed_origins),
            "words": json.dumps(words(), ensure_ascii=False),
            "uploads": settings.UPLOADS_ORIGIN,
        }
        response = render(request, "chatbot/widget/panel.html", context)
    response._csp_replace = {  # type: ignore[attr-defined]
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "connect-src": ["'self'", *([settings.UPLOADS_ORIGIN] if settings.UPLOADS_ORIGIN else [])],
        "img-src": ["'self'", "data:"],
        "frame-ancestors": inbox.allowed_origins,
    }
    response["Referrer-Policy"] = "no-referrer"
    return response


@require_safe
def demo(request: HttpRequest, key: str) -> HttpResponse:
    """A shop of nobody's that carries the widget, under as strict a policy as a customer may have."""
    inbox = inbox_of(key)
    here = f"{request.scheme}://{request.get_host()}"
    if inbox is None or here not in inbox.allowed_origins:
        raise Http404
    home = _home(request, inbox)
    # The shop speaks the inbox's language, and its widget with it.
    with translation.override(language_for(inbox.language)):
        response = render(
            request,
            "chatbot/widget/demo.html",
            {"inbox": inbox, "loader": home + static("widget/loader.js")},
        )
    response._csp_replace = {  # type: ignore[attr-defined]
        "default-src": ["'none'"],
        "script-src": [home],
        "style-src": ["'self'"],
        "connect-src": [home],
        "frame-src": [home],
        "img-src": ["'self'"],
    }
    return response


def _home(request: HttpRequest, inbox: Inbox) -> str:
    """Where the widget comes from: the configured origin, or the same server by its other name, so
    that even on one machine the demo is another site to a browser."""
    if settings.WIDGET_ORIGINS:
        return str(settings.WIDGET_ORIGINS[0])
    host, _colon, port = request.get_host().partition(":")
    other = "127.0.0.1" if host == "localhost" else "localhost"
    return f"{request.scheme}://{other}{':' + port if port else ''}"


def words() -> dict[str, Any]:
    """Every word that the panel's script may say, in the language that is active."""
    return {
        "bot": pgettext("widget", "Assistant"),
        "generated": pgettext("widget", "Assistant · written by AI"),
        "agent": pgettext("widget", "Support team"),
        "sources": pgettext("widget", "Sources"),
        "helpful": pgettext("widget", "Helpful"),
        "not_helpful": pgettext("widget", "Not helpful"),
        "why": pgettext("widget", "What was wrong?"),
        "thanks": pgettext("widget", "Thank you."),
        "handoff": pgettext("widget", "A person will answer you here."),
        "handoff_unknown": pgettext(
            "widget", "I do not know this well enough. A person will answer you here."
        ),
        "resolved": pgettext("widget", "This conversation is closed. Write to open it again."),
        "rate": pgettext("widget", "How did we do?"),
        "scores": [
            pgettext("widget", "1, very bad"),
            pgettext("widget", "2, bad"),
            pgettext("widget", "3, fair"),
            pgettext("widget", "4, good"),
            pgettext("widget", "5, very good"),
        ],
        "comment": pgettext("widget", "Anything to add? (optional)"),
        "rated": pgettext("widget", "Thank you. Your rating: %s"),
        "change": pgettext("widget", "Change it"),
        "send": pgettext("widget", "Send"),
        "before": pgettext("widget", "Before we begin"),
        "begin": pgettext("widget", "Start the chat"),
        "optional": pgettext("widget", "(optional)"),
        "choose": pgettext("widget", "Choose one"),
        "back": pgettext("widget", "Nobody is here now. The team is back on %s."),
        "sent_file": pgettext("widget", "Download %s"),
        "file_too_large": pgettext("widget", "The file is too large. At most 10 MB fit."),
        "write_first": pgettext("widget", "Write a message first, then send the file."),
        "reach": pgettext("widget", "Where may we answer you?"),
        "email": pgettext("widget", "Your e-mail address"),
        "message": pgettext("widget", "Your message (optional)"),
        "reached": pgettext("widget", "Thank you. We answer here and by e-mail."),
        "person": pgettext("widget", "I would like to talk to a person."),
        "offline": pgettext("widget", "No connection. What you write is kept and sent later."),
        "not_sent": pgettext("widget", "This was not sent."),
        "refused": pgettext("widget", "This widget cannot be used here."),
        "unreachable": pgettext("widget", "The service cannot be reached. Trying again."),
        "reasons": {one.value: str(one.label) for one in Feedback.Reason},
    }
