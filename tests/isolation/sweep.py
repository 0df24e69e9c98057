"""One knock at one door, and what must be true of the answer.

Each probe is a pair: the same request with an id of the other company, and with an id that nobody
has. Both run in a savepoint that is rolled back, so that they meet the same world.
"""

import json
import re
import secrets
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection, models, transaction
from django.utils import timezone

from tenancy import guards
from tenancy.fields import TenantField
from tenancy.querysets import TenantManager
from tests.isolation.routes import KNOWN, METHODS, Route, every_route, family_of, parameters
from tests.isolation.world import Company, World, digest_of

WITH_BODY = ("POST", "PUT", "PATCH", "DELETE")
SESSIONS = ("owner", "staff")
OF_THE_MOMENT = {
    "Set-Cookie",
    "Content-Length",
    "Expires",
    "Last-Modified",
    "Date",
    "X-Request-Id",
    "x-ratelimit-reset-requests",
    "x-ratelimit-reset-tokens",
}
# Names under which a careless view might read an id, tried on every route.
CARELESS = {
    "tenant": "tenancy.Tenant",
    "tenant_id": "tenancy.Tenant",
    "user": "accounts.User",
    "id": "labeling.Dataset",
    "pk": "labeling.Dataset",
    "dataset": "labeling.Dataset",
    "dataset_id": "labeling.Dataset",
    "version": "labeling.DatasetVersion",
    "dataset_version": "labeling.DatasetVersion",
    "example": "labeling.Example",
    "job": "gpt_core.FineTuningJob",
    "job_id": "gpt_core.FineTuningJob",
    "checkpoint": "gpt_core.Checkpoint",
    "checkpoint_id": "gpt_core.Checkpoint",
    "evaluation": "gpt_core.Evaluation",
    "deployment": "gpt_core.Deployment",
}


@dataclass(frozen=True)
class Knock:
    """A request before it is sent; `sent` are the ids in it that stand for foreign or unknown."""

    path: dict[str, str]
    query: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)
    tenant_header: str | None = None
    sent: tuple[str, ...] = ()


@dataclass(frozen=True)
class Place:
    """Where an id stands. `exact`: nothing but a refusal is right, and both must be the same."""

    name: str
    foreign: Knock
    unknown: Knock
    exact: bool = True


@dataclass(frozen=True)
class Answer:
    status: int
    headers: tuple[tuple[str, str], ...]
    body: str


def credentials_for(route: str) -> list[str]:
    # The admin is the platform's staff's, who look across tenants by their office.
    return ["owner", "key", "nobody"] + (["staff"] if family_of(route) != "admin/" else [])


def entry_for(route: str, template: str) -> Route:
    if route in KNOWN:
        return KNOWN[route]
    model = re.match(r"admin/(\w+)/(\w+)/", route)
    label = "tenancy.Tenant"
    for table in guards.tenant_models():
        if model and (table._meta.app_label, table._meta.model_name) == model.groups():
            label = table._meta.label
    return Route(**{name: label for name in parameters(template)})  # type: ignore[arg-type]


# --- Places ------------------------------------------------------------------------------------


