"""What a company puts into its pages, so that the widget stands there."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest
from django.templatetags.static import static
from django.utils.html import format_html, format_html_join

from apps.chatbot.models import Inbox


def snippet_for(inbox: Inbox, *, request: HttpRequest) -> str:
    """The loader's tag with the inbox's key and looks: one element and no script of its own, so that
    a strict policy of the page has nothing to refuse. It is text to copy, not markup to show."""
    attributes = [("data-key", inbox.key)]
    attributes += [
        (f"data-{name}", inbox.theme[name])
        for name in ("accent", "position")
        if inbox.theme.get(name)
    ]
    source = home_of_widget(request) + static("widget/loader.js")
    pairs = format_html_join("", ' {}="{}"', attributes)
    return str(format_html('<script async src="{}"{}></script>', source, pairs))


def home_of_widget(request: HttpRequest) -> str:
    """The origin that serves the widget: the one configured for it, or this one."""
    if settings.WIDGET_ORIGINS:
        return str(settings.WIDGET_ORIGINS[0])
    return here(request)


def here(request: HttpRequest) -> str:
    return f"{request.scheme}://{request.get_host()}"
