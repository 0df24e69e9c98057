"""Make an inbox and change the rules by which it answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from apps.chatbot import hours, pre_chat
from apps.chatbot.models import Inbox
from apps.chatbot.widget.origins import is_origin
from common.errors import ApplicationError
from tenancy import audit

MOST_INBOXES = 100
MOST_ORIGINS = 50
MOST_PHRASES = 200
# Of the widget, each by its own name.
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文"), ("zh-hant", "繁體中文")]


@transaction.atomic
def create_inbox(*, name: str, **rules: Any) -> Inbox:
    """An inbox with a key of its own. Nobody may use its widget before an origin is named.

    `rules` are columns of Inbox. Raises ApplicationError: origin_invalid, too_many_origins,
    too_many_inboxes, pre_chat_invalid, and what hours.validate() raises.
    """
    if Inbox.objects.count() >= MOST_INBOXES:
        raise ApplicationError(
            "too_many_inboxes", _("At most %(most)d inboxes.") % {"most": MOST_INBOXES}
        )
    inbox = Inbox(name=name)
    _set(inbox, rules)
    inbox.save()
    audit.record("inbox.created", inbox)
    return inbox


@transaction.atomic
def change_inbox(*, inbox: Inbox, **rules: Any) -> Inbox:
    """From the next request on these rules hold. Raises ApplicationError as create_inbox does."""
    changed = _set(inbox, rules)
    if changed:
        inbox.save(update_fields=changed)
        audit.record("inbox.changed", inbox, fields=changed)
    return inbox


@transaction.atomic
def switch_bot(*, inbox: Inbox, on: bool) -> None:
    """Off, the next message already waits for people; nothing has to be loaded anew."""
    if not Inbox.objects.filter(pk=inbox.pk).exclude(bot_enabled=on).update(bot_enabled=on):
        return
    if on:
        audit.record("inbox.bot_on", inbox)
    else:
        audit.record("inbox.bot_off", inbox)


def origins_of(lines: Iterable[str]) -> list[str]:
    """Origins as a browser writes them, from what people paste. Raises ApplicationError."""
    found = list(dict.fromkeys(_origin_of(line) for line in lines))
    if len(found) > MOST_ORIGINS:
        raise ApplicationError(
            "too_many_origins",
            _("At most %(most)d origins.") % {"most": MOST_ORIGINS},
            field="allowed_origins",
        )
    return found


def _origin_of(line: str) -> str:
    """Capital letters, a last slash, the usual port and a name in Chinese letters are put right."""
    wrong = ApplicationError(
        "origin_invalid",
        _("“%(line)s” is no origin. Write scheme and name alone, such as https://www.example.com.")
        % {"line": line[:100]},
        field="allowed_origins",
    )
    try:
        parts = urlsplit(line.strip())
        host, port = parts.hostname or "", parts.port
        name = f"[{host}]" if ":" in host else host.encode("idna").decode()
    except ValueError:  # UnicodeError is one of them.
        raise wrong from None
    if parts.path.strip("/") or parts.query or parts.fragment or parts.username or "*" in host:
        raise wrong
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    origin = f"{parts.scheme}://{name}" + (f":{port}" if port and port != usual else "")
    if not is_origin(origin):
        raise wrong
    return origin


def _set(inbox: Inbox, rules: dict[str, Any]) -> list[str]:
    """The columns that are another than before, by name."""
    if "allowed_origins" in rules:
        rules["allowed_origins"] = origins_of(rules["allowed_origins"])
    if "hours" in rules:
        rules["hours"] = hours.validate(rules["hours"])
    if "pre_chat" in rules:
        rules["pre_chat"] = pre_chat.validate(rules["pre_chat"])
    changed = [name for name, value in rules.items() if getattr(inbox, name) != value]
    for name in changed:
        setattr(inbox, name, rules[name])
    return changed
