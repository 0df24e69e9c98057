"""A POST with an Idempotency-Key does its work once, whatever becomes of the answer."""

import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, connections
from django.test import Client
from django.utils import timezone

from accounts import idempotency
from accounts.models import ApiKey, OnceOnly
from accounts.tasks import forget_old_answers
from labeling.models import Dataset, Example, ImportRun
from tenancy.models import AuditEntry, Tenant
from tenancy.scope import tenant_scope
from tests.accounts.test_api import key_of, signed_in

KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"


def post(
    client: Client,
    headers: dict[str, str],
    body: Any = None,
    path: str = "datasets",
    key: str = KEY,
) -> Any:
    return client.post(
        f"/api/v1/{path}/",
        {"name": "客服"} if body is None else body,
        "application/json",
        headers=headers | {"Idempotency-Key": key},
    )


def test_the_same_request_is_answered_the_same_and_done_once(
    client: Client, tenant: Tenant
) -> None:
    headers = key_of(tenant)
    first, again = post(client, headers), post(client, headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content
    assert "Idempotent-Replayed" not in first.headers
    assert again["Idempotent-Replayed"] == "true"
    assert again["Content-Type"] == first["Content-Type"]
    with tenant_scope(tenant):
        assert Dataset.objects.count() == 1
        assert AuditEntry.objects.filter(action="dataset.created").count() == 1


def test_without_the_header_each_request_is_a_request(client: Client, tenant: Tenant) -> None:
    headers = key_of(tenant)
    for slug in ("a", "b"):
        body = {"name": "客服", "slug": slug}
        made = client.post("/api/v1/datasets/", body, "application/json", headers=headers)
        assert made.status_code == 201
    with tenant_scope(tenant):
        assert not OnceOnly.objects.exists()


@pytest.mark.parametrize(
    ("path", "body"),
    [("datasets", {"name": "另一个"}), ("invitations", {"email": "a@b.cn", "role": "viewer"})],
)
def test_a_key_belongs_to_one_request(
    client: Client, tenant: Tenant, path: str, body: dict[str, str]
) -> None:
    headers = key_of(tenant)
    post(client, headers)
    refused = post(client, headers, body, path)
    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")
    assert refused.json()["errors"][0]["field"] == "Idempotency-Key"
    with tenant_scope(tenant):
        assert Dataset.objects.count() == 1


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "两", "a b", "a\tb"])
def test_an_odd_key_is_refused(client: Client, tenant: Tenant, key: str) -> None:
    refused = post(client, key_of(tenant), key=key)
    assert (refused.status_code, refused.json()["code"]) == (400, "idempotency_key_invalid")
    with tenant_scope(tenant):
        assert not Dataset.objects.exists()


def test_keys_of_different_holders_do_not_meet(
    client: Client, tenant: Tenant, other_tenant: Tenant
) -> None:
    for slug, headers in (
        ("a", key_of(tenant)),
        ("b", key_of(tenant)),
        ("c", key_of(other_tenant)),
    ):
        made = post(client, headers, {"name": "客服", "slug": slug})
        assert made.status_code == 201
    assert post(signed_in(tenant, "owner"), {}, {"name": "客服", "slug": "d"}).status_code == 201


def test_a_refusal_frees_its_key(client: Client, tenant: Tenant) -> None:
    headers = key_of(tenant)
    assert post(client, headers, {"name": ""}).status_code == 400
    assert post(client, headers, {"name": "客服"}).status_code == 201


def test_nobody_without_the_right_claims_a_key(client: Client, tenant: Tenant) -> None:
    assert post(client, key_of(tenant, "view")).status_code == 403
    assert post(client, {}).status_code == 401
    with tenant_scope(tenant):
        assert not OnceOnly.objects.exists()


