"""Bring a file of a company's history into a dataset, and say what became of every row."""

from argparse import ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from common.errors import ApplicationError
from labeling.importing import ImportReport
from labeling.models import Dataset, DatasetVersion, Example
from labeling.services import create_dataset, freeze_version, import_examples
from tenancy.models import Tenant
from tenancy.scope import system_scope, tenant_scope

HELP = """\
Import examples from a file into a dataset of a tenant.

Files: JSON Lines (.jsonl), a JSON array (.json), CSV, TSV, XLSX; as UTF-8, UTF-16 or GB18030.
Rows:  {"messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content": "...",
       "weight": 1}]}                                                           OpenAI chat
       {"prompt": "...", "completion": "..."}                                   completion
       {"conversations": [{"from": "human", "value": "..."}, {"from": "gpt", ...}]}  ShareGPT
       {"instruction": "...", "input": "...", "output": "..."}                  Alpaca
       {"question": "...", "answer": "..."}    or columns of these names, or 问题 and 答案
       {"text": "...", "label": "..."}                                          text with labels
       Each may have: id, group (what must not be split apart), labels, system.

Every fault is listed with its line; the other rows are imported. Importing a file again adds
nothing: rows are known by their id, or by what they say."""

EXAMPLES = """\
examples:
  manage.py import_examples history.jsonl --tenant acme --dataset support --dry-run
  manage.py import_examples faq.xlsx --tenant acme --dataset support --mapping q=Frage,a=Antwort
  manage.py import_examples history.csv --tenant acme --dataset support --freeze
"""


def _mapping(text: str) -> dict[str, str]:
    """ "q=Frage,a=Antwort" as a dictionary."""
    mapping = {}
    for part in text.split(","):
        role, separator, column = part.partition("=")
        if not separator or not role.strip() or not column.strip():
            raise ArgumentTypeError(f"{part!r}: expected ROLE=COLUMN, such as q=Frage,a=Antwort")
        mapping[role.strip()] = column.strip()
    return mapping


class Command(BaseCommand):
    help = HELP

    def create_parser(self, prog_name: str, subcommand: str, **options: Any) -> Any:
        parser = super().create_parser(prog_name, subcommand, **options)
        parser.formatter_class = RawDescriptionHelpFormatter
        parser.epilog = EXAMPLES
        return parser

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="the file to read")
        parser.add_argument(
            "--tenant",
            metavar="SLUG",
            help="the tenant's address; not needed where there is one only",
        )
        parser.add_argument(
            "--dataset", metavar="SLUG", required=True, help="the dataset's address; made if new"
        )
        parser.add_argument("--dry-run", action="store_true", help="read and report, write nothing")
        parser.add_argument(
            "--mapping",
            type=_mapping,
            metavar="ROLE=COLUMN,...",
            help="columns with other names; roles: q, a, system, id, group, labels, text",
        )
        parser.add_argument(
            "--draft", action="store_true", help="import as drafts, for people to accept"
        )
        parser.add_argument(
            "--freeze", action="store_true", help="then freeze a version, ready to train on"
        )
        parser.add_argument("--seed", type=int, default=0, help="of the split (with --freeze)")

    def handle(self, *args: Any, **options: Any) -> None:
        self.console = Console(file=self.stdout._out, soft_wrap=True)  # type: ignore[arg-type]
        with tenant_scope(_tenant(options["tenant"])):
            try:
                self._act(options)
            except ApplicationError as error:
                raise CommandError(str(error.detail)) from error

    def _act(self, options: dict[str, Any]) -> None:
        dataset = self._dataset(options["dataset"], dry_run=options["dry_run"])
        report = self._import(dataset, options)
        self._tell(report)
        if report.fault_count and not report.rows - report.refused:
            raise CommandError(_("Nothing could be imported."))
        if options["freeze"] and not options["dry_run"]:
            self._freeze(dataset, options["seed"])

    def _dataset(self, slug: str, *, dry_run: bool) -> Dataset:
        found = Dataset.objects.filter(slug=slug).first()
        if found is not None:
            return found
        # A dry run is compared with nothing where there is nothing yet.
        return Dataset(name=slug, slug=slug) if dry_run else create_dataset(name=slug, slug=slug)

    def _import(self, dataset: Dataset, options: dict[str, Any]) -> ImportReport:
        path: Path = options["file"]
        try:
            stream = path.open("rb")
        except OSError as error:
            raise CommandError(f"{path}: {error.strerror}") from error
        with stream, self._bar() as bar:
            task = bar.add_task(escape(path.name), total=1.0)
            return import_examples(
                dataset=dataset,
                stream=stream,
                filename=path.name,
                mapping=options["mapping"],
                dry_run=options["dry_run"],
                state=Example.State.DRAFT if options["draft"] else Example.State.ACCEPTED,
                progress=lambda share: bar.update(task, completed=share),
            )

    def _bar(self) -> Progress:
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
        return Progress(*columns, TimeRemainingColumn(), console=self.console)

    def _tell(self, report: ImportReport) -> None:
        say = self.console.print
        about = ", ".join(part for part in (report.form, report.encoding) if part)
        say(escape(f"{report.filename} ({about or '?'})"))
        counts = [f"{count} {name}" for name, count in report.counts.items() if count]
        prefix = _("Dry run, nothing written: ") if report.dry_run else ""
        say(prefix + ", ".join(counts or ["0 rows"]) + f" ({report.seconds:.1f} s)")
        if report.ignored:
            say(escape(_("Not used: ") + ", ".join(report.ignored)))
        if report.dry_run:
            for row in report.preview[:3]:
                say(escape(f"  {row['line']}: {str(row)[:200]}"))
        if report.fault_count:
            say(self._table(report))

    def _table(self, report: ImportReport) -> Table:
        title = _("%(total)d faults") % {"total": report.fault_count}
        if report.fault_count > len(report.faults):
            title += _(", the first %(shown)d") % {"shown": len(report.faults)}
        table = Table(_("line"), _("where"), _("what is wrong"), _("what to do"), title=title)
        for fault in report.faults:
            line = str(fault.line) if fault.line is not None else "-"
            table.add_row(line, escape(fault.pointer), escape(fault.message), escape(fault.fix))
        return table

    def _freeze(self, dataset: Dataset, seed: int) -> DatasetVersion:
        with self._bar() as bar:
            task = bar.add_task(_("Freezing"), total=1.0)
            version = freeze_version(
                dataset=dataset,
                seed=seed,
                progress=lambda share: bar.update(task, completed=share),
            )
        counts = version.counts
        self.console.print(
            f"{dataset.slug} v{version.number}: {counts['train']} train, {counts['validation']} "
            f"validation, {counts['test']} test, {sum(counts['left_out'].values())} left out as "
            f"copies, digest {version.digest[:12]}"
        )
        return version


def _tenant(slug: str | None) -> Tenant:
    with system_scope("import_examples: find the tenant"):
        tenants = Tenant.objects.order_by("slug")
        found = list((tenants.filter(slug=slug) if slug else tenants)[:2])
    if slug and not found:
        raise CommandError(_("There is no tenant “%(slug)s”.") % {"slug": slug})
    if len(found) != 1:
        raise CommandError(_("Say which tenant: --tenant SLUG."))
    return found[0]
