"""Let what answered before answer again."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from tenancy.models import Tenant

from ...models import Deployment
from ...services import roll_back
from ..tenant_command import TenantCommand


class Command(TenantCommand):
    help = (
        "Roll a slot back to the checkpoint that served before (the base model, where there was none). "
        "Example: manage.py roll_back support"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("deployment", help="the slot's name")

    def act(self, tenant: Tenant, **options: Any) -> None:
        slot = Deployment.objects.filter(name=options["deployment"]).first()
        if slot is None:
            known = ", ".join(Deployment.objects.values_list("name", flat=True))
            raise CommandError(f"No slot {options['deployment']!r}. There are: {known or 'none'}")
        slot = roll_back(deployment=slot)
        self.console.print(f"{slot.model} answers in {slot.name}.", markup=False)
