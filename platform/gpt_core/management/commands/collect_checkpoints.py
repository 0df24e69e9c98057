"""Collect old checkpoints by rule, or say what would be."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from common.errors import ApplicationError
from tenancy.home import keeping_files_still
from tenancy.models import Tenant
from tenancy.scope import system_scope, tenant_scope

from ...services.collection import collect_checkpoints, judge_checkpoints
from ...storage import bytes_below


class Command(BaseCommand):
    help = (
        "Delete the files of checkpoints that serve nowhere, never served, are needed by no unfinished "
        "work, are not among the newest PARLEY_KEEP_CHECKPOINTS of their deployment and are older than "
        "PARLEY_KEEP_CHECKPOINT_DAYS. Their rows stay. Beat does the same every night."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", help="one tenant alone, by its address")
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="only say what is kept and why, and what would go",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        with system_scope("collect checkpoints by hand"):
            tenants = Tenant.objects.order_by("slug")
            if options["tenant"]:
                tenants = tenants.filter(slug=options["tenant"])
            found = list(tenants)
        if options["tenant"] and not found:
            raise CommandError(f"There is no tenant {options['tenant']!r}.")
        try:
            with keeping_files_still():
                freed = sum(self._tenant(tenant, options["dry_run"]) for tenant in found)
        except ApplicationError as error:
            raise CommandError(str(error.detail)) from error
        verb = "Would free" if options["dry_run"] else "Freed"
        self.stdout.write(f"{verb} {freed / 1e6:,.1f} MB")

    def _tenant(self, tenant: Tenant, dry_run: bool) -> int:
        freed = 0
        with tenant_scope(tenant):
            sizes = {}
            for judged in judge_checkpoints():
                sizes[judged.checkpoint.pk] = bytes_below(Path(judged.checkpoint.folder))
                if dry_run:
                    said = f"kept: {judged.reason}" if judged.reason else "would go"
                    self.stdout.write(f"{judged.checkpoint.name}  {said}")
                    freed += 0 if judged.reason else sizes[judged.checkpoint.pk]
            if not dry_run:
                for checkpoint in collect_checkpoints():
                    self.stdout.write(f"{checkpoint.name}  collected")
                    freed += sizes.get(checkpoint.pk, 0)
        return freed
