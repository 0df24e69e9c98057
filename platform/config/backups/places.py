"""What of PARLEY_HOME is backed up: everything, but for what is named here with its reason.

A folder that a later version makes is in the backup on the day it is made.
"""

import stat
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

LEFT_OUT = {
    "logs": "told to a log collector, not kept",
    "broker": "messages only say “look”; beat rings again",
    "static": "collectstatic makes it",
    "metrics": "counters of running processes",
    "exports": "made again from the checkpoint that they name",
    "archives": "a tenant's own export, fetched and gone",
    "bases": "prepared again by digest; with --with-bases they are in it",
    "secrets": "lie apart from what they open; with --with-secrets they are in it",
    "run.lock": "a lock",
}
BASES, SECRETS = "bases", "secrets"


def kept_places(home: Path, *, with_bases: bool, with_secrets: bool) -> list[Path]:
    """The entries of the home that belong into a backup, by name."""
    wanted = {BASES} if with_bases else set()
    wanted |= {SECRETS} if with_secrets else set()
    database = Path(str(settings.DATABASES["default"]["NAME"]))
    return [
        place
        for place in sorted(home.iterdir())
        if (place.name not in LEFT_OUT or place.name in wanted)
        and not place.name.startswith((".", "beat-schedule"))
        and not place.name.endswith(".lock")
        and not place.name.startswith(database.name)
        and not place.is_symlink()
    ]


def files_below(place: Path) -> Iterator[Path]:
    """Every regular file, by name; what is being written aside begins with a dot and is left."""
    if _is_file(place):
        yield place
        return
    try:
        entries = sorted(place.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return  # deleted meanwhile
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir() and not entry.is_symlink():
            yield from files_below(entry)
        elif _is_file(entry):
            yield entry


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False
