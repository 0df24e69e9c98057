"""What may only be done in one place is done nowhere else. Read from the source, not believed."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("platform", "apps")

# Where SQL is written by hand, and why that is no way around the scope.
RAW_SQL = {
    "apps/chatbot/history/spool.py": "a temporary file of its own, with no table of ours",
    "apps/chatbot/mining/clusters.py": "a temporary file of its own, with no table of ours",
    "platform/tenancy/rls.py": "the policies themselves",
    "platform/tenancy/owner.py": "roles and grants",
    "platform/tenancy/guards.py": "constraints and triggers",
    "platform/tenancy/counting.py": "an upsert that adds; its rows carry the scope's tenant",
    "platform/labeling/frozen.py": "triggers",
    "platform/labeling/findings.py": "a temporary file of its own, with no table of ours",
    "platform/labeling/seen.py": "a temporary file of its own, with no table of ours",
}
# Where a row's own manager is passed by.
SCOPE_INTERNALS = {"platform/tenancy", "tests"}


def sources() -> Iterator[tuple[str, ast.Module]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if "/migrations/" not in name and "/engine/" not in name:
                yield name, ast.parse(path.read_text(encoding="utf-8"))


SOURCES = dict(sources())


def calls(tree: ast.Module, *names: str) -> list[ast.Call]:
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and (
            (isinstance(node.func, ast.Name) and node.func.id in names)
            or (isinstance(node.func, ast.Attribute) and node.func.attr in names)
        )
    ]


def imports(tree: ast.Module) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module or ""}
    return found


def test_the_source_is_read() -> None:
    assert "platform/tenancy/scope.py" in SOURCES


@pytest.mark.parametrize("name", SOURCES)
def test_sql_is_written_by_hand_only_where_a_reason_stands(name: str) -> None:
    written = calls(SOURCES[name], "execute", "executemany", "raw", "RawSQL", "extra")
    # `extra` is also a word of logging; `execute` of a wrapper.
    written = [call for call in written if not any(k.arg == "extra" for k in call.keywords)]
    assert not written or name in RAW_SQL


@pytest.mark.parametrize("name", SOURCES)
def test_nobody_touches_a_cache_with_keys_of_their_own(name: str) -> None:
    assert not [
        module for module in imports(SOURCES[name]) if module.startswith("django.core.cache")
    ]


@pytest.mark.parametrize("name", SOURCES)
def test_the_scope_is_entered_by_its_two_doors_alone(name: str) -> None:
    if any(name.startswith(inside) for inside in SCOPE_INTERNALS):
        return
    private = {"tenancy.scope._current", "tenancy.scope._entered", "tenancy.owner._owning"}
    assert not imports(SOURCES[name]) & private


@pytest.mark.parametrize("name", SOURCES)
def test_looking_across_tenants_gives_its_reason_on_the_spot(name: str) -> None:
    for call in calls(SOURCES[name], "system_scope"):
        assert call.args, f"{name}:{call.lineno}"
        reason = call.args[0]
        assert isinstance(reason, ast.Constant | ast.JoinedStr), f"{name}:{call.lineno}"


# The widget's door takes no cookie, so that there is nothing another site could ride on
# (tests/apps/chatbot/test_widget.py proves it).
WITHOUT_COOKIES = {"apps/chatbot/widget/door.py"}


@pytest.mark.parametrize("name", SOURCES)
def test_no_door_is_exempt_from_the_proof_of_intent(name: str) -> None:
    if name in WITHOUT_COOKIES:
        return
    assert not [module for module in imports(SOURCES[name]) if module.endswith("csrf_exempt")]
