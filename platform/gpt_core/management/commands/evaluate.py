"""Compare a checkpoint with its base and with what serves."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from rich.table import Table

from tenancy.models import Tenant

from ...models import Evaluation
from ...services import evaluate_checkpoint
from ...verdict_text import metric_name
from ..tenant_command import TenantCommand, show_verdict, the_checkpoint


class Command(TenantCommand):
    help = (
        "Evaluate a checkpoint on the held-out split of the dataset version it learned from, beside "
        "its base and beside the checkpoint that serves now; print the table, some answers, and the "
        "gate's verdict. Example: manage.py evaluate support"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("checkpoint", help="a checkpoint's name, or a slot's: its newest one")
        parser.add_argument("--main-metric", default="auto", help="what the gate looks at first")
        parser.add_argument("--samples", type=int, default=3, help="how many answers to print")
        parser.add_argument(
            "--local", action="store_true", help="do the work here, where no trainer runs"
        )

    def act(self, tenant: Tenant, **options: Any) -> None:
        evaluation = evaluate_checkpoint(
            checkpoint=the_checkpoint(options["checkpoint"]), main_metric=options["main_metric"]
        )
        self.follow(evaluation, "Evaluating", local=options["local"])
        self.console.print(self._table(evaluation))
        for sample in (evaluation.report or {})["samples"][: options["samples"]]:
            self._show(sample)
        show_verdict(self.console, evaluation)

    def _table(self, evaluation: Evaluation) -> Table:
        report: dict[str, Any] = evaluation.report or {}
        models = [name for name in ("base", "champion", "candidate") if name in report["models"]]
        table = Table(title=f"{evaluation.checkpoint.name}: {report['n']} held-out rows")
        table.add_column("")
        for name in models:
            table.add_column(name, justify="right")
        table.add_column("candidate - base", justify="right")
        for metric in report["models"]["candidate"]:
            cells = [_figure(report["models"][name].get(metric)) for name in models]
            moved = report["differences"]["candidate_minus_base"].get(metric) or {}
            interval = ""
            if moved:
                interval = " ".join(
                    [_figure(moved["mean"]), f"[{_figure(moved['low'])} {_figure(moved['high'])}]"]
                )
            table.add_row(metric_name(metric), *cells, interval.replace("[", "\\["))
        return table

    def _show(self, sample: dict[str, Any]) -> None:
        prompt = sample["prompt"]
        if isinstance(prompt, list):
            prompt = prompt[-1]["content"]
        self.console.print(f"\n{prompt}", markup=False, style="bold")
        for name in ("reference", "base", "champion", "candidate"):
            if sample.get(name):
                self.console.print(f"  {name}: {sample[name]}", markup=False)


def _figure(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else "-"
