"""A company leaves: everything in one file, a time of grace, then erased."""

from .archives import start_archive, sweep_archives, write_waiting
from .erasure import erase, erase_due
from .grace import begin_closing, undo_closing

__all__ = [
    "begin_closing",
    "erase",
    "erase_due",
    "start_archive",
    "sweep_archives",
    "undo_closing",
    "write_waiting",
]
