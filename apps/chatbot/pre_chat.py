"""What a visitor is asked before the first message: a list of questions, and the answers to it.

`questions` is [{"kind": "email", "label": "Your address", "required": true}, ...] as validate()
returns it; a choice has "choices" besides. An answer is a label of the contact and never an identity.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.translation import gettext_lazy as _

from common.errors import ApplicationError

KINDS = ("name", "email", "text", "choice")
MOST_QUESTIONS = 6
MOST_LABEL = 100
MOST_CHOICES = 20
MOST_ANSWER = 500
_MOST = {"name": 200, "email": 254}

Question = dict[str, Any]


def validate(questions: object) -> list[Question]:
    """The same questions, tidy. Raises ApplicationError `pre_chat_invalid`."""
    if not isinstance(questions, list | tuple) or len(questions) > MOST_QUESTIONS:
        raise _wrong(_("At most %(most)d questions.") % {"most": MOST_QUESTIONS})
    kept = [_question(one) for one in questions]
    labels = [one["label"] for one in kept]
    if len(set(labels)) < len(labels):
        raise _wrong(_("Two questions read the same."))
    return kept


def answers_to(
    questions: Sequence[Question], given: object, *, is_verified: bool = False
) -> dict[str, str]:
    """The answers by label, without the empty ones. Who is verified is not asked for a name or an
    address. Raises ApplicationError `answer_missing`, `answer_invalid`."""
    if not isinstance(given, Mapping) or len(given) > MOST_QUESTIONS:
        raise _no_answer("")
    kept = {}
    for question in questions:
        if is_verified and question["kind"] in _MOST:
            continue
        answer = given.get(question["label"], "")
        if not isinstance(answer, str) or "\x00" in answer:
            raise _no_answer(question["label"])
        answer = " ".join(answer.split())
        if answer:
            _check(question, answer)
            kept[question["label"]] = answer
        elif question["required"]:
            raise ApplicationError(
                "answer_missing",
                _("“%(question)s” wants an answer.") % {"question": question["label"]},
                field="answers",
            )
    return kept


def _question(one: object) -> Question:
    if not isinstance(one, dict) or not set(one) <= {"kind", "label", "required", "choices"}:
        raise _wrong(_("A question has a kind, a label, whether it is required, and choices."))
    kind, label = one.get("kind"), one.get("label", "")
    if kind not in KINDS or not _is_line(label):
        raise _wrong(_("A question is a name, an e-mail address, a text or a choice, with words."))
    if type(one.get("required", False)) is not bool:
        raise _wrong(_("A question is required or not."))
    kept = {
        "kind": kind,
        "label": " ".join(str(label).split()),
        "required": one.get("required", False),
    }
    if kind == "choice":
        choices = one.get("choices")
        if not isinstance(choices, list | tuple) or not all(map(_is_line, choices)):
            raise _wrong(_("A choice wants things to choose from."))
        kept["choices"] = list(dict.fromkeys(" ".join(choice.split()) for choice in choices))
        if not 2 <= len(kept["choices"]) <= MOST_CHOICES:
            raise _wrong(_("A choice has 2 to %(most)d things.") % {"most": MOST_CHOICES})
    return kept


def _is_line(text: object) -> bool:
    return (
        isinstance(text, str)
        and bool(text.strip())
        and len(text) <= MOST_LABEL
        and "\x00" not in text
    )


def _check(question: Question, answer: str) -> None:
    if len(answer) > _MOST.get(question["kind"], MOST_ANSWER):
        raise _no_answer(question["label"])
    if question["kind"] == "choice" and answer not in question["choices"]:
        raise _no_answer(question["label"])
    if question["kind"] == "email":
        try:
            validate_email(answer)
        except ValidationError:
            raise _no_answer(question["label"]) from None


def _wrong(why: Any) -> ApplicationError:
    return ApplicationError("pre_chat_invalid", why, field="pre_chat")


def _no_answer(label: str) -> ApplicationError:
    return ApplicationError(
        "answer_invalid",
        _("This is no answer to “%(question)s”.") % {"question": label},
        field="answers",
    )
