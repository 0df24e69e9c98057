"""Back up everything into one file."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from common.errors import ApplicationError
from config.backups import write_backup
from config.management.bars import bars


class Command(BaseCommand):
    help = (
        "Write the whole platform (database, files, jobs, checkpoints) into FILE.tar while it runs. "
        "The file holds people's data and password hashes: keep it as you keep the database. "
        "PARLEY_SECRET_KEY opens what is sealed in it, and is not in it unless --with-secrets is given."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE.tar")
        parser.add_argument(
            "--with-bases",
            action="store_true",
            help="with the base models, which prepare_base makes again by digest",
        )
        parser.add_argument(
            "--with-secrets", action="store_true", help="with the keys in PARLEY_HOME/secrets"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with bars(self, quiet=not options["verbosity"]) as show:
                done = write_backup(
                    options["file"],
                    with_bases=options["with_bases"],
                    with_secrets=options["with_secrets"],
                    show=show,
                )
        except ApplicationError as error:
            raise CommandError(str(error.detail)) from error
        except KeyboardInterrupt:
            raise CommandError("Interrupted: no backup was written.") from None
        for name in done.missing:
            self.stderr.write(f"The files of checkpoint {name} are missing: not in the backup.")
        if options["verbosity"]:
            self.stdout.write(
                f"{done.path}: {done.size / 1e6:,.1f} MB, {done.rows:,} rows, {done.files:,} files"
            )
