"""Show the jobs of a tenant, and cancel one."""

from __future__ import annotations

import contextlib
import time
import uuid
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from rich.table import Column, Table

from tenancy.models import Tenant
from tenancy.scope import system_scope

from ... import fair_queue
from ...models import FineTuningJob
from ...services import cancel_job, pause_job, resume_job, retry_job
from ..tenant_command import TenantCommand

_ACTIONS = {"cancel": cancel_job, "pause": pause_job, "resume": resume_job, "retry": retry_job}


class Command(TenantCommand):
    help = (
        "List the newest fine-tuning jobs, or do something with one: "
        "manage.py jobs; manage.py jobs cancel support@v3"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "action",
            nargs="?",
            choices=["list", "log", *_ACTIONS],
            default="list",
            help="what to do (default: list)",
        )
        parser.add_argument("job", nargs="?", help="its id, or its slot and number: support@v3")
        parser.add_argument("--limit", type=int, default=20, help="how many to list")

    def act(self, tenant: Tenant, **options: Any) -> None:
        if options["action"] == "list":
            self._list(options["limit"])
            return
        job = _find(options["job"])
        if options["action"] == "log":
            for event in job.events.all():
                self.console.print(f"{event.at:%H:%M:%S} {event.code} {event.data}", markup=False)
            self.console.print(job.log_tail, markup=False)
            return
        changed = _ACTIONS[options["action"]](job)
        # A running job stops within a step; who asked wants to see it stopped.
        deadline = time.monotonic() + 15
        while changed.cancel_requested and not changed.is_terminal and time.monotonic() < deadline:
            time.sleep(0.5)
            changed.refresh_from_db()
        self.console.print(f"{changed}: {changed.get_state_display()}", markup=False)

    def _list(self, limit: int) -> None:
        table = Table(
            "job", "state", "place", "step", "loss", "queued", Column("result", overflow="fold")
        )
        found = FineTuningJob.objects.select_related("checkpoint", "tenant")
        jobs = list(found.order_by("-queued_at")[:limit])
        with system_scope("tell the places of jobs in the queue"):
            forecasts = fair_queue.forecasts(jobs)
        for job in jobs:
            checkpoint = getattr(job, "checkpoint", None)
            table.add_row(
                f"{job.deployment_name}@v{job.number}",
                str(job.get_state_display()),
                _place(forecasts.get(job.pk, fair_queue.NOTHING)),
                f"{job.step}/{job.steps}" if job.steps else "",
                "" if job.best_loss is None else f"{job.best_loss:.4f}",
                f"{job.queued_at:%Y-%m-%d %H:%M}",
                checkpoint.name if checkpoint else job.failure_code,
            )
        self.console.print(table)


def _place(forecast: fair_queue.Forecast) -> str:
    """Where a job stands in the queue, and when it starts as far as that is known."""
    if forecast.position is None:
        return ""
    if forecast.starts_in is None:
        return f"{forecast.position}"
    return f"{forecast.position}, in {forecast.starts_in / 60:.0f} min"


def _find(text: str | None) -> FineTuningJob:
    slot, _sign, number = (text or "").partition("@v")
    found = None
    if number.isdigit():
        found = FineTuningJob.objects.filter(deployment_name=slot, number=int(number)).first()
    else:
        with contextlib.suppress(ValueError):
            found = FineTuningJob.objects.filter(pk=uuid.UUID(text)).first()
    if found is None:
        raise CommandError(f"No job {text!r}. List them: manage.py jobs")
    return found
