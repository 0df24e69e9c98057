"""What changed between two frozen versions: rows that came, went, say something else, or moved."""

from dataclasses import dataclass
from hashlib import blake2b

from labeling.models import DatasetVersion, VersionRow
from labeling.rows import canonical_json
from labeling.splits import SPLITS

# Two versions of this length are read in about a second, which is what a page may take.
MOST_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class VersionChanges:
    """How many rows; one that says something else and moved counts as changed."""

    added: int
    removed: int
    changed: int
    moved: int
    same: int


def compare_versions(older: DatasetVersion, newer: DatasetVersion) -> VersionChanges | None:
    """None where one of them is too long to be read while somebody waits."""
    if max(_length(older), _length(newer)) > MOST_ROWS:
        return None
    before, after = _rows(older), _rows(newer)
    both = before.keys() & after.keys()
    changed = sum(before[name][1] != after[name][1] for name in both)
    moved = sum(before[name][1] == after[name][1] and before[name] != after[name] for name in both)
    return VersionChanges(
        added=len(after) - len(both),
        removed=len(before) - len(both),
        changed=changed,
        moved=moved,
        same=len(both) - changed - moved,
    )


def _length(version: DatasetVersion) -> int:
    return sum(int(version.counts.get(split, 0)) for split in SPLITS)


def _rows(version: DatasetVersion) -> dict[str, tuple[str, bytes]]:
    """The split of each row by its id, and a digest of what it says."""
    found = {}
    for split in SPLITS:
        for row in VersionRow.objects.filter(version=version).of_split(split).in_order():
            said = {key: value for key, value in row.payload.items() if key != "line"}
            digest = blake2b(canonical_json(said).encode(), digest_size=16).digest()
            found[str(row.payload.get("id"))] = (split, digest)
    return found