def test_an_accident_is_undone_and_not_kept(
    client: Client, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = key_of(tenant)
    client.raise_request_exception = False
    with monkeypatch.context() as patch:
        patch.setattr("labeling.api.views.DatasetViewSet.answer", accident)
        assert post(client, headers).status_code == 500
    with tenant_scope(tenant):
        assert not Dataset.objects.exists()
    assert post(client, headers).status_code == 201


def accident(*_arguments: Any, **_options: Any) -> Any:
    raise RuntimeError("the machine is on fire")


def test_a_secret_is_shown_again_to_the_caller_and_stands_nowhere(
    client: Client, tenant: Tenant
) -> None:
    headers = key_of(tenant)
    body = {"name": "网站", "scopes": ["view"]}
    first, again = (post(client, headers, body, "keys") for _ in range(2))
    secret = first.json()["secret"]
    assert again.json()["secret"] == secret
    with tenant_scope(tenant):
        row = OnceOnly.objects.get()
        assert ApiKey.objects.filter(name="网站").count() == 1
    kept = " ".join(str(getattr(row, field.attname)) for field in OnceOnly._meta.concrete_fields)
    assert secret not in kept
    assert KEY not in kept


def test_after_a_new_site_key_the_work_is_still_not_done_twice(
    client: Client, tenant: Tenant, settings: Any
) -> None:
    headers = key_of(tenant)
    post(client, headers)
    before, settings.SECRET_KEY = settings.SECRET_KEY, "another key of the site"
    lost = post(client, headers)
    assert (lost.status_code, lost.json()["code"]) == (409, "idempotency_answer_lost")
    settings.SECRET_KEY_FALLBACKS = [before]
    assert post(client, headers).status_code == 201


def test_one_that_died_half_way_blocks_its_key_for_a_lease_alone(
    client: Client, tenant: Tenant
) -> None:
    headers = key_of(tenant)
    post(client, headers)
    with tenant_scope(tenant):
        # As it stands while the work is done, or after the worker was killed.
        Dataset.objects.get().delete()
        OnceOnly.objects.update(status=None, sealed="")
    blocked = post(client, headers)
    assert (blocked.status_code, blocked.json()["code"]) == (409, "idempotency_in_progress")
    with tenant_scope(tenant):
        OnceOnly.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert post(client, headers).status_code == 201
    assert post(client, headers)["Idempotent-Replayed"] == "true"


def test_one_that_was_only_slow_does_not_finish_after_another_took_over(
    client: Client, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = key_of(tenant)
    seal = idempotency._sealed

    def while_another_takes_over(response: Any, key: str, claim: OnceOnly) -> str:
        OnceOnly.objects.filter(pk=claim.pk).update(token=claim.token + 1)
        return seal(response, key, claim)

    monkeypatch.setattr(idempotency, "_sealed", while_another_takes_over)
    late = post(client, headers)
    assert (late.status_code, late.json()["code"]) == (409, "idempotency_in_progress")
    with tenant_scope(tenant):
        assert not Dataset.objects.exists()


def test_an_answer_is_kept_for_a_day(client: Client, tenant: Tenant) -> None:
    headers = key_of(tenant)
    post(client, headers, {"name": "客服", "slug": "a"})
    with tenant_scope(tenant):
        OnceOnly.objects.update(created_at=timezone.now() - timedelta(hours=25))
    assert post(client, headers, {"name": "客服", "slug": "b"}).status_code == 201
    with tenant_scope(tenant):
        assert OnceOnly.objects.count() == 1
        OnceOnly.objects.update(created_at=timezone.now() - timedelta(hours=25))
    assert forget_old_answers() == 1


def test_an_upload_is_told_apart_by_what_it_holds(client: Client, tenant: Tenant) -> None:
    headers = key_of(tenant) | {"Idempotency-Key": "upload-1"}
    with tenant_scope(tenant):
        dataset = Dataset.objects.create(name="客服", slug="support")

    def upload(answer: str) -> Any:
        line = f'{{"prompt": "在吗", "completion": "{answer}"}}\n'.encode()
        file = SimpleUploadedFile("客服.jsonl", line)
        address = f"/api/v1/datasets/{dataset.pk}/import/"
        return client.post(address, {"file": file}, headers=headers)

    first, again, other = upload("在的"), upload("在的"), upload("不在")
    assert (first.status_code, again.status_code, other.status_code) == (201, 201, 422)
    assert first.json() == again.json()
    with tenant_scope(tenant):
        assert Example.objects.count() == 1
        assert ImportRun.objects.count() == 1


# --- At once -------------------------------------------------------------------------------------


@pytest.fixture
def in_threads(
    transactional_db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Callable[[int], Any], int], list[Any]]:
    """Calls a function in many threads at once, each with a connection of its own.

    On SQLite they share a file, as processes do; tests otherwise live in memory.
    """

    def run(act: Callable[[int], Any], times: int) -> list[Any]:
        if connection.vendor == "sqlite":
            copy = tmp_path / "db.sqlite3"
            with sqlite3.connect(copy) as target:
                connection.connection.backup(target)
            of_threads = connection.settings_dict | {"NAME": str(copy)}
            monkeypatch.setitem(connections.databases, "default", of_threads)
        ready = threading.Barrier(times)

        def one(number: int) -> Any:
            ready.wait()
            try:
                return act(number)
            finally:
                connection.close()

        with ThreadPoolExecutor(times) as pool:
            return list(pool.map(one, range(times)))

    return run


def test_of_many_that_come_at_once_one_does_the_work(
    in_threads: Callable[..., list[Any]], tenant: Tenant
) -> None:
    headers = key_of(tenant)

    def send(_number: int) -> tuple[int, str, int]:
        answer = post(Client(), headers)
        with tenant_scope(tenant):
            made = Dataset.objects.count()
        return answer.status_code, answer.json().get("id", answer.json().get("code")), made

    answers = in_threads(send, 8)
    done = [answer for answer in answers if answer[0] == 201]
    assert done
    assert len({pk for _status, pk, _made in done}) == 1
    assert {made for _status, _pk, made in done} == {1}
    others = {(status, code) for status, code, _made in answers if status != 201}
    assert others <= {(409, "idempotency_in_progress")}
