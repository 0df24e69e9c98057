"""From a file of another system to drafts for people to review."""

from __future__ import annotations

import pytest

from apps.chatbot import redaction, services
from apps.chatbot.models import (
    MinedPair,
    PastConversation,
    PastPart,
    SealedOriginals,
)
from common.errors import ConflictError
from labeling.models import Example, LabelingTask
from tenancy.models import Tenant
from tests.apps.chatbot.history.files import (
    ANSWER,
    ANSWER_ZH,
    QUESTION,
    QUESTION_ZH,
    imported,
    pairs,
    received,
    ticket,
    zendesk,
)

FILE = zendesk(
    ticket(
        1,
        (1, f"Hello,\n{QUESTION}\nMy phone is 415-555-0134.\nThanks,\nThandiwe Mokoena"),
        (10, f"Hi Thandiwe,\n{ANSWER}\nBest regards,\nSiobhán"),
    ),
    ticket(2, (1, f"您好，{QUESTION_ZH}"), (10, ANSWER_ZH)),
    ticket(3, (1, QUESTION), (10, "Let me check that for you.")),
)


def test_a_zendesk_export_becomes_drafts_that_people_review(in_tenant: Tenant) -> None:
    run = imported(FILE)
    assert (run.state, run.fault_count) == ("done", 0)
    assert run.counts["created"] == 3
    assert pairs(run.dataset) == [
        (QUESTION, f"Hi,\n{ANSWER}\nBest regards,"),
        (QUESTION_ZH, ANSWER_ZH),
    ]
    assert {example.state for example in run.dataset.examples.all()} == {Example.State.DRAFT}
    assert run.mined == {
        "counts": {"pairs": 2, "examples": 2},
        "skipped": {"incomplete": 1, "private_notes": 0},
    }
    task = LabelingTask.objects.get(dataset=run.dataset)
    assert (task.mode, task.overlap) == (LabelingTask.Mode.REVIEW, 1)


def test_nothing_of_a_person_is_kept_in_clear(in_tenant: Tenant) -> None:
    imported(FILE)
    texts = " ".join(PastPart.objects.values_list("text", flat=True))
    assert "Thandiwe" not in texts
    assert "Mokoena" not in texts
    assert "Siobhán" not in texts
    assert "0134" not in texts
    assert "0134" not in SealedOriginals.objects.get(conversation__external_id="1").sealed


def test_an_owner_can_look_at_what_was_said(in_tenant: Tenant) -> None:
    imported(FILE)
    said = redaction.reveal(conversation=PastConversation.objects.get(external_id="1"))
    assert said[0].endswith("My phone is 415-555-0134.\nThanks,\nThandiwe Mokoena")


def test_what_was_sealed_for_one_conversation_opens_beside_no_other(in_tenant: Tenant) -> None:
    imported(zendesk(ticket(1, (1, "13812345678")), ticket(2, (1, "13912345678"))))
    one, other = SealedOriginals.objects.order_by("conversation__external_id")
    one.sealed, other.sealed = other.sealed, one.sealed
    one.save()
    with pytest.raises(ConflictError):
        redaction.reveal(conversation=one.conversation)


def test_the_same_file_again_adds_nothing(in_tenant: Tenant) -> None:
    first = imported(FILE)
    second = imported(FILE, dataset=first.dataset)
    assert second.counts["unchanged"] == 3
    assert not second.counts["created"]
    assert PastConversation.objects.count() == 3
    assert first.dataset.examples.count() == 2
    assert MinedPair.objects.count() == 2


def test_a_conversation_that_went_on_is_read_and_mined_anew(in_tenant: Tenant) -> None:
    first = imported(zendesk(ticket(3, (1, QUESTION), (10, "One moment please."))))
    again = imported(
        zendesk(ticket(3, (1, QUESTION), (10, "One moment please."), (10, ANSWER))),
        dataset=first.dataset,
    )
    assert again.counts["updated"] == 1
    assert [answer for _question, answer in pairs(first.dataset)] == [
        f"One moment please.\n{ANSWER}"
    ]


def test_a_check_keeps_nothing(in_tenant: Tenant) -> None:
    run = received(FILE)
    assert (run.state, run.counts["created"]) == ("done", 3)
    assert run.redacted["name"] > 0
    assert not PastConversation.objects.exists()
    assert not Example.objects.exists()


def test_questions_asked_in_nearly_the_same_words_are_one_example_with_a_count(
    in_tenant: Tenant,
) -> None:
    asked = [
        QUESTION,
        QUESTION.replace("?", " ?"),
        f"hi, {QUESTION.upper()}",
        "Do you ship to Norway?",
    ]
    run = imported(
        zendesk(*(ticket(at, (1, text), (10, ANSWER)) for at, text in enumerate(asked, start=1)))
    )
    assert run.mined["counts"] == {"pairs": 4, "examples": 2, "near": 2}
    example = run.dataset.examples.get(external_id="zendesk:1:0")
    assert MinedPair.objects.filter(example=example).count() == 3


def test_a_customer_of_the_past_can_be_erased(in_tenant: Tenant) -> None:
    imported(FILE)
    subject = PastConversation.objects.get(external_id="1").subject
    assert "Thandiwe" not in subject
    services.erase_past_customer(subject=subject)
    for model in (PastConversation, PastPart, SealedOriginals, MinedPair, Example):
        assert not model.objects.exists()
