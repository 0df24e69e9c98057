"""Everything of one contact in one ZIP.

    tables/<table>.ndjson       every row that leads to them, by the names of its columns
    files/<id>                  the files that these rows name; tables/files.ndjson has their names

Left out are digests of tokens, and what is sealed.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from typing import IO, Any
from uuid import UUID

from apps.chatbot.models import ConversationExport
from labeling.files import file_path
from labeling.models import StoredFile
from labeling.subjects import files_named_in, rows_about
from labeling.work import Hold
from tenancy.rows import records_in

SECRETS = {"refresh_hash", "former_hash", "sealed"}
PRIVATE = {"chatbot.Message", "chatbot.Event"}


def write_archive(export: ConversationExport, out: IO[bytes], hold: Hold) -> None:
    """Private notes are in it where they were asked for."""
    assert export.contact is not None
    found = list(rows_about(export.contact.subject))
    files: set[UUID] = set()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, rows in enumerate(found):
            label = rows.model._meta.label
            if label in PRIVATE and not export.with_notes:
                rows = rows.filter(private=False)
            _add_lines(archive, f"tables/{label}.ndjson", records_in(rows, leave_out=SECRETS))
            files |= files_named_in(rows)
            hold.progress(number / len(found))
        kept = StoredFile.objects.present().filter(pk__in=files)
        _add_lines(archive, "tables/files.ndjson", records_in(kept))
        for file in kept.order_by("pk"):
            archive.write(file_path(file), f"files/{file.pk}")
        archive.writestr("README.txt", __doc__ or "")


def _add_lines(archive: zipfile.ZipFile, name: str, records: Iterator[dict[str, Any]]) -> None:
    with archive.open(name, "w", force_zip64=True) as entry:
        for record in records:
            entry.write(json.dumps(record, ensure_ascii=False).encode() + b"\n")
