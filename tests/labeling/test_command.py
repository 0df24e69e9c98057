"""`manage.py import_examples`: the same import, for people at a terminal."""

import io
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from labeling.models import Dataset, DatasetVersion, Example
from tenancy.models import Tenant
from tenancy.scope import tenant_scope
from tests.labeling.conftest import json_lines, questions


def run(*arguments: Any) -> str:
    out = io.StringIO()
    call_command("import_examples", *map(str, arguments), stdout=out)
    return out.getvalue()


@pytest.fixture
def history(tmp_path: Path) -> Path:
    path = tmp_path / "历史.jsonl"
    path.write_text(questions(60) + "{坏\n" + json_lines({"q": "一？", "a": ""}), "utf-8")
    return path


def test_it_imports_lists_the_faults_and_freezes(tenant: Tenant, history: Path) -> None:
    said = run(history, "--tenant", tenant.slug, "--dataset", "support", "--freeze")

    assert "60 created" in said
    assert "2 faults" in said
    assert "61" in said
    assert "/a" in said
    assert "support v1" in said
    with tenant_scope(tenant):
        assert Example.objects.count() == 60
        assert DatasetVersion.objects.get().counts["train"] > 40


def test_a_dry_run_shows_the_first_rows_and_writes_nothing(tenant: Tenant, history: Path) -> None:
    said = run(history, "--tenant", tenant.slug, "--dataset", "support", "--dry-run")

    assert "nothing written" in said
    assert "问-0" in said
    with tenant_scope(tenant):
        assert not Dataset.objects.exists()


def test_a_mapping_can_be_given(tenant: Tenant, tmp_path: Path) -> None:
    path = tmp_path / "faq.csv"
    path.write_text("Frage,Antwort\nWas?,Das.\n", "utf-8")
    said = run(path, "--dataset", "faq", "--mapping", "q=Frage,a=Antwort", "--draft")

    assert "1 created" in said
    with tenant_scope(tenant):
        assert Example.objects.get().state == "draft"
    for wrong in ("Frage", "q=", "colour=Frage"):
        with pytest.raises(CommandError):
            run(path, "--dataset", "faq", "--mapping", wrong)


def test_what_cannot_be_done_is_said_in_one_line(
    tenant: Tenant, other_tenant: Tenant, tmp_path: Path
) -> None:
    path = tmp_path / "x.pdf"
    path.write_bytes(b"%PDF-1.7")
    for arguments in (
        (tmp_path / "none.csv", "--tenant", tenant.slug),
        (path, "--tenant", tenant.slug),
        (path, "--tenant", "nobody"),
        (path,),
    ):
        with pytest.raises(CommandError):
            run(*arguments, "--dataset", "support")


def test_markup_in_a_file_is_only_text(tenant: Tenant, tmp_path: Path) -> None:
    path = tmp_path / "[red]x[bold].jsonl"
    path.write_text(json_lines({"[bold]": 1}), "utf-8")
    with pytest.raises(CommandError):
        run(path, "--dataset", "support")
