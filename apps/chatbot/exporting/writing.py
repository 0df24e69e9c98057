"""An export on its way into its file."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import IO

from django.conf import settings
from django.utils import timezone

from apps.chatbot.models import ConversationExport, Message
from labeling.files import delete_file, store_file
from labeling.models import StoredFile
from labeling.work import Hold, WorkLostError

from .archive import write_archive
from .forms import FORMS
from .reading import Told, meant, told

MOST_BYTES = 64 << 30


def carry_out(hold: Hold) -> None:
    """Written aside, then kept whole. Done anew from the start where a worker was killed."""
    export = hold.row
    assert isinstance(export, ConversationExport)
    counts: Counter[str] = Counter()
    with tempfile.TemporaryFile(dir=settings.PARLEY_HOME) as out:
        if export.form == ConversationExport.Form.ARCHIVE:
            content_type, suffix = "application/zip", "zip"
            write_archive(export, out, hold)
        else:
            pieces, content_type, suffix = FORMS[export.form]
            rows = told(meant(export), with_notes=export.with_notes)
            _write(out, pieces(_counted(rows, hold, export, counts)))
        out.seek(0)
        kept = store_file(
            stream=out,
            filename=f"conversations-{timezone.now():%Y-%m-%d}.{suffix}",
            purpose=StoredFile.Purpose.EXPORT,
            most_bytes=MOST_BYTES,
            content_type=content_type,
            expires_at=timezone.now() + timedelta(days=settings.EXPORT_DAYS),
        )
    try:
        hold.end(
            ConversationExport.State.DONE,
            share=1,
            result=kept,
            done=counts["messages"],
            conversations=counts["conversations"],
        )
    except WorkLostError:
        delete_file(kept)
        raise


def _write(out: IO[bytes], pieces: Iterator[bytes]) -> None:
    for piece in pieces:
        out.write(piece)


def _counted(
    rows: Iterable[Told], hold: Hold, export: ConversationExport, counts: Counter[str]
) -> Iterator[Told]:
    """The same rows, while the export says how far it is and hears whether it is to stop."""
    total = max(1, meant(export).count())

    def heard(messages: Iterator[Message]) -> Iterator[Message]:
        for message in messages:
            counts["messages"] += 1
            hold.progress(counts["conversations"] / total, counts["messages"])
            yield message

    for conversation, messages in rows:
        yield conversation, heard(messages)
        counts["conversations"] += 1
