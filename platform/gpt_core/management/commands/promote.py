"""Let a checkpoint answer."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from accounts.models import User
from tenancy.models import Membership, Role, Tenant

from ...services import promote
from ..tenant_command import TenantCommand, the_checkpoint


class Command(TenantCommand):
    help = (
        "Promote a checkpoint: the engine loads it, and from then on it answers in its slot. The gate "
        "must have passed it; --override promotes against the gate, and its reason is kept. "
        "Example: manage.py promote support"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("checkpoint", help="a checkpoint's name, or a slot's: its newest one")
        parser.add_argument(
            "--deployment", default="", help="another slot than the one it was made for"
        )
        parser.add_argument("--override", metavar="REASON", help="why to overrule the gate")
        parser.add_argument(
            "--as", dest="email", help="the owner who overrules it (default: the only owner)"
        )

    def act(self, tenant: Tenant, **options: Any) -> None:
        actor = _owner(options["email"]) if options["override"] or options["email"] else None
        slot = promote(
            checkpoint=the_checkpoint(options["checkpoint"]),
            deployment=options["deployment"],
            actor=actor,
            override_reason=options["override"],
        )
        self.console.print(f"{slot.model} answers in {slot.name}.", markup=False)


def _owner(email: str | None) -> User:
    owners = Membership.objects.filter(role=Role.OWNER).select_related("user")
    found = [one.user for one in (owners.filter(user__email=email.lower()) if email else owners)]
    if len(found) != 1:
        raise CommandError("Name the owner with --as EMAIL.")
    return found[0]
