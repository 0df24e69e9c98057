"""Fill a home of its own: companies with keys, and a tiny base. Says what it made, as JSON.

PARLEY_HOME=... python -m tests.live.seed
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def main() -> None:
    import django

    django.setup()
    from django.core.management import call_command

    from accounts.permissions import GENERATE, SCOPES_OF_KEYS, VIEW
    from accounts.services import create_api_key
    from gpt_core.models import BaseModel
    from tenancy.models import Quota, Tenant
    from tenancy.scope import system_scope, tenant_scope
    from tests.tiny import tiny_base

    call_command("migrate", verbosity=0, interactive=False)
    home = Path(os.environ["PARLEY_HOME"])
    base = tiny_base(home)
    BaseModel.objects.create(
        name=base.name,
        digest=base.digest,
        folder_name=base.folder.name,
        architecture=base.architecture,
        parameters=base.parameters,
        context=base.context,
    )
    keys: dict[str, str] = {}

    def key(name: str, scopes: Any) -> None:
        keys[name] = create_api_key(name=name, scopes=scopes, by=None)[1]

    for slug, name in (("acme", "极致"), ("globex", "环球"), ("loud", "喧闹"), ("calm", "安静")):
        with system_scope("test: a company"):
            tenant = Tenant.objects.create(slug=slug, name=name)
        with tenant_scope(tenant):
            key(slug, SCOPES_OF_KEYS)
            if slug == "acme":
                key("looks", [VIEW])
                key("asks", [GENERATE])
            if slug == "loud":
                # Limits that a flood reaches.
                Quota.objects.create(concurrent_generations=40, requests_per_minute=1_200)
    print(json.dumps({"base": base.name, "folder": str(base.folder), "keys": keys}))  # noqa: T201


if __name__ == "__main__":
    main()
