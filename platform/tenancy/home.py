"""Whoever copies PARLEY_HOME and whoever deletes from it keep out of each other's way."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from common.errors import ConflictError


@contextmanager
def keeping_files_still() -> Iterator[None]:
    """One at a time: a backup, a restore, the collection of checkpoints, an erasure.

    Raises ConflictError `home_busy` at once where another is at work; the kernel lets go of the
    lock when its holder dies.
    """
    path = Path(settings.PARLEY_HOME) / "files.lock"
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConflictError(
                "home_busy", _("A backup or a deletion is at work. Try again when it is done.")
            ) from None
        yield
