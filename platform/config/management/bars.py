"""The bars of long commands."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import BaseCommand
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn


@contextmanager
def bars(command: BaseCommand, *, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """One bar for each thing that is named: `show("files", done, total)`."""
    stream: Any = getattr(command.stderr, "_out", None)
    console = Console(file=stream, quiet=quiet)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
        tasks: dict[str, Any] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=total or 1)
            progress.update(tasks[what], completed=done, total=total or 1)

        yield show
