"""Test questions are kept and taken away, and put to checkpoints."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from apps.chatbot.mining.rules import general_question
from apps.chatbot.models import (
    AnswerReview,
    Article,
    Inbox,
    RegressionCase,
    RegressionRun,
)
from apps.chatbot.redaction import rules_of_tenant
from apps.chatbot.regression import suite_of
from apps.chatbot.regression.judging import facts_to_keep
from common.errors import ApplicationError, ConflictError
from gpt_core.models import Checkpoint, Deployment
from labeling import work
from labeling.models import Example
from labeling.redaction import Redactor
from tenancy import audit

MOST_CASES = 200
MOST_QUESTION = 1_000
MOST_FACTS = 20
Origin = RegressionCase.Origin


def add_case(
    *,
    inbox: Inbox,
    question: str,
    must_contain: Iterable[str] = (),
    article: Article | None = None,
    must_refuse: bool = False,
    **origin: Any,
) -> RegressionCase:
    """Keep a question; the same question again changes what is expected of it.

    Raises ApplicationError: question_empty, question_too_long, nothing_expected, too_many_facts,
    too_many_cases.
    """
    question = question.strip()
    facts = list(dict.fromkeys(one.strip()[:200] for one in must_contain if one.strip()))
    _check(question, facts, bool(facts or article or must_refuse))
    digest = hashlib.sha256(question.encode()).hexdigest()
    known = RegressionCase.objects.filter(inbox=inbox)
    if known.exclude(digest=digest).count() >= MOST_CASES:
        raise ApplicationError(
            "too_many_cases", _("At most %(most)d test questions.") % {"most": MOST_CASES}
        )
    with transaction.atomic():
        case, is_new = RegressionCase.objects.update_or_create(
            inbox=inbox,
            digest=digest,
            defaults={
                "question": question,
                "must_contain": [] if must_refuse else facts,
                "article": None if must_refuse else article,
                "must_refuse": must_refuse,
                **origin,
            },
        )
        if is_new:
            audit.record("regression.case_added", case)
    return case


def keep_review(*, review: AnswerReview) -> RegressionCase:
    """A good answer as a test: what it stated must be said again, from the same article. Redacted, for
    it is kept longer than the conversation. Raises ApplicationError `question_private`."""
    answer = review.answer
    contact = answer.conversation.contact
    redactor = Redactor(rules_of_tenant(), [contact.name] if contact.name else [])
    asked, said = redactor.redact([answer.question.text, answer.text])
    citation = answer.citations.select_related("passage__version__article").first()
    return add_case(
        inbox=answer.conversation.inbox,
        question=_general(asked),
        must_contain=facts_to_keep(said),
        article=citation.passage.version.article if citation else None,
        origin=Origin.REVIEW,
        source_ref=f"answer/{answer.pk}",
        subject=contact.subject,
    )


def keep_example(*, inbox: Inbox, example: Example) -> RegressionCase:
    """A mistake that people corrected, as a test. Raises ApplicationError `question_private`."""
    if example.kind != Example.Kind.CHAT or example.state != Example.State.ACCEPTED:
        raise ConflictError("example_not_accepted", _("Accept the corrected answer first."))
    messages = example.content["messages"]
    asked = [one["content"] for one in messages if one["role"] == "user"]
    return add_case(
        inbox=inbox,
        question=_general(asked[0] if asked else ""),
        must_contain=facts_to_keep(messages[-1]["content"]),
        origin=Origin.EXAMPLE,
        source_ref=f"example/{example.pk}",
        subject=example.subject,
    )


def keep_article(*, inbox: Inbox, article: Article) -> int:
    """Every way to ask for an article, as a test that it is found. Returns how many questions."""
    questions = list(dict.fromkeys([article.title, *article.questions]))
    for question in questions:
        add_case(
            inbox=inbox,
            question=str(question)[:MOST_QUESTION],
            article=article,
            origin=Origin.ARTICLE,
            source_ref=f"article/{article.pk}",
        )
    return len(questions)


def remove_case(*, case: RegressionCase) -> None:
    audit.record("regression.case_removed", case)
    case.delete()


def start_run(*, checkpoint: Checkpoint, inbox: Inbox, actor: Any = None) -> RegressionRun:
    """Put the inbox's questions to a checkpoint; one that is under way is returned instead.

    Raises ConflictError: no_cases, base_not_served.
    """
    suite = suite_of(inbox)
    if not suite:
        raise ConflictError("no_cases", _("There is no test question yet."))
    if checkpoint.served_by is None:
        raise ConflictError("base_not_served", _("No engine serves this checkpoint's base."))
    with transaction.atomic():
        Inbox.objects.select_for_update(of=("self",)).get(pk=inbox.pk)
        same = RegressionRun.objects.filter(checkpoint=checkpoint, inbox=inbox, suite=suite)
        newest = same.order_by("-created_at").first()
        if newest is not None and newest.is_open:
            return newest
        run = RegressionRun.objects.create(
            checkpoint=checkpoint, inbox=inbox, suite=suite, actor=actor
        )
        work.begin(run, at_once=False)
    return run


def tenants_with_cases() -> list[uuid.UUID]:
    """Needs a system scope."""
    rows = RegressionCase.objects.filter(inbox__deployment__isnull=False)
    return rows.active_tenants()  # type: ignore[no-any-return]


def start_missing_runs() -> int:
    """Whatever the gate has passed for a deployment of an inbox is asked before somebody wants to promote
    it. Returns how many runs were begun."""
    begun = 0
    inboxes = Inbox.objects.filter(deployment__isnull=False, regression_cases__isnull=False)
    for inbox in inboxes.select_related("deployment").distinct():
        assert inbox.deployment is not None
        suite = suite_of(inbox)
        for checkpoint in _waiting(inbox.deployment):
            runs = RegressionRun.objects.filter(checkpoint=checkpoint, inbox=inbox, suite=suite)
            if checkpoint.served_by and not runs.exists():
                start_run(checkpoint=checkpoint, inbox=inbox)
                begun += 1
    return begun


def _waiting(slot: Deployment) -> list[Checkpoint]:
    """What may be promoted next in this slot: passed by the gate, and newer than what serves."""
    found = Checkpoint.objects.passed()
    if slot.checkpoint is not None:
        found = found.filter(created_at__gt=slot.checkpoint.created_at)
    newest = found.select_related("base_model").order_by("-created_at")[:20]
    return [one for one in newest if one.deployment_name == slot.name][:2]


def _general(question: str) -> str:
    found = general_question(question)
    if not found:
        raise ApplicationError(
            "question_private", _("This question concerns one case alone, or none at all.")
        )
    return found


def _check(question: str, facts: list[str], expects: bool) -> None:
    if not question:
        raise ApplicationError("question_empty", _("Write a question."), field="question")
    if len(question) > MOST_QUESTION:
        raise ApplicationError(
            "question_too_long",
            _("At most %(most)d characters fit in a question.") % {"most": MOST_QUESTION},
            field="question",
        )
    if not expects:
        raise ApplicationError(
            "nothing_expected",
            _("Say what the answer must hold, name an article, or have it refused."),
            field="must_contain",
        )
    if len(facts) > MOST_FACTS:
        raise ApplicationError(
            "too_many_facts", _("At most %(most)d.") % {"most": MOST_FACTS}, field="must_contain"
        )
