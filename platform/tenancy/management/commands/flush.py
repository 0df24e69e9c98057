"""`flush` as the owner of the tables, the guards of SQLite lifted: it empties the audit log too."""

from typing import Any

from django.core.management.commands import flush
from django.db import connections

from tenancy import guards
from tenancy.owner import as_owner
from tenancy.scope import system_scope


class Command(flush.Command):
    def handle(self, **options: Any) -> None:
        connection = connections[options["database"]]
        with as_owner(connection), system_scope("flush"), guards.lifted(connection):
            super().handle(**options)
