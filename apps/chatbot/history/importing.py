"""A file of past conversations on its way in: read, redacted, kept once, mined.

Done by whoever holds the run (labeling.work). Each batch is one transaction with the counts of the run, so that a
killed import is taken up again from the start of its file and passes over what is there already.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from django.db import transaction

from apps.chatbot.history.reading import HistoryReading
from apps.chatbot.history.shape import Conversation
from apps.chatbot.history.words import without_marks
from apps.chatbot.mining.harvest import harvest
from apps.chatbot.models import HistoryRun, PastConversation, PastPart, SealedOriginals
from apps.chatbot.redaction import rules_of_tenant, seal_originals
from common.errors import ApplicationError
from labeling.faults import Fault, FaultLog
from labeling.files import open_file
from labeling.models import Work
from labeling.redaction import Redactor, kinds_in
from tenancy.audit import record
from tenancy.scope import current_tenant_id

if TYPE_CHECKING:
    from labeling.work import Hold

BATCH = 100
# The share of a run that reading takes; the rest is mining.
READING = 0.7


def carry_out(hold: Hold) -> None:
    run = hold.row
    assert isinstance(run, HistoryRun)
    if run.file is None:
        raise ApplicationError("not_found", "The file is gone.")
    with open_file(run.file) as stream:
        _Import(hold, run, HistoryReading(stream, run.filename, run.source, run.mapping)).take_all()
    if not run.is_check:
        harvest(hold, run, reading=READING)
        with transaction.atomic():
            run.refresh_from_db()
            record("history.imported", run, **run.counts)
    hold.end(Work.State.DONE, share=1.0)


class _Import:
    def __init__(self, hold: Hold, run: HistoryRun, reading: HistoryReading) -> None:
        self.hold = hold
        self.run = run
        self.reading = reading
        self.rules = rules_of_tenant()
        self.log = FaultLog()
        self.counts: Counter[str] = Counter()
        self.redacted: Counter[str] = Counter()

    def take_all(self) -> None:
        found = self._conversations()
        while batch := list(islice(found, BATCH)):
            # A file may hold a conversation twice, as the pages of an export overlap: the last counts.
            self._take(list({one.external_id: one for one in batch}.values()))
            self.hold.progress(self._share, self.counts["conversations"])
        if not self.counts["conversations"] and not self.log.total:
            self.log.add(Fault("file_empty"))
        self.hold.write(**self._columns())

    def _conversations(self) -> Iterator[Conversation]:
        for found in self.reading:
            if isinstance(found, Fault):
                self.log.add(found)
                self.counts["refused"] += 1
            else:
                self.counts["conversations"] += 1
                self.counts["messages"] += len(found.parts)
                yield found

    def _take(self, batch: list[Conversation]) -> None:
        with transaction.atomic():
            known = {
                past.external_id: past
                for past in PastConversation.objects.filter(
                    source=self.run.source, external_id__in=[one.external_id for one in batch]
                )
            }
            new: list[Conversation] = []
            changed: list[tuple[PastConversation, Conversation]] = []
            for one in batch:
                past = known.get(one.external_id)
                if past is None:
                    new.append(one)
                elif past.digest != one.digest():
                    changed.append((past, one))
                else:
                    # Here from before, or from an attempt of this run that was lost.
                    here = past.run_id == self.run.pk and not self.run.is_check
                    self.counts["created" if here else "unchanged"] += 1
            self.counts["created"] += len(new)
            self.counts["updated"] += len(changed)
            self._keep(new, changed)
            self.hold.write(**self._columns())

    def _keep(
        self, new: Sequence[Conversation], changed: Sequence[tuple[PastConversation, Conversation]]
    ) -> None:
        """Redact, and write what came of it; a check redacts as well, to say what it would take out."""
        rows = [(PastConversation(source=self.run.source), one) for one in new] + list(changed)
        parts: list[PastPart] = []
        originals: list[SealedOriginals] = []
        for past, one in rows:
            redactor = Redactor(
                self.rules, sorted(one.names | {p.author for p in one.parts} - {""})
            )
            self._fill(past, one, redactor, parts)
            if redactor.originals:
                sealed = seal_originals(past, redactor.originals)
                originals.append(SealedOriginals(conversation=past, sealed=sealed))
        if self.run.is_check:
            return
        before = [past for past, _one in changed]
        PastPart.objects.filter(conversation__in=before).delete()
        SealedOriginals.objects.filter(conversation__in=before).delete()
        PastConversation.objects.bulk_create([past for past, _one in rows[: len(new)]])
        if before:
            PastConversation.objects.bulk_update(before, FILLED)
        PastPart.objects.bulk_create(parts, batch_size=500)
        SealedOriginals.objects.bulk_create(originals)

    def _fill(
        self, past: PastConversation, one: Conversation, redactor: Redactor, parts: list[PastPart]
    ) -> None:
        marked = [without_marks(part.text) for part in one.parts]
        title, *texts = redactor.redact([one.title, *(text for text, _marks in marked)])
        past.external_id, past.line, past.run = one.external_id, one.line, self.run
        past.channel, past.status, past.rating = one.channel[:40], one.status[:40], one.rating[:40]
        past.title, past.tags, past.opened_at = title[:300], list(one.tags), one.opened_at
        past.subject, past.digest = subject_of(self.run.source, one), one.digest()
        past.mined_into = None
        for position, (part, text, (_text, marks)) in enumerate(
            zip(one.parts, texts, marked, strict=True)
        ):
            self.redacted.update(kinds_in(text))
            parts.append(
                PastPart(
                    conversation=past,
                    position=position,
                    role=part.role,
                    is_private=part.is_private,
                    text=text,
                    attachments=min(part.attachments + marks, 1_000),
                    at=part.at,
                )
            )

    @property
    def _share(self) -> float:
        return self.reading.share * (1.0 if self.run.is_check else READING)

    def _columns(self) -> dict[str, Any]:
        return {
            "form": self.reading.form,
            "encoding": self.reading.encoding,
            "counts": dict(self.counts),
            "redacted": dict(self.redacted),
            "fault_count": self.log.total,
            "faults": [fault.as_record() for fault in self.log.kept],
            "share": self._share,
            "done": self.counts["conversations"],
        }


FILLED = [
    "external_id", "line", "run", "channel", "status", "rating", "title", "tags", "opened_at", "subject",
    "digest", "mined_into",
]  # fmt: skip


def subject_of(source: str, conversation: Conversation) -> str:
    """A reference to whose data it is, the same for all conversations of one customer, and not their name."""
    who = conversation.customer or f"\0{conversation.external_id}"
    told = json.dumps([str(current_tenant_id()), source, who.strip().casefold()])
    return f"past:{hashlib.sha256(told.encode()).hexdigest()[:40]}"
