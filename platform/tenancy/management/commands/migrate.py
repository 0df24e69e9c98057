"""`migrate` as the owner of the tables; then the guards, and the other role's rights."""

from typing import Any

from django.core.management.commands import migrate
from django.db import connections

from tenancy import guards
from tenancy.owner import as_owner, grant_access
from tenancy.scope import system_scope


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        connection = connections[options["database"]]
        only_looking = options["plan"] or options["check_unapplied"] or options["prune"]
        with as_owner(connection) as role, system_scope("migrate"):
            if only_looking:
                super().handle(*args, **options)
                return
            with guards.lifted(connection):
                super().handle(*args, **options)
            if role is not None:
                grant_access(connection, role)