def places(route: str, template: str, world: World) -> Iterator[Place]:
    entry = entry_for(route, template)
    names = [name for name in parameters(template) if name != "slug" or route not in KNOWN]
    own = {name: _known(entry.ids[name], world.ours) for name in names}
    if "slug" in parameters(template) and route in KNOWN:
        own["slug"] = world.ours.tenant.slug
    body = {name: _known(value, world.ours) for name, value in entry.body.items()}
    start = Knock(path=own, body=body)
    strange_slug = "x" * (len(world.theirs.tenant.slug) - 8) + secrets.token_hex(4)

    def variants(part: str, refs: dict[str, str], slug: bool = False) -> tuple[Knock, Knock]:
        made = []
        for is_foreign in (True, False):
            values = {
                name: _known(label, world.theirs) if is_foreign else _unknown(label, world.theirs)
                for name, label in refs.items()
            }
            if slug:
                values["slug"] = world.theirs.tenant.slug if is_foreign else strange_slug
            before = getattr(start, part)
            made.append(replace(start, **{part: before | values}, sent=tuple(values.values())))
        return made[0], made[1]

    references = {name: label for name, label in entry.ids.items() if not label.startswith("=")}
    for name in references:
        yield Place(f"path {name}", *variants("path", {name: references[name]}))
    if "slug" in own and route in KNOWN:
        yield Place("path slug", *variants("path", {}, slug=True))
        if references:
            yield Place("path all", *variants("path", references, slug=True))
    for name, label in entry.body.items():
        if not label.startswith("="):
            yield Place(f"body {name}", *variants("body", {name: label}))
    for name, label in entry.query.items():
        yield Place(f"query {name}", *variants("query", {name: label}), exact=False)
    if route.startswith("api/"):
        for slug in [(world.theirs.tenant.slug, strange_slug)]:
            foreign, unknown = (replace(start, tenant_header=s, sent=(s,)) for s in slug)
            yield Place("header X-Tenant", foreign, unknown)
    if route not in KNOWN:
        return  # others' code, which reads none of our names
    careless = {name: label for name, label in CARELESS.items() if name not in entry.body}
    yield Place("query careless", *variants("query", careless), exact=False)
    yield Place("body careless", *variants("body", careless), exact=False)


def _known(label: str, company: Company) -> str:
    if label.startswith("="):
        return label[1:]
    prefix, _percent, model = label.rpartition("%")
    row: Any = company.row(model)
    return row.name if prefix == "name" else _written(prefix, row.pk)


def _unknown(label: str, company: Company) -> str:
    prefix, _percent, model = label.rpartition("%")
    pk = company.row(model).pk
    if prefix == "name":
        return secrets.token_hex(16)
    return _written(prefix, uuid.uuid4() if isinstance(pk, uuid.UUID) else pk + 1_000_000)


def _written(prefix: str, pk: Any) -> str:
    return f"{prefix}{pk.hex}" if prefix else str(pk)


# --- Knocking ----------------------------------------------------------------------------------


def probe(route: str, template: str, place: Place, method: str, who: str, world: World) -> None:
    """Send the pair. AssertionError if the answers differ, or tell or change anything of theirs."""
    answers = []
    moment = timezone.now()
    for knock in (place.foreign, place.unknown):
        with _undone(), _standing_still(moment), _watched() as written:
            response = send(template, knock, method, who, world)
            text = _text_of(response)
            # A header is an answer too: where it leads, what the file is called.
            whole = f"{text}\n{list(response.headers.items())}"
            if written and not connection.needs_rollback:
                assert digest_of(world.theirs) == world.before, "a row of theirs changed"
        assert response.status_code < 500, f"{response.status_code}: an accident, not an answer"
        assert world.theirs.canary not in _masked(whole, knock).lower(), (
            "their text is in the answer"
        )
        for row in world.theirs.rows.values():
            if isinstance(row.pk, uuid.UUID) and str(row.pk) not in knock.sent:
                assert str(row.pk) not in whole, (
                    f"the id of their {row._meta.label} is in the answer"
                )
        answers.append(
            Answer(response.status_code, _headers(response, knock), _masked(text, knock))
        )
    foreign, unknown = answers
    assert foreign.status == unknown.status
    if place.exact and route in KNOWN and who != "nobody" and _refusal_is_due(route, place, who):
        allowed = method == "OPTIONS" and foreign.status == 200
        assert allowed or foreign.status >= 300, f"{foreign.status}: accepted"
    if place.exact or method in ("GET", "HEAD"):
        assert foreign.headers == unknown.headers
        assert foreign.body == unknown.body


def _refusal_is_due(route: str, place: Place, who: str) -> bool:
    # A key names its tenant by itself: the header is nothing to it. Preferences are anybody's.
    is_nothing = who == "key" or KNOWN[route].is_open
    return not (place.name == "header X-Tenant" and is_nothing)


