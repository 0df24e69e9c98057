"""Which rows of this file came before: on the disk, so that files of any length need little memory."""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b

from labeling.rows import Row

NumberedRow = tuple[int, Row]


@dataclass(slots=True)
class FirstRows:
    """`rows` stand in the file for the first time. `duplicates` are (line, earlier line) of rows
    that say the same again, `contradicted` of rows that use an id again for other content."""

    rows: list[NumberedRow] = field(default_factory=list)
    duplicates: list[tuple[int, int]] = field(default_factory=list)
    contradicted: list[tuple[int, int]] = field(default_factory=list)


class SeenRows:
    """A private scratch table: digest of an id or of a content -> line and content."""

    def __enter__(self) -> "SeenRows":
        self._table = sqlite3.connect("", isolation_level=None)
        self._table.executescript(
            "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-4096;"
            "CREATE TABLE seen (key BLOB PRIMARY KEY, line INTEGER, content BLOB) WITHOUT ROWID;"
        )
        return self

    def __exit__(self, *failure: object) -> None:
        self._table.close()

    def first_of_each(self, batch: list[NumberedRow]) -> FirstRows:
        """Sort out what the file says twice, and remember what it says now."""
        found = FirstRows()
        keys = [(_key(b"i", row.external_id), _key(b"c", row.digest)) for _, row in batch]
        known = self._known(key for pair in keys for key in pair)
        added: list[tuple[bytes, int, bytes]] = []
        for (line, row), (identity, content) in zip(batch, keys, strict=True):
            earlier = known.get(identity)
            if earlier is not None and earlier[1] != content:
                found.contradicted.append((line, earlier[0]))
                continue
            if (same := earlier or known.get(content)) is not None:
                found.duplicates.append((line, same[0]))
            else:
                found.rows.append((line, row))
            for key in (identity, content):
                if key not in known:
                    known[key] = (line, content)
                    added.append((key, line, content))
        self._table.execute("BEGIN")
        self._table.executemany("INSERT INTO seen VALUES (?, ?, ?)", added)
        self._table.execute("COMMIT")
        return found

    def _known(self, keys: Iterable[bytes]) -> dict[bytes, tuple[int, bytes]]:
        known: dict[bytes, tuple[int, bytes]] = {}
        for key in set(keys):
            row = self._table.execute(
                "SELECT line, content FROM seen WHERE key = ?", (key,)
            ).fetchone()
            if row is not None:
                known[key] = row
        return known


def _key(kind: bytes, text: str) -> bytes:
    return blake2b(kind + text.encode(), digest_size=16).digest()
