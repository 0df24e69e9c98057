"""Jobs are found by their metadata, whatever its keys and values look like."""

from __future__ import annotations

from typing import Any

import pytest

from tenancy.models import Tenant
from tenancy.scope import tenant_scope
from tests.gpt_core.rows import make_job

from .conftest import Caller

KEYS = [
    "team", "2026", "-1", "0", " 1", "1_0", "+1", "٥", "²", "团队", 'a"b', "a\\b", "a.b", "$", "[0]",
    "a'b", "a%sb", "😀", "a]b", "\n", "null", "x" * 64,
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
def test_a_job_is_found_by_a_key_of_any_kind(caller: Caller, tenant: Tenant, key: str) -> None:
    with tenant_scope(tenant):
        for value in ("支持", "2026", "null", ""):
            make_job(metadata={key: value, "other": "支持"})
        make_job(metadata={"other": value})

    def found(value: str) -> list[Any]:
        status, page = caller.get("fine_tuning/jobs", **{f"metadata[{key}]": value})
        assert status == 200, page
        return [job["metadata"][key] for job in page["data"]]

    for value in ("支持", "2026", "null", ""):
        assert found(value) == [value]
    assert found("nobody's") == []
