"""Tune a base model on a dataset, through the queue."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from labeling.models import Dataset, DatasetVersion
from labeling.services import freeze_version
from tenancy.models import Tenant

from ...models import Evaluation, FineTuningJob
from ...services import start_fine_tuning
from ...services.hyperparameters import HYPERPARAMETERS, METHOD
from ..tenant_command import TenantCommand, show_verdict, the_base

_SETTABLE = ", ".join([*HYPERPARAMETERS, *METHOD])


class Command(TenantCommand):
    help = (
        "Tune a base model on a dataset: freeze a version of it, queue the job, follow it to its "
        "end, evaluate it before and after, and show the gate's verdict. Example: "
        "manage.py fine_tune support --set learning_rate=0.0002 --set epochs=2"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("dataset", help="the dataset's address (manage.py import_examples)")
        parser.add_argument(
            "--dataset-version",
            type=int,
            dest="number",
            help="a version frozen before (default: freeze now)",
        )
        parser.add_argument(
            "--deployment",
            metavar="NAME",
            help="the slot it is for (default: the dataset's address)",
        )
        parser.add_argument("--base", default=settings.DEFAULT_BASE_MODEL, help="the base model")
        parser.add_argument(
            "--method", choices=["lora", "rslora", "full"], default="lora", help="what is trained"
        )
        parser.add_argument(
            "--set",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            dest="given",
            help=f"a setting other than auto; may be repeated. Names: {_SETTABLE}",
        )
        parser.add_argument("--seed", type=int, default=0, help="of everything that is drawn")
        parser.add_argument("--suffix", default="", help="a name to know the job by")
        parser.add_argument("--main-metric", default="auto", help="what the gate looks at first")
        parser.add_argument("--detach", action="store_true", help="queue the job and return")
        parser.add_argument(
            "--local", action="store_true", help="do the work here, where no trainer runs"
        )

    def act(self, tenant: Tenant, **options: Any) -> None:
        version = self._version(options["dataset"], options["number"])
        given = dict(_setting(one) for one in options["given"])
        method = {"type": options["method"]} | {k: v for k, v in given.items() if k in METHOD}
        job = start_fine_tuning(
            dataset_version=version,
            base_model=the_base(options["base"]),
            deployment=options["deployment"] or options["dataset"],
            suffix=options["suffix"],
            method=method,
            hyperparameters={k: v for k, v in given.items() if k not in METHOD},
            seed=options["seed"],
            main_metric=options["main_metric"],
        )
        self.console.print(f"Queued {job.unhashed_name} ({job.pk})", markup=False)
        if options["detach"]:
            return
        self.follow(job, "Training", local=options["local"])
        self._tell(job)
        evaluation = Evaluation.objects.filter(checkpoint__job=job).latest("queued_at")
        self.follow(evaluation, "Evaluating", local=options["local"])
        show_verdict(self.console, evaluation)
        how = "" if evaluation.passed else " --override 'the reason, which is kept'"
        self.console.print(
            f"To promote it: manage.py promote {job.checkpoint.name}{how}", markup=False
        )

    def _version(self, slug: str, number: int | None) -> DatasetVersion:
        dataset = Dataset.objects.filter(slug=slug).first()
        if dataset is None:
            known = ", ".join(Dataset.objects.values_list("slug", flat=True))
            raise CommandError(f"No dataset {slug!r}. There are: {known or 'none'}")
        if number is None:
            return freeze_version(dataset=dataset)
        version = DatasetVersion.objects.filter(dataset=dataset, number=number).first()
        if version is None:
            raise CommandError(f"The dataset {slug} has no version {number}.")
        return version

    def _tell(self, job: FineTuningJob) -> None:
        chosen = ", ".join(f"{name} {value}" for name, value in job.chosen.items())
        loss = "unknown" if job.best_loss is None else f"{job.best_loss:.4f}"
        self.console.print(f"Chosen: {chosen}", markup=False)
        self.console.print(
            f"Best validation loss {loss} at step {job.best_step}; "
            f"{job.trained_tokens} tokens; published {job.checkpoint.name}",
            markup=False,
        )


def _setting(text: str) -> tuple[str, Any]:
    name, sign, value = text.partition("=")
    if not sign:
        raise CommandError(f"--set {text}: expected NAME=VALUE.")
    for kind in (int, float):
        try:
            return name, kind(value)
        except ValueError:
            continue
    return name, value
