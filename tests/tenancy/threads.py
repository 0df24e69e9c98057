"""The same call from many threads at once, each with its own connection to one database."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from django.db import connection

from tenancy.models import Tenant
from tenancy.scope import tenant_scope


class Threads:
    """SQLite's database of the tests lies in memory, where threads lock each other out at once; here
    it is a file, as `make run` has it. On PostgreSQL it is the database of the tests."""

    def __init__(self, tenant: Tenant, folder: Path) -> None:
        self.tenant = tenant
        self.file = folder / "copy.sqlite3" if connection.vendor == "sqlite" else None
        if self.file is not None:
            with connection.cursor() as cursor:
                cursor.execute("VACUUM INTO %s", [str(self.file)])

    def at_once(self, ask: Callable[[], Any], *, times: int, threads: int = 8) -> list[Any]:
        """What each call gave, or the error that it raised."""

        def one(_number: int) -> Any:
            if self.file is not None:
                # A copy: the dictionary itself is shared by the connections of all threads.
                connection.settings_dict = connection.settings_dict | {"NAME": str(self.file)}
            try:
                with tenant_scope(self.tenant):
                    return ask()
            except Exception as error:
                return error
            finally:
                connection.close()

        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(one, range(times)))

    def once(self, ask: Callable[[], Any]) -> Any:
        (found,) = self.at_once(ask, times=1)
        if isinstance(found, Exception):
            raise found
        return found
