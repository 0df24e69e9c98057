"""One conversation after another: drafts out of thumbs, people's answers, edits and reopened cases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from apps.chatbot.mining.drafting import ensure_review, fill
from apps.chatbot.mining.rules import Pair, pair_of, pairs_of
from apps.chatbot.mining.turns import BOT, VISITOR
from apps.chatbot.models import Conversation, Inbox, Suggestion
from labeling.models import Dataset, Example
from labeling.services import create_dataset_of_any_address

from .gaps import Matters, note_gaps
from .telling import Told, told

PAGE = 100


@dataclass(frozen=True)
class Lesson:
    """A pair and why it is worth a look: thumb_up, thumb_down, reopened, answered."""

    pair: Pair
    why: str


def collect() -> int:
    """Look at the conversations of this tenant that wait for it, PAGE of them. Returns how many."""
    # numpy and datasketch: the web, which loads this module, never needs them.
    from apps.chatbot.mining.clusters import Clusters

    waiting = Conversation.objects.to_learn_from().select_related("inbox__dataset", "contact")
    rows = list(waiting.order_by("updated_at", "pk")[:PAGE])
    matters: dict[UUID, Matters] = {}
    with ExitStack() as scratch:
        for conversation in rows:
            inbox, seen = conversation.inbox, conversation.last_seq
            if inbox.pk not in matters:
                matters[inbox.pk] = Matters(inbox, scratch.enter_context(Clusters()))
            with transaction.atomic():
                story = told(conversation, suggested=_replaced(conversation))
                keep(story)
                note_gaps(story, matters[inbox.pk])
                Conversation.objects.filter(pk=conversation.pk).update(learned_seq=seen)
    return len(rows)


def keep(story: Told) -> int:
    """Drafts of one conversation, each once; returns how many are new. What was proposed to the agent
    who then said something else stands beside the draft as what people liked less."""
    lessons = {lesson.pair.answered_at: lesson for lesson in _lessons(story)}
    if not lessons:
        return 0
    dataset = dataset_of(story.conversation.inbox)
    # The first message of an answer names it: whatever else is said of it later is the same example.
    ids = {seq: f"message:{story.messages[seq].pk}" for seq in lessons}
    rows = Example.objects.filter(dataset=dataset, external_id__in=ids.values())
    known = {example.external_id: example for example in rows}
    for seq, lesson in lessons.items():
        example = known.get(ids[seq]) or _draft(dataset, story, ids[seq])
        if example.state != Example.State.DRAFT or example.edited_at is not None:
            continue
        example.source_ref = f"{lesson.why}/{story.messages[seq].pk}"
        if (proposed := story.suggested.get(seq)) is not None:
            example.preference = {"rejected": {"role": "assistant", "content": proposed}}
        fill(example, lesson.pair.question, lesson.pair.answer)
        example.save()
    if set(ids.values()) - set(known):
        ensure_review(dataset)
    return len(set(ids.values()) - set(known))


def dataset_of(inbox: Inbox) -> Dataset:
    """The inbox's own, made with the first example."""
    if inbox.dataset is None:
        held = Inbox.objects.select_for_update(of=("self",)).get(pk=inbox.pk)
        held.dataset = held.dataset or create_dataset_of_any_address(
            name=(_("%(name)s: conversations") % {"name": inbox.name})[:100],
            description=_("What visitors asked, and what they were told. For people to review."),
            language=inbox.language,
        )
        held.save(update_fields=["dataset"])
        inbox.dataset = held.dataset
    return inbox.dataset


def _replaced(conversation: Conversation) -> dict[int, str]:
    """What the model had proposed where an agent changed it before it was sent."""
    edited = Suggestion.objects.filter(
        conversation=conversation, verdict=Suggestion.Verdict.EDITED, sent__isnull=False
    )
    return dict(edited.values_list("sent__seq", "text"))


def _draft(dataset: Dataset, story: Told, external_id: str) -> Example:
    subject = story.conversation.contact.subject
    return Example(
        dataset=dataset,
        kind=Example.Kind.CHAT,
        external_id=external_id,
        # The conversations of one visitor are not parted between learning and testing.
        group=subject,
        subject=subject,
        state=Example.State.DRAFT,
        source_kind=Example.Source.MESSAGE,
    )


def _lessons(story: Told) -> Iterator[Lesson]:
    """A later one of the same answer takes the place of an earlier: a thumb says more than a guess."""
    for seq in story.reopened:
        said = [one for one in story.messages.values() if one.seq < seq and one.role == "assistant"]
        if said and (pair := _pair_before(story, said[-1].seq)):
            yield Lesson(pair, "reopened")
    for result in pairs_of(story.turns):
        if isinstance(result, Pair):
            yield Lesson(result, "answered")
    for message in story.messages.values():
        feedback = getattr(message, "feedback", None)
        if feedback is not None and (pair := _pair_before(story, message.seq)):
            yield Lesson(pair, "thumb_up" if feedback.helpful else "thumb_down")


def _pair_before(story: Told, seq: int) -> Pair | None:
    """The bot's words with the question that they answered."""
    at = story.turn_of(seq)
    if not at or story.turns[at].role != BOT or story.turns[at - 1].role != VISITOR:
        return None
    is_first = not any(turn.role == VISITOR for turn in story.turns[: at - 1])
    found = pair_of(story.turns[at - 1], story.turns[at], is_first=is_first)
    return found if isinstance(found, Pair) else None
