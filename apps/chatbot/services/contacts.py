"""What the team may do about a visitor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext_lazy as _

from apps.chatbot.models import Contact, ConversationExport
from apps.chatbot.pre_chat import Question
from common.errors import ApplicationError
from gpt_core.services import Erasure, erase_person
from labeling.models import StoredFile
from labeling.subjects import erase_files
from tenancy import audit

MOST_ATTRIBUTES = 50
MOST_ADDRESS = 254


@transaction.atomic
def change_contact(*, contact: Contact, **labels: Any) -> Contact:
    """Name, e-mail address, language and attributes: labels all of them, and never an identity."""
    if len(labels.get("attributes", ())) > MOST_ATTRIBUTES:
        raise ApplicationError(
            "too_many_attributes",
            _("At most %(most)d attributes.") % {"most": MOST_ATTRIBUTES},
            field="attributes",
        )
    changed = [name for name, value in labels.items() if getattr(contact, name) != value]
    for name in changed:
        setattr(contact, name, labels[name])
    if changed:
        contact.save(update_fields=changed)
        audit.record("contact.changed", contact, fields=changed)
    return contact


def note_answers(
    *, contact: Contact, questions: Sequence[Question], answers: Mapping[str, str]
) -> None:
    """What a visitor said before the first message, as labels; who is verified keeps their name and
    their address."""
    for question in questions:
        answer = answers.get(question["label"])
        if not answer:
            continue
        if question["kind"] in ("name", "email"):
            if not contact.is_verified:
                setattr(contact, question["kind"], answer)
        elif len(contact.attributes) < MOST_ATTRIBUTES or question["label"] in contact.attributes:
            contact.attributes = contact.attributes | {question["label"]: answer}
    if answers:
        contact.save(update_fields=["name", "email", "attributes"])


def note_address(*, contact: Contact, email: str) -> None:
    """Where an answer reaches a visitor who has left. A label; a verified address stays as it is.
    Raises ApplicationError `email_invalid`."""
    email = email.strip()
    try:
        if len(email) > MOST_ADDRESS:
            raise ValidationError("")
        validate_email(email)
    except ValidationError:
        raise ApplicationError(
            "email_invalid", _("This is no e-mail address."), field="email"
        ) from None
    if contact.email != email and not (contact.is_verified and contact.email):
        contact.email = email
        contact.save(update_fields=["email"])


@transaction.atomic
def erase_contact(*, contact: Contact) -> Erasure:
    """Take away everything of one visitor; nothing brings it back.

    Every export that may hold them loses its file: it can be made anew. Checkpoints that learned
    from their words are marked (gpt_core.services.erasure).
    """
    conversations = contact.conversations.count()
    exports = ConversationExport.objects.filter(contact=None)
    erase_files(StoredFile.objects.filter(pk__in=exports.exclude(result=None).values("result")))
    # Whoever writes one at this moment has read them already, and begins again.
    exports.filter(state=ConversationExport.State.RUNNING).update(
        state=ConversationExport.State.QUEUED, token=F("token") + 1, attempt=0, lease_until=None
    )
    key = contact.pk
    erasure = erase_person(subject=contact.subject)
    # The row is gone; its id is what the trail keeps.
    contact.pk = key
    audit.record(
        "contact.erased",
        contact,
        conversations=conversations,
        rows=erasure.rows,
        files=erasure.files,
        checkpoints=erasure.checkpoints,
    )
    return erasure