def send(template: str, knock: Knock, method: str, who: str, world: World) -> Any:
    path = template % {name: quote(value) for name, value in knock.path.items()}
    options: dict[str, Any] = {"QUERY_STRING": "&".join(f"{k}={v}" for k, v in knock.query.items())}
    if knock.tenant_header is not None and who in SESSIONS:
        options["HTTP_X_TENANT"] = knock.tenant_header
    client = world.clients[who]
    # What an earlier knock was told, and nobody has read yet, is no part of this answer.
    client.cookies.pop("messages", None)
    if method not in WITH_BODY:
        return client.generic(method, path, **options)
    if path.startswith(("/api/", "/v1/")):
        return client.generic(method, path, json.dumps(knock.body), "application/json", **options)
    form = "&".join(f"{name}={quote(str(value))}" for name, value in knock.body.items())
    return client.generic(method, path, form, "application/x-www-form-urlencoded", **options)


def _text_of(response: Any) -> str:
    content = b"".join(iter(response)) if response.streaming else response.content
    return content.decode("utf-8", "replace")


def _masked(text: str, knock: Knock) -> str:
    """Without what was sent, and without the tokens that every page makes anew."""
    for value in knock.sent:
        for spelling in (value, value.replace("-", ""), quote(value)):
            text = text.replace(spelling, "<id>")
    text = re.sub(r"\b[A-Za-z0-9]{64}\b", "<token>", text)
    return re.sub(r"nonce-[^']+|nonce=\"[^\"]+\"", "<nonce>", text)


def _headers(response: Any, knock: Knock) -> tuple[tuple[str, str], ...]:
    return tuple(
        sorted(
            (name, _masked(value, knock))
            for name, value in response.headers.items()
            if name not in OF_THE_MOMENT
        )
    )


@contextmanager
def _standing_still(moment: datetime) -> Iterator[None]:
    """The clock: else "begins anew in 3 seconds" tells the two answers of a pair apart."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timezone, "now", lambda: moment)
        yield


@contextmanager
def _undone() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@contextmanager
def _watched() -> Iterator[list[str]]:
    """The statements that wrote, but for sessions, a key's last use and the counting of requests."""
    written: list[str] = []

    def watch(execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        text = str(sql)
        is_write = re.search(r"\b(INSERT INTO|UPDATE|DELETE FROM) \"", text)
        if is_write and not re.search(
            r"\"django_session\"|SET \"last_used_at\"|\"tenancy_usage\"", text
        ):
            written.append(text)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(watch):
        yield written


@contextmanager
def application_scoping_off() -> Iterator[None]:
    """The first net gone: managers show everything, the tenant's field takes everything."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TenantManager, "get_queryset", models.Manager.get_queryset)
        patch.setattr(TenantField, "get_db_prep_save", models.ForeignKey.get_db_prep_save)
        yield


def sweep_route(route: str, world: World, *, who: list[str] | None = None, only: str = "") -> int:
    """Every method, credential and place of one route; the number of pairs."""
    template = every_route()[route]
    world.before = digest_of(world.theirs)
    pairs = 0
    for place in places(route, template, world):
        if not place.name.startswith(only):
            continue
        for method in METHODS:
            if place.name.startswith("body") and method not in WITH_BODY:
                continue
            if place.name == "query careless" and method not in ("GET", "POST"):
                continue
            if place.name == "body careless" and method not in ("POST", "PATCH"):
                continue
            for name in who or credentials_for(route):
                if place.name.startswith("header") and name not in SESSIONS:
                    continue
                try:
                    probe(route, template, place, method, name, world)
                except AssertionError as error:
                    raise AssertionError(
                        f"{method} /{route} by {name}, id in {place.name}: {error}"
                    ) from error
                pairs += 1
    assert digest_of(world.theirs) == world.before
    return pairs
