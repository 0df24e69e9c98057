"""The audit log in words: every action has its sentence, and the file holds what the page shows."""

import ast
import csv
import io
import re
from html import unescape
from pathlib import Path

import pytest
from django.utils import translation

from accounts import services
from apps.portal import audit_sentences
from tenancy import audit
from tenancy.models import AuditEntry, Tenant
from tenancy.scope import tenant_scope
from tests.apps.portal.conftest import Door
from tests.factories import make_member

ROOT = Path(__file__).resolve().parents[3]
# Where the action is put together, and what can come of it.
COMPOSED = {
    "f'{_noun(job)}.{flag}'": {
        "job.cancel_requested",
        "job.pause_requested",
        "evaluation.cancel_requested",
        "export.cancel_requested",
    },
    "BEGUN": {"tenant.closing_begun"},
    "UNDONE": {"tenant.closing_undone"},
    "f'{_noun(current)}.requeued'": {"job.requeued", "evaluation.requeued", "export.requeued"},
}


def text_of(page: object) -> str:
    html = page.content.decode()  # type: ignore[attr-defined]
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))


def recorded() -> set[str]:
    """The action of every audit.record in the source."""
    actions: set[str] = set()
    for shelf in ("platform", "apps"):
        for path in (ROOT / shelf).rglob("*.py"):
            source = path.read_text()
            names = {"audit.record"}
            if re.search(r"^from tenancy.audit import .*\brecord\b", source, re.MULTILINE):
                names.add("record")
            for node in ast.walk(ast.parse(source)):
                if isinstance(node, ast.Call) and ast.unparse(node.func) in names:
                    action = node.args[0]
                    if isinstance(action, ast.Constant):
                        actions.add(str(action.value))
                    else:
                        actions |= COMPOSED[ast.unparse(action)]
    return actions


def test_every_action_that_is_recorded_has_a_sentence() -> None:
    assert recorded() - set(audit_sentences.SENTENCES) == set()


def test_no_sentence_stands_for_what_nobody_does() -> None:
    """An erased tenant's last line is written without `record`, so its name is looked for besides."""
    sources = [path for shelf in ("platform", "apps") for path in (ROOT / shelf).rglob("*.py")]
    written = "".join(path.read_text() for path in sources if path.name != "audit_sentences.py")
    forgotten = set(audit_sentences.SENTENCES) - recorded()
    assert {action for action in forgotten if f'"{action}"' not in written} == set()


def test_a_sentence_stands_without_its_data() -> None:
    for action in audit_sentences.SENTENCES:
        assert "%(" not in audit_sentences.sentence(action, "x", {})
        assert "%(" not in audit_sentences.label(action)
    assert audit_sentences.sentence("weather.changed", "x", {}) == "weather.changed"


@pytest.fixture
def told(tenant: Tenant) -> Tenant:
    wang = make_member(tenant, "admin", name="王芳", email="wang@example.com")
    with tenant_scope(tenant), audit.acting(audit.Actor("person", str(wang.pk))):
        key, _secret = services.create_api_key(name='=HYPERLINK("x")', scopes=["view"], by=None)
        services.revoke_api_key(key=key)
        services.invite(email="li@example.com", role="viewer", by=None)
    return tenant


def at(tenant: Tenant, path: str = "") -> str:
    return f"/t/{tenant.slug}/settings/audit/{path}"


@pytest.mark.django_db
def test_the_log_says_who_did_what(told: Tenant, door: Door) -> None:
    page = text_of(door("owner").get(at(told)))
    assert "王芳" in page
    assert "Invited li@example.com as viewer" in page
    assert 'Revoked the key “=HYPERLINK("x")”' in page


@pytest.mark.django_db
def test_the_log_is_filtered_by_action_actor_and_day(told: Tenant, door: Door) -> None:
    client = door("owner")
    with tenant_scope(told):
        wang = AuditEntry.objects.filter(action="key.created").get().actor_id
    only = text_of(client.get(at(told), {"action": "key.created"}))
    assert "Made the key" in only.split("Filter")[1]
    assert "Invited li@example.com" not in only
    assert "Invited li@example.com" in text_of(client.get(at(told), {"actor": f"person:{wang}"}))
    assert "Nothing fits these filters." in text_of(client.get(at(told), {"since": "2100-01-01"}))
    assert "Nothing fits these filters." in text_of(client.get(at(told), {"until": "2000-01-01"}))


@pytest.mark.django_db
@pytest.mark.parametrize(
    "odd",
    [
        {"action": "no.such"},
        {"actor": "person:x"},
        {"since": "31.02.2026"},
        {"until": "0000-00-00"},
        {"page": "-1"},
    ],
)
def test_a_filter_that_makes_no_sense_is_said_and_ignored(
    odd: dict[str, str], told: Tenant, door: Door
) -> None:
    page = door("owner").get(at(told), odd)
    assert page.status_code == 200
    assert "Invited li@example.com" in text_of(page)


@pytest.mark.django_db
def test_the_file_holds_the_same_and_runs_no_formula(told: Tenant, door: Door) -> None:
    answer = door("owner").get(at(told, "export/"), {"action": "key.created"})
    assert "attachment" in answer.headers["Content-Disposition"]
    text = b"".join(answer.streaming_content).decode("utf-8-sig")  # type: ignore[attr-defined]
    head, *rows = list(csv.reader(io.StringIO(text)))
    assert len(head) == 6
    assert [row[3] for row in rows] == ["key.created"]
    assert rows[0][1] == "王芳"
    assert not any(cell.startswith("=") for row in rows for cell in row)


@pytest.mark.django_db
def test_the_file_of_many_lines_is_whole(tenant: Tenant, door: Door) -> None:
    with tenant_scope(tenant):
        for _number in range(1203):
            audit.record("key.created", None)
    answer = door("owner").get(at(tenant, "export/"))
    text = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    assert len(text.strip().splitlines()) == 1204


@pytest.mark.django_db
@pytest.mark.parametrize("role", ["viewer", "agent", "annotator"])
def test_only_who_manages_reads_the_log(role: str, told: Tenant, door: Door) -> None:
    client = door(role)
    assert client.get(at(told)).status_code == 403
    assert client.get(at(told, "export/")).status_code == 403


@pytest.mark.django_db
def test_the_log_speaks_chinese(told: Tenant, door: Door) -> None:
    page = door("owner").get(at(told), headers={"accept-language": "zh-CN"})
    assert page.status_code == 200
    with translation.override("zh-hans"):
        said = audit_sentences.sentence("invitation.made", "li@example.com", {"role": "viewer"})
    assert said in text_of(page)
