"""What somebody should know of a file before it is imported: duplicates, personal data, split sizes."""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Self

from labeling.candidates import Candidate, give_places, is_too_small, left_out, named_group
from labeling.models import Dataset, Example
from labeling.personal_data import personal_places
from labeling.querysets import PAGE
from labeling.rows import spoken_text
from labeling.seen import FirstRows
from labeling.splits import LEAST_TEST_ROWS, SPLITS, TEST, VALIDATION, Shares

PLACES_KEPT = 100
# Comparing every text with every other takes a while; beyond this the freeze alone does it.
MOST_COMPARED = 30_000

Progress = Callable[[float], None]


class Findings:
    """Collects from the rows of a file as they pass; `as_dict` is what is kept of it."""

    def __init__(self, dataset: Dataset, progress: Progress) -> None:
        self.dataset = dataset
        self.progress = progress
        self.duplicates: list[tuple[int, int]] = []
        self.duplicate_count = 0
        self.personal: Counter[str] = Counter()
        self.personal_rows = 0
        self.places: list[dict[str, Any]] = []
        self.rows = 0

    def __enter__(self) -> Self:
        self._table = sqlite3.connect("", isolation_level=None)
        self._table.executescript(
            "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-4096;"
            "CREATE TABLE row (id INTEGER PRIMARY KEY, name TEXT, grp TEXT, digest TEXT, said TEXT);"
        )
        return self

    def __exit__(self, *failure: object) -> None:
        self._table.close()

    def note(self, first: FirstRows) -> None:
        self.duplicate_count += len(first.duplicates)
        self.duplicates += first.duplicates[: PLACES_KEPT - len(self.duplicates)]
        for line, row in first.rows:
            places = list(personal_places(row.content))
            self.personal_rows += bool(places)
            self.personal.update({place.found.kind for place in places})
            for place in places[: max(0, PLACES_KEPT - len(self.places))]:
                self.places.append(
                    {"line": line, "pointer": place.pointer, "kind": place.found.kind}
                )
        self.rows += len(first.rows)
        keeps_text = self.rows <= MOST_COMPARED
        self._table.execute("BEGIN")
        self._table.executemany(
            "INSERT INTO row (name, grp, digest, said) VALUES (?, ?, ?, ?)",
            (
                (
                    row.external_id,
                    named_group(row.group, row.external_id),
                    row.digest,
                    spoken_text(row.content) if keeps_text else None,
                )
                for _line, row in first.rows
            ),
        )
        self._table.execute("COMMIT")

    def as_dict(self) -> dict[str, Any]:
        return {
            "duplicates": {"count": self.duplicate_count, "places": self.duplicates},
            "personal": {
                "rows": self.personal_rows,
                "kinds": dict(self.personal),
                "places": self.places,
            },
            "splits": self._splits(),
        }

    # --- What a freeze would give ----------------------------------------------------------

    def _splits(self) -> dict[str, Any]:
        """The splits of the dataset's accepted examples and the rows of the file together."""
        candidates, copies = self._candidates()
        sizes = Counter(candidate.group for candidate in candidates)
        if is_too_small(candidates, sizes):
            return {"too_small": True, "rows": len(candidates), "groups": len(sizes)}
        give_places(candidates, sizes, 0, Shares())
        compared = len(candidates) <= MOST_COMPARED
        near = left_out(candidates, self._texts, self.progress) if compared else {}
        kept = [candidate for candidate in candidates if candidate.id not in near]
        rows = Counter(candidate.split for candidate in kept)
        groups = Counter(split for split, _group in {(c.split, c.group) for c in kept})
        nearly = Counter(near.values())
        return {
            "too_small": False,
            "rows": {split: rows[split] for split in SPLITS},
            "groups": {split: groups[split] for split in SPLITS},
            "copies": copies,
            "near_copies": nearly[TEST] + nearly[VALIDATION] if compared else None,
            "test_small": rows[TEST] < LEAST_TEST_ROWS,
        }

    def _candidates(self) -> tuple[list[Candidate], int]:
        """As labeling.versions takes them: by id, and of equal rows the first."""
        named = {name for (name,) in self._table.execute("SELECT name FROM row")}
        rows = (
            Example.objects.filter(dataset=self.dataset)
            .accepted()
            .values_list("id", "group", "external_id", "content_digest")
        )
        listed: list[tuple[str, Candidate]] = [
            (external_id, Candidate(identity, named_group(group, external_id), digest))
            for identity, group, external_id, digest in rows.iterator(chunk_size=PAGE)
            # The file says it anew.
            if external_id not in named
        ]
        listed += [
            (name, Candidate(number, group, digest))
            for number, name, group, digest in self._table.execute(
                "SELECT id, name, grp, digest FROM row"
            )
        ]
        listed.sort(key=lambda one: one[0])
        first: dict[str, Candidate] = {}
        for _name, candidate in listed:
            first.setdefault(candidate.digest, candidate)
        return list(first.values()), len(listed) - len(first)

    def _texts(self, ids: list[Any]) -> Iterator[tuple[str, str]]:
        remaining = iter(ids)
        while batch := list(islice(remaining, 500)):
            said: dict[Any, str | None] = {
                one: self._table.execute("SELECT said FROM row WHERE id = ?", (one,)).fetchone()[0]
                for one in batch
                if isinstance(one, int)
            }
            there = [one for one in batch if not isinstance(one, int)]
            for pk, content in Example.objects.filter(id__in=there).values_list("id", "content"):
                said[pk] = spoken_text(content)
            for identity in batch:
                if (text := said.get(identity)) is not None:
                    yield str(identity), text
