"""The work of one run: every accepted answer of a dataset becomes a lesson in another, once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django.db import transaction

from apps.chatbot.answering.understanding import language_of
from apps.chatbot.models import LessonRun
from apps.chatbot.retrieval import search
from labeling.models import Dataset, Example, Work
from labeling.rows import Row

from .making import LOOKED_UP, Lesson, lesson_of, voice_of

if TYPE_CHECKING:
    from labeling.work import Hold

LEAST_FOR_A_VOICE = 50


def write_lessons(hold: Hold) -> None:
    """Lessons follow their source: who runs it again after a correction gets the corrected lesson,
    unless people have edited the lesson itself."""
    run = hold.row
    assert isinstance(run, LessonRun)
    counts: Counter[str] = Counter()
    source = Example.objects.filter(dataset=run.source, kind=Example.Kind.CHAT).accepted()
    total = source.count()
    # In a handful of answers nothing is usual yet.
    voice = voice_of(_answers(source)) if total >= LEAST_FOR_A_VOICE else frozenset()
    for page in source.in_pages():
        made = [lesson for one in page if (lesson := _lesson(one, run, voice, counts))]
        with transaction.atomic():
            # Two runs into one dataset wait for each other.
            Dataset.objects.select_for_update().filter(pk=run.dataset_id).first()
            _keep(made, run, counts)
            hold.write(counts=dict(counts))
        counts["read"] += len(page)
        hold.progress(counts["read"] / max(total, 1), done=counts["read"])
    hold.end(Work.State.DONE, share=1.0, done=counts["read"], counts=dict(counts))


def _answers(source: Any) -> Iterator[str]:
    for page in source.in_pages():
        yield from (example.content["messages"][-1]["content"] for example in page)


def _lesson(
    example: Example, run: LessonRun, voice: frozenset[str], counts: Counter[str]
) -> Example | None:
    """The lesson as it would be new; None where there is none."""
    messages = example.content["messages"]
    asked = [one["content"] for one in messages if one["role"] == "user"]
    if len(asked) != 1 or len(messages) > 3 or messages[-1]["role"] != "assistant":
        # What leans on earlier turns would be looked up without them.
        counts["longer"] += 1
        return None
    question, answer = asked[0], messages[-1]["content"]
    found = search(question, language=language_of(question), most=LOOKED_UP)
    lesson = lesson_of(question, answer, found, key=example.external_id, voice=voice)
    if lesson is None:
        counts["not_carried"] += 1
        return None
    counts["refusals" if lesson.is_refusal else "answers"] += 1
    content = {"messages": [_as_taught(message, lesson) for message in messages]}
    made = Example(
        dataset=run.dataset,
        kind=Example.Kind.CHAT,
        content=content,
        passages=list(lesson.passages),
        external_id=example.external_id,
        # With its source's id and group, it is held out where that is held out.
        group=example.group,
        subject=example.subject,
        state=Example.State.ACCEPTED,
        source_kind=example.source_kind,
        source_ref=example.source_ref,
    )
    row = Row(kind=made.kind, content=content, passages=lesson.passages, group=made.group)
    made.content_digest, made.source_digest = row.digest, row.source_digest
    made.note_what_follows()
    return made


def _as_taught(message: dict[str, Any], lesson: Lesson) -> dict[str, Any]:
    """A system message stays; the one question and its answer are the lesson's."""
    said = {"user": lesson.question, "assistant": lesson.answer}
    return message | {"content": said.get(message["role"], message["content"])}


def _keep(lessons: list[Example], run: LessonRun, counts: Counter[str]) -> None:
    known = {
        one.external_id: one
        for one in Example.objects.filter(
            dataset=run.dataset, external_id__in=[lesson.external_id for lesson in lessons]
        )
    }
    Example.objects.bulk_create(lesson for lesson in lessons if lesson.external_id not in known)
    counts["new"] += len(lessons) - len(known)
    for lesson in lessons:
        kept = known.get(lesson.external_id)
        if kept and kept.edited_at is None and kept.source_digest != lesson.source_digest:
            kept.content, kept.passages = lesson.content, lesson.passages
            kept.source_digest = lesson.source_digest
            kept.save()
            counts["changed"] += 1
