"""Is this process alive, and can it do its work? For whoever restarts it and whoever routes to it.

`live` asks nobody: a database that is away is no reason to kill the web process. `ready` asks the
database alone whether to send requests here; the broker and the engines are degraded service, told
to whoever holds the token.
"""

import logging
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from common.errors import ApplicationError
from config.internal import holds_token
from gpt_core import client

logger = logging.getLogger(__name__)

Check = Callable[[], str]
# Asked once in each process: migrations are applied before it starts, and never taken back.
_migrated: set[str] = set()


@never_cache
@require_safe
def live(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"status": "alive"})


@never_cache
@require_safe
def ready(request: HttpRequest) -> HttpResponse:
    needed = {"database": _answer(database), "migrations": _answer(migrations)}
    is_ready = all(fault == "" for fault in needed.values())
    document: dict[str, Any] = {"status": "ready" if is_ready else "unavailable"}
    if holds_token(request):
        wanted = {"broker": _answer(broker)} | {
            f"engine {base}": _answer(lambda base=base: engine(base))  # type: ignore[misc]
            for base in settings.GPT_ENGINES
        }
        if is_ready and any(wanted.values()):
            document["status"] = "degraded"
        document["checks"] = {
            name: {"ok": not fault} | ({"fault": fault} if fault else {})
            for name, fault in (needed | wanted).items()
        }
    return JsonResponse(document, status=200 if is_ready else 503)


def database() -> str:
    connection.ensure_connection()
    if not connection.is_usable():
        # One that the server closed meanwhile says nothing about the server.
        connection.close()
        connection.ensure_connection()
    return ""


def migrations() -> str:
    if connection.alias in _migrated:
        return ""
    executor = MigrationExecutor(connection)
    waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if waiting:
        return f"{len(waiting)} not applied: run manage.py migrate"
    _migrated.add(connection.alias)
    return ""


def broker() -> str:
    url = str(settings.CELERY_BROKER_URL)
    if url.startswith(("filesystem:", "memory:")):
        return ""
    where = urlsplit(url)
    port = where.port or {"redis": 6379, "rediss": 6379, "amqps": 5671}.get(where.scheme, 5672)
    with socket.create_connection((where.hostname or "localhost", port), timeout=2):
        return ""


def engine(base: str) -> str:
    client.loaded_models(base=base)
    return ""


def _answer(check: Check) -> str:
    """What is wrong, in a word or two; empty where nothing is."""
    try:
        return check()
    except ApplicationError as error:
        return error.code
    except Exception as error:
        logger.warning("health: %s: %s", check, error)
        return type(error).__name__
