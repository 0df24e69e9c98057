"""Files and jobs of /v1/ in one line each, and the worker that checks the files of new jobs."""

from __future__ import annotations

import io
from typing import Any

from gpt_core import file_admission
from labeling.models import StoredFile
from labeling.services import store_file
from tenancy.models import Tenant
from tenancy.scope import system_scope, tenant_scope

from .conftest import Caller

BASE = "smollm2-135m-instruct"


def keep(tenant: Tenant, text: str | bytes, name: str = "rows.jsonl") -> StoredFile:
    data = text.encode() if isinstance(text, str) else text
    with tenant_scope(tenant):
        return store_file(
            stream=io.BytesIO(data), filename=name, purpose="fine-tune", most_bytes=1 << 24
        )


def file_id(file: StoredFile) -> str:
    return f"file-{file.pk.hex}"


def create(caller: Caller, training_file: str, **more: Any) -> dict[str, Any]:
    status, job = caller.post(
        "fine_tuning/jobs", {"model": BASE, "training_file": training_file} | more
    )
    assert status == 200, job
    return dict(job)


def admit() -> None:
    with system_scope("test"):
        while file_admission.admit_next():
            pass
