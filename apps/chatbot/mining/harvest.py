"""The second half of an import: what was kept and not mined yet becomes drafts for people to review."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import transaction
from django.db.models import Prefetch

from apps.chatbot.mining.clusters import Clusters
from apps.chatbot.mining.drafting import ensure_review, fill
from apps.chatbot.mining.rules import Pair, curated_pairs_of, pairs_of
from apps.chatbot.mining.turns import turns_of
from apps.chatbot.models import HistoryRun, HistorySource, MinedPair, PastConversation, PastPart
from labeling.models import Dataset, Example
from labeling.rows import MAX_ID_CHARACTERS

if TYPE_CHECKING:
    from labeling.work import Hold

PAGE = 200
# Files that are questions and answers already; people wrote them as such.
CURATED = frozenset({HistorySource.OPENAI, HistorySource.SHAREGPT, HistorySource.QUESTIONS})


def harvest(hold: Hold, run: HistoryRun, *, reading: float) -> None:
    """Mine every conversation of the run's source that waits. `reading` is the share done before."""
    waiting = PastConversation.objects.filter(source=run.source, mined_into=None)
    total = waiting.count()
    counts: Counter[str] = Counter(run.mined.get("counts", {}))
    skipped: Counter[str] = Counter(run.mined.get("skipped", {}))
    with Clusters() as clusters:
        if total:
            for pk, question in _questions_of(run.dataset):
                clusters.add(pk, question)
        done = 0
        while page := _page(waiting):
            with transaction.atomic():
                # Two imports into one dataset wait for each other.
                Dataset.objects.select_for_update().filter(pk=run.dataset_id).first()
                _mine(page, run, clusters, counts, skipped)
                hold.write(mined={"counts": dict(counts), "skipped": dict(skipped)})
            done += len(page)
            hold.progress(reading + (1 - reading) * done / max(total, done))
    if counts["examples"]:
        ensure_review(run.dataset, reviewers=run.reviewers, by=run.actor)


def _page(waiting: Any) -> list[PastConversation]:
    # The order of the file, so that the same file gives the same examples.
    rows = waiting.order_by("run_id", "line", "id")[:PAGE]
    parts = Prefetch("parts", PastPart.objects.order_by("position"))
    return list(rows.prefetch_related(parts))


def _mine(
    page: list[PastConversation],
    run: HistoryRun,
    clusters: Clusters,
    counts: Counter[str],
    skipped: Counter[str],
) -> None:
    # What was mined from an earlier state of these conversations is found by its id again.
    MinedPair.objects.filter(conversation__in=page).delete()
    found = [(past, pair) for past in page for pair in _results(past, run.source, skipped)]
    known = {
        example.external_id: example
        for example in Example.objects.filter(
            dataset=run.dataset, external_id__in=[_external_id(past, pair) for past, pair in found]
        )
    }
    new: list[Example] = []
    pairs: list[MinedPair] = []
    for past, pair in found:
        example = known.get(_external_id(past, pair))
        if example is None:
            near = clusters.like(pair.question)
            if near is None:
                example = _example(past, pair, run)
                new.append(example)
                clusters.add(example.pk, pair.question)
            else:
                counts["near"] += 1
        elif example.state == Example.State.DRAFT and example.edited_at is None:
            _follow(example, past, pair)
        pk: UUID | None = example.pk if example is not None else near
        pairs.append(MinedPair(conversation=past, position=pair.position, example_id=pk))
    counts["pairs"] += len(pairs)
    counts["examples"] += len(new)
    Example.objects.bulk_create(new)
    MinedPair.objects.bulk_create(pairs)
    PastConversation.objects.filter(pk__in=[past.pk for past in page]).update(
        mined_into=run.dataset
    )


def _results(past: PastConversation, source: str, skipped: Counter[str]) -> Iterator[Pair]:
    parts = list(past.parts.all())
    skipped["private_notes"] += sum(part.is_private for part in parts)
    turns = turns_of(parts)
    if source in CURATED:
        results = curated_pairs_of(turns)
    else:
        words = {past.status.casefold(), *(tag.casefold() for tag in past.tags)}
        results = pairs_of(turns, is_spam=bool(words & {"spam", "垃圾", "垃圾消息", "骚扰"}))
    for result in results:
        if isinstance(result, Pair):
            yield result
        else:
            skipped[result.reason] += 1


def _external_id(past: PastConversation, pair: Pair) -> str:
    told = f"{past.source}:{past.external_id}:{pair.position}"
    if len(told) <= MAX_ID_CHARACTERS:
        return told
    return f"{past.source}:sha256:{hashlib.sha256(told.encode()).hexdigest()}"


def _example(past: PastConversation, pair: Pair, run: HistoryRun) -> Example:
    example = Example(
        dataset=run.dataset,
        kind=Example.Kind.CHAT,
        external_id=_external_id(past, pair),
        # The conversations of one customer are not parted between learning and testing.
        group=past.subject,
        subject=past.subject,
        state=Example.State.DRAFT,
        source_kind=Example.Source.MESSAGE,
        source_ref=f"{past.source}/{past.external_id}"[:255],
    )
    fill(example, pair.question, pair.answer)
    return example


def _follow(example: Example, past: PastConversation, pair: Pair) -> None:
    """The source says it otherwise now, and nobody has looked at it yet."""
    fill(example, pair.question, pair.answer)
    example.save()


def _questions_of(dataset: Dataset) -> Iterator[tuple[UUID, str]]:
    for page in Example.objects.filter(dataset=dataset, kind=Example.Kind.CHAT).in_pages():
        for example in page:
            asked = [m["content"] for m in example.content["messages"] if m["role"] == "user"]
            if asked:
                yield example.pk, asked[0]
