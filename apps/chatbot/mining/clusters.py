"""Questions asked in nearly the same words, found on the disk: a company's history does not fit in memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from uuid import UUID

import numpy as np

from labeling.similarity import (
    ALIKE,
    BANDS,
    HASHES_A_BAND,
    Shingles,
    likeness,
    shingles,
    signature,
)


class Clusters:
    """A private scratch table: the bands of each question's MinHash, and the example that it belongs to."""

    def __enter__(self) -> Clusters:
        self._table = sqlite3.connect("", isolation_level=None)
        self._table.executescript(
            "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-8192;"
            "CREATE TABLE band (key BLOB, question INTEGER, PRIMARY KEY (key, question)) WITHOUT ROWID;"
            "CREATE TABLE question (id INTEGER PRIMARY KEY, example BLOB, shingles BLOB);"
            "BEGIN;"
        )
        return self

    def __exit__(self, *failure: object) -> None:
        self._table.close()

    def like(self, question: str) -> UUID | None:
        """The example whose question is at least ALIKE; the one put in first, where several are."""
        found = shingles(question)
        near = {number for key in _bands(found) for number in self._in_band(key)}
        for number in sorted(near):
            example, kept = self._table.execute(
                "SELECT example, shingles FROM question WHERE id = ?", (number,)
            ).fetchone()
            if likeness(found, np.frombuffer(kept, dtype=np.uint32)) >= ALIKE:
                return UUID(bytes=example)
        return None

    def add(self, example: UUID, question: str) -> None:
        found = shingles(question)
        number = self._table.execute(
            "INSERT INTO question (example, shingles) VALUES (?, ?)",
            (example.bytes, found.tobytes()),
        ).lastrowid
        self._table.executemany(
            "INSERT OR IGNORE INTO band VALUES (?, ?)", [(key, number) for key in _bands(found)]
        )

    def _in_band(self, key: bytes) -> Iterator[int]:
        # A band that hundreds share is a phrase of everybody's, and says nothing.
        rows = self._table.execute("SELECT question FROM band WHERE key = ? LIMIT 200", (key,))
        return (number for (number,) in rows)


def _bands(found: Shingles) -> list[bytes]:
    hashes = signature(found).hashvalues.reshape(BANDS, HASHES_A_BAND)
    return [bytes([number]) + row.astype(np.uint32).tobytes() for number, row in enumerate(hashes)]
