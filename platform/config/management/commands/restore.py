"""Restore a backup into this place."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from common.errors import ApplicationError
from config.backups import restore_backup
from config.management.bars import bars


class Command(BaseCommand):
    help = (
        "Make this place (DATABASE_URL and PARLEY_HOME) what FILE.tar was written from, on SQLite or "
        "PostgreSQL, whichever it came from. Every byte is checked before anything is touched; a "
        "place that is not empty is refused. Stop the other processes first."
    )
    requires_system_checks = []
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE.tar")
        parser.add_argument(
            "--force", action="store_true", help="replace everything that is in this place"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with bars(self, quiet=not options["verbosity"]) as show:
                done = restore_backup(options["file"], force=options["force"], show=show)
        except ApplicationError as error:
            raise CommandError(str(error.detail)) from error
        if not options["verbosity"]:
            return
        compared = "compared row by row" if done.compared else "counted"
        self.stdout.write(f"Restored {done.rows:,} rows ({compared}) and {done.files:,} files")
        for base in done.bases_missing:
            self.stdout.write(f"Base model {base} is not here: run manage.py prepare_base {base}")
