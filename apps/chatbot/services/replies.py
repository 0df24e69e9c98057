"""Canned replies: written once, filled in for whoever is spoken to."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from apps.chatbot.models import CannedReply, Conversation
from apps.chatbot.retrieval.terms import normal
from apps.chatbot.services.conversations import MOST_CHARACTERS
from common.errors import ApplicationError, ConflictError
from tenancy import audit

MOST_REPLIES = 1_000
MOST_OFFERED = 8
LONGEST_SHORTCUT = 40
_SHORTCUT = re.compile(r"[\w-]+")
_VARIABLE = re.compile(r"\{\{([^{}]*)\}\}")

VARIABLES: Mapping[str, Callable[[Conversation, User], str]] = {
    "contact.name": lambda conversation, agent: conversation.contact.name,
    "contact.email": lambda conversation, agent: conversation.contact.email,
    "agent.name": lambda conversation, agent: str(agent),
    "inbox.name": lambda conversation, agent: conversation.inbox.name,
}


@dataclass(frozen=True)
class Filled:
    """A reply as it would be sent; `missing` names the variables that nothing is known for."""

    reply: CannedReply
    text: str
    missing: list[str]


@transaction.atomic
def write_reply(
    *, reply: CannedReply | None = None, shortcut: str, text: str, language: str = ""
) -> CannedReply:
    """A new one, or this one changed. Raises ApplicationError: shortcut_invalid, reply_invalid,
    variable_unknown, too_many_replies; ConflictError: shortcut_taken."""
    shortcut = normal(shortcut).strip().lstrip("/")
    if len(shortcut) > LONGEST_SHORTCUT or not _SHORTCUT.fullmatch(shortcut):
        raise ApplicationError(
            "shortcut_invalid",
            _("A shortcut is letters, figures and hyphens, such as thanks or 谢谢."),
            field="shortcut",
        )
    text = _checked(text.strip())
    same = CannedReply.objects.filter(shortcut=shortcut, language=language)
    if same.exclude(pk=reply.pk if reply else None).exists():
        raise ConflictError(
            "shortcut_taken", _("This language has such a shortcut already."), field="shortcut"
        )
    if reply is None:
        if CannedReply.objects.count() >= MOST_REPLIES:
            raise ApplicationError(
                "too_many_replies", _("At most %(most)d canned replies.") % {"most": MOST_REPLIES}
            )
        reply = CannedReply()
    reply.shortcut, reply.language, reply.text = shortcut, language, text
    reply.save()
    audit.record("reply.written", reply)
    return reply


@transaction.atomic
def delete_reply(*, reply: CannedReply) -> None:
    audit.record("reply.deleted", reply)
    reply.delete()


def filled(reply: CannedReply, *, conversation: Conversation, agent: User) -> Filled:
    """Each variable as what it stands for; what is not known is left out, and named."""
    missing: list[str] = []

    def value(found: re.Match[str]) -> str:
        name = found[1].strip()
        known = VARIABLES[name](conversation, agent) if name in VARIABLES else ""
        if not known:
            missing.append(name)
        return known

    return Filled(reply, _VARIABLE.sub(value, reply.text), missing)


def replies_for(*, conversation: Conversation, agent: User, asked: str) -> list[Filled]:
    """What fits best to what was typed behind the sign: by shortcut first, then by words; of one
    shortcut only the one in the language of the conversation, or as near as there is."""
    asked = normal(asked).strip()[:LONGEST_SHORTCUT]
    found = CannedReply.objects.filter(Q(shortcut__contains=asked) | Q(text__icontains=asked))
    best: dict[str, CannedReply] = {}
    for one in sorted(found, key=lambda one: _distance(one.language, conversation.language)):
        best.setdefault(one.shortcut, one)
    ranked = sorted(
        best.values(),
        key=lambda one: (
            not one.shortcut.startswith(asked),
            asked not in one.shortcut,
            one.shortcut,
        ),
    )
    return [filled(one, conversation=conversation, agent=agent) for one in ranked[:MOST_OFFERED]]


def _distance(language: str, spoken: str) -> int:
    if language == spoken:
        return 0
    if not language:
        return 1
    return 2 if language.partition("-")[0] == spoken.partition("-")[0] else 3


def _checked(text: str) -> str:
    if not text or len(text) > MOST_CHARACTERS:
        raise ApplicationError(
            "reply_invalid",
            _("Write something, of at most %(most)d characters.") % {"most": MOST_CHARACTERS},
            field="text",
        )
    unknown = [name for name in _VARIABLE.findall(text) if name.strip() not in VARIABLES]
    if unknown or "{{" in _VARIABLE.sub("", text):
        wrong = f"{{{{{unknown[0][:60]}}}}}" if unknown else "{{"
        raise ApplicationError(
            "variable_unknown",
            _("There is no variable “%(wrong)s”. There are: %(known)s.")
            % {"wrong": wrong, "known": ", ".join(f"{{{{{name}}}}}" for name in VARIABLES)},
            field="text",
        )
    return text
