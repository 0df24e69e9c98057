"""What the commands of gpt_core share: the tenant, its rows by name, and a bar to follow a job with."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from common.errors import ApplicationError
from tenancy.models import Tenant
from tenancy.scope import system_scope, tenant_scope

from .. import tasks
from ..models import BaseModel, Checkpoint, State, Supervised

PATIENCE_SECONDS = 15.0


class TenantCommand(BaseCommand):
    """A command that acts for one tenant."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--tenant",
            metavar="SLUG",
            help="the tenant's address; not needed where there is one only",
        )

    def handle(self, *args: Any, **options: Any) -> str | None:
        self.console = console_of(self, soft_wrap=True)
        tenant = the_tenant(options.pop("tenant"))
        with tenant_scope(tenant):
            try:
                self.act(tenant, **options)
            except ApplicationError as error:
                raise CommandError(str(error.detail)) from error
        return None

    def act(self, tenant: Tenant, **options: Any) -> None:
        raise NotImplementedError

    def follow(self, row: Supervised, title: str, *, local: bool) -> None:
        """Show the row's progress until it is at its end; with `local`, do the work here."""
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
        began = time.monotonic()
        hinted = False
        with Progress(*columns, TimeRemainingColumn(), console=self.console) as bars:
            bar = bars.add_task(title, total=None)

            def look() -> bool:
                # In the row's own scope: the queue that is worked off here may hold others' jobs.
                with tenant_scope(row.tenant_id):
                    row.refresh_from_db()
                bars.update(bar, total=row.steps or None, completed=row.step)
                return False

            while not row.is_terminal and row.state != State.PAUSED:
                if local:
                    work_here(look)
                else:
                    time.sleep(0.5)
                look()
                waits = row.is_waiting and time.monotonic() - began > PATIENCE_SECONDS
                if waits and not hinted:
                    hinted = True
                    self.console.print(
                        "No trainer has taken it yet. Start one in another terminal:\n"
                        "  celery -A config worker -Q training -c 1\n"
                        "or run this command with --local."
                    )
        if row.state == State.FAILED:
            where = f" (line {row.failure_line})" if row.failure_line else ""
            detail = row.failure_detail or "no detail"
            raise CommandError(
                f"{title} failed: {row.failure_code}{where}: {detail}\n{row.log_tail[-3000:]}"
            )
        if row.state != State.SUCCEEDED:
            raise CommandError(f"{title} is {row.get_state_display()}.")


def console_of(command: BaseCommand, **options: Any) -> Console:
    """A console on the command's own output, which tests and callers may redirect."""
    file: Any = command.stdout._out
    return Console(file=file, **options)


def work_here(meanwhile: Callable[[], bool]) -> None:
    """Take the next job of the queue and see it through in this process."""
    with system_scope("a person runs the queue by hand"):
        if not tasks.supervise_one(meanwhile):
            time.sleep(0.5)


def the_tenant(slug: str | None) -> Tenant:
    with system_scope("find the tenant that a command names"):
        found = list(Tenant.objects.filter(slug=slug) if slug else Tenant.objects.all()[:2])
        if len(found) == 1:
            return found[0]
        known = ", ".join(Tenant.objects.values_list("slug", flat=True)[:20])
    problem = f"No tenant {slug!r}." if slug else "Name a tenant with --tenant."
    raise CommandError(f"{problem} There are: {known or 'none'}")


def the_base(name: str) -> BaseModel:
    found = BaseModel.objects.filter(name=name).order_by("-created_at").first()
    if found is None:
        known = ", ".join(BaseModel.objects.values_list("name", flat=True).distinct())
        raise CommandError(
            f"No base model {name!r} is prepared. There are: {known or 'none'}. "
            f"Prepare it: manage.py prepare_base {name}"
        )
    return found


def the_checkpoint(name: str) -> Checkpoint:
    """A checkpoint by its name, or the newest of a deployment ("support")."""
    present = Checkpoint.objects.present()
    found = present.filter(name=name).first()
    if found is None:
        of_slot = present.filter(step_of=None, name__contains=f".{name}@").order_by("-created_at")
        found = of_slot.first()
    if found is None:
        known = "\n  ".join(present.values_list("name", flat=True)[:10])
        raise CommandError(f"No checkpoint {name!r}. There are:\n  {known or 'none'}")
    return found


def show_verdict(console: Console, evaluation: Any) -> None:
    """The gate's verdict, each reason a line."""
    from ..gate import Verdict
    from ..verdict_text import sentence, summary

    verdict = Verdict.from_dict(evaluation.verdict)
    marks = {"for": "+", "against": "-", "note": " "}
    console.print(summary(verdict), style="green" if verdict.passed else "red", markup=False)
    for reason in verdict.reasons:
        console.print(f"  {marks[reason.effect]} {sentence(reason)}", markup=False)
