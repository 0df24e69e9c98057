"""A chat in the open: web, worker and engine as processes, a company with articles and an inbox.

For what measures the widget from outside. PostgreSQL where PARLEY_TEST_POSTGRES_URL (or `database`)
names a server: a database of its own is made there and dropped afterwards. Else SQLite.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.gpt_core.home import Home
from tests.ports import free_port
from tests.postgres import own_database

SITE = "https://shop.example"
PATIENCE_SECONDS = 120.0


@dataclass
class ChatPlatform:
    """Where it listens, and the processes that may be killed."""

    home: Home
    url: str
    engine_url: str
    tenant: Any
    base: Any

    def start(self, *, embedder: str = "") -> None:
        folder = self.home.folder / "bases" / self.base.folder_name
        serving = ["-m", "gpt_core.engine.serving", "--base", str(folder)]
        serving += ["--store", str(self.home.folder / "checkpoints")]
        serving += ["--port", self.engine_url.rpartition(":")[2]]
        serving += ["--embedder", embedder] if embedder else []
        web = ["-m", "uvicorn", "config.asgi:application", "--lifespan", "off"]
        web += ["--port", self.url.rpartition(":")[2], "--no-access-log"]
        worker = ["-m", "celery", "-A", "config", "worker", "-Q", "default,answers", "-c", "1"]
        self.home.start("engine", serving)
        self.home.start("web", web)
        self.home.start("worker", worker)
        self.home.start("beat", ["-m", "celery", "-A", "config", "beat", "-s", self._schedule])
        for name, address in self.doors.items():
            if not self.answers(address):
                log = self.home.folder / "logs" / f"{name}.log"
                raise RuntimeError(f"{name} does not start: {log.read_text()[-1500:]}")

    @property
    def doors(self) -> dict[str, str]:
        return {"engine": f"{self.engine_url}/health", "web": f"{self.url}/health/ready"}

    @property
    def _schedule(self) -> str:
        return str(self.home.folder / "beat-schedule")

    def answers(self, address: str, seconds: float = PATIENCE_SECONDS) -> bool:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with contextlib.suppress(urllib.error.URLError, OSError):
                if urllib.request.urlopen(address, timeout=2).status == 200:
                    return True
            time.sleep(0.1)
        return False

    def make_inbox(self, **fields: Any) -> Any:
        from apps.chatbot.models import Inbox
        from tenancy.scope import tenant_scope

        with tenant_scope(self.tenant):
            return Inbox.objects.create(**{"allowed_origins": [SITE]} | fields)

    def publish(self, entries: Any, language: str = "en") -> None:
        """Articles, (title, text) each."""
        from apps.chatbot.services import knowledge
        from tenancy.scope import tenant_scope

        with tenant_scope(self.tenant):
            for title, text in entries:
                article = knowledge.write_article(title=title, body=text, language=language)
                knowledge.publish_article(article=article)


@contextlib.contextmanager
def chat_platform(
    *, database: str = "", base: str = "", embedder: str = "", **environment: str
) -> Iterator[ChatPlatform]:
    """Not started yet, so that it can be filled first. Wakes Django in this process.

    `base` names a packaged base ("" is a random one of two layers), `embedder` the small model that
    the engine is to compare meanings by.
    """
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="parley-chat-")))
        if database:
            environment |= stack.enter_context(own_database(database))
            # Before it is dropped: this process is connected as well.
            stack.callback(_close_connections)
        url, engine_url = (f"http://127.0.0.1:{free_port()}" for _one in range(2))
        name = base or "tiny-llama-0"
        home = Home.make(
            folder,
            GPT_ENGINES=json.dumps({name: {"url": engine_url}}),
            PARLEY_BASE_MODEL=name,
            GPT_EMBEDDER=json.dumps({embedder: engine_url} if embedder else {}),
            **environment,
        )
        stack.callback(home.stop)
        from tenancy.models import Quota
        from tenancy.scope import tenant_scope

        tenant = home.make_tenant()
        with tenant_scope(tenant):
            Quota.objects.create(requests_per_minute=1_000_000, concurrent_generations=1_000)
        yield ChatPlatform(home, url, engine_url, tenant, _base(home, base))


def _base(home: Home, name: str) -> Any:
    if not name:
        return home.make_tiny_base()
    from django.core.management import call_command

    from gpt_core.models import BaseModel

    call_command("prepare_base", name, verbosity=0)
    return BaseModel.objects.get(name=name)


def _close_connections() -> None:
    from django.db import connections

    connections.close_all()


def say(line: str) -> None:
    """Progress, where a person looks."""
    if sys.stderr.isatty():
        print(f"\r{line:<100.100}", end="", file=sys.stderr, flush=True)
