"""Talk to a base model or to what a deployment serves."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from common.errors import ApplicationError
from tenancy.models import Tenant

from ... import client
from ...models import Deployment
from ..tenant_command import TenantCommand, the_checkpoint


class Command(TenantCommand):
    help = (
        "Talk to a model, the answer streamed as it is written. Without a message, it is a "
        "conversation; an empty line ends it. Examples: manage.py chat support 'When do you open?'; "
        "manage.py chat --base 'When do you open?'"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "model", nargs="?", help="a slot, a checkpoint's name, or with --base the message"
        )
        parser.add_argument("message", nargs="?", help="one message; without it, a conversation")
        parser.add_argument("--base", action="store_true", help="talk to the base model alone")
        parser.add_argument("--system", help="a system message to begin with")
        parser.add_argument("--max-tokens", type=int, default=200, help="length of an answer")
        parser.add_argument(
            "--temperature", type=float, default=0.0, help="0: always the likeliest"
        )
        parser.add_argument("--seed", type=int, help="to get the same answer again")

    def act(self, tenant: Tenant, **options: Any) -> None:
        if options["base"]:
            model: Any = settings.DEFAULT_BASE_MODEL
            message = " ".join(filter(None, (options["model"], options["message"])))
        else:
            model, message = _named(options["model"]), options["message"]
        said = [{"role": "system", "content": options["system"]}] if options["system"] else []
        if message:
            self._answer(model, [*said, {"role": "user", "content": message}], options)
            return
        while message := self._ask():
            said.append({"role": "user", "content": message})
            said.append({"role": "assistant", "content": self._answer(model, said, options)})

    def _ask(self) -> str:
        try:
            return input("> ").strip()
        except EOFError:
            return ""

    def _answer(self, model: Any, messages: list[dict[str, str]], options: dict[str, Any]) -> str:
        pieces = client.stream(
            model=model,
            messages=messages,
            max_tokens=options["max_tokens"],
            temperature=options["temperature"],
            seed=options["seed"],
        )
        whole = []
        try:
            for piece in pieces:
                whole.append(piece.text)
                self.stdout.write(piece.text, ending="")
                self.stdout.flush()
        except client.EngineUnavailableError as error:
            raise CommandError(
                f"{error.detail} Is the engine running? manage.py serve_base"
            ) from error
        except ApplicationError as error:
            raise CommandError(str(error.detail)) from error
        self.stdout.write("")
        return "".join(whole)


def _named(name: str | None) -> Any:
    if not name:
        known = ", ".join(Deployment.objects.values_list("name", flat=True))
        raise CommandError(f"Name a slot or a checkpoint. Slots: {known or 'none'}")
    slot = Deployment.objects.filter(name=name).select_related("checkpoint__base_model").first()
    if slot is not None:
        return slot.checkpoint or slot.base_model.name
    return the_checkpoint(name)
