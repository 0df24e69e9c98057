"""What stops a backup or a restore, as a code and a sentence; the disk's own words among them."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.utils.translation import gettext as _

from common.errors import ApplicationError


class BackupError(ApplicationError):
    """The backup was not written, or nothing was restored."""


@contextmanager
def disk_faults(place: Path) -> Iterator[None]:
    """A full disk and a forbidden folder in words."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise BackupError(
                "disk_full", _("The disk of %(place)s is full.") % {"place": place}
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise BackupError(
                "not_writable", _("%(place)s cannot be written.") % {"place": error.filename}
            ) from error
        raise
