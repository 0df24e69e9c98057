"""Find, convert and register a base model."""

from __future__ import annotations

import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from rich.progress import BarColumn, Progress, TextColumn

from common.errors import ApplicationError
from common.strict_json import loads

from ...models import BaseModel
from ...supervision.child import clean_environment
from ..tenant_command import console_of


class Command(BaseCommand):
    help = (
        "Prepare a base model once: find it, convert it to safetensors, hash it, and register it. "
        "SOURCE is a packaged name (smollm2-135m-instruct), a local folder of a Hugging Face causal "
        "language model, or a Hugging Face name (needs --fetch and the network). Doing it again "
        "does nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "source",
            nargs="?",
            default=settings.DEFAULT_BASE_MODEL,
            metavar="SOURCE",
            help=f"which base model (default: {settings.DEFAULT_BASE_MODEL})",
        )
        parser.add_argument(
            "--fetch", action="store_true", help="allow the download of a model from Hugging Face"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        source = options["source"]
        ready = BaseModel.objects.filter(source=source).order_by("-created_at").first()
        if ready and Path(ready.folder, "base.json").is_file() and not Path(source).is_dir():
            self._say(ready, options)
            return
        store = settings.PARLEY_HOME / "bases"
        base = self._run(
            source, store, offline=not options["fetch"], quiet=not options["verbosity"]
        )
        row, _created = BaseModel.objects.update_or_create(
            digest=base["digest"],
            defaults={
                "name": base["name"],
                "folder_name": Path(base["folder"]).name,
                "architecture": base["architecture"],
                "parameters": base["parameters"],
                "context": base["context"],
                "languages": base["languages"],
                "source": source,
                "licence": str(base.get("licence", "")),
            },
        )
        self._say(row, options)

    def _run(self, source: str, store: Path, *, offline: bool, quiet: bool) -> dict[str, Any]:
        """The engine's own command, in a process that may import torch."""
        command = [sys.executable, "-m", "gpt_core.engine.bases", source, "--store", str(store)]
        store.mkdir(parents=True, exist_ok=True)
        console = console_of(self, quiet=quiet)
        last: dict[str, Any] = {}
        with (
            Progress(TextColumn("{task.description}"), BarColumn(), console=console) as bars,
            subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=clean_environment(offline=offline),
            ) as process,
        ):
            bar = bars.add_task("Preparing", total=1.0)
            for line in process.stdout or ():
                last = _document(line) or last
                if "progress" in last:
                    bars.update(
                        bar, completed=last["progress"], description=last.get("message", "")
                    )
            problem = process.stderr.read() if process.stderr else ""
        if "error" in last:
            raise CommandError(f"{last['error'].get('code')}: {last['error'].get('detail')}")
        if "base" not in last:
            raise CommandError(f"The base model could not be prepared.\n{problem[-3000:]}")
        return dict(last["base"])

    def _say(self, base: BaseModel, options: dict[str, Any]) -> None:
        if options["verbosity"]:
            self.stdout.write(
                f"{base.name}: {base.parameters:,} parameters, context "
                f"{base.context}, digest {base.digest[:12]}"
            )


def _document(line: str) -> dict[str, Any] | None:
    try:
        found = loads(line)
    except ApplicationError:
        return None
    return found if isinstance(found, dict) else None
