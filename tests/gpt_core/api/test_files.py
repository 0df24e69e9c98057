"""/v1/files: what is refused, who may, pages, and nothing of another company's."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from labeling.models import StoredFile
from tenancy.models import Tenant
from tenancy.scope import tenant_scope

from .conftest import Caller, MakeCaller, said

ROW = '{"prompt": "在吗", "completion": "在的"}\n'.encode()


def upload(caller: Caller, data: bytes = ROW, name: str = "客服.jsonl", **fields: Any) -> Any:
    file = SimpleUploadedFile(name, data)
    return caller.form("files", {"file": file, "purpose": "fine-tune"} | fields)


def test_a_file_is_taken_listed_fetched_and_deleted(caller: Caller) -> None:
    status, made = upload(caller)
    assert (status, made["object"], made["bytes"]) == (200, "file", len(ROW))
    assert made["filename"] == "客服.jsonl"
    assert caller.get(f"files/{made['id']}") == (200, made)
    assert caller.get("files")[1]["data"] == [made]
    content = caller.client.get(f"/v1/files/{made['id']}/content", headers={"Accept": "x/y"})
    assert b"".join(content) == ROW
    assert content["X-Content-Type-Options"] == "nosniff"
    assert caller.delete(f"files/{made['id']}") == (
        200,
        {"id": made["id"], "object": "file", "deleted": True},
    )
    for answer in (caller.get(f"files/{made['id']}"), caller.delete(f"files/{made['id']}")):
        assert (answer[0], said(answer[1])) == (404, ("not_found", "file_id"))


def test_pages_follow_one_another_both_ways(caller: Caller) -> None:
    made = [upload(caller, name=f"{number}.jsonl")[1]["id"] for number in range(5)]
    for order, expected in (("desc", made[::-1]), ("asc", made)):
        seen: list[str] = []
        after: dict[str, str] = {}
        while True:
            page = caller.get("files", limit=2, order=order, **after)[1]
            seen += [file["id"] for file in page["data"]]
            if not page["has_more"]:
                break
            after = {"after": page["last_id"]}
        assert seen == expected


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "x"}, "limit"),
        ({"limit": "9" * 30}, "limit"),
        ({"order": "up"}, "order"),
        ({"after": "file-1"}, "after"),
        ({"after": "file-" + "0" * 32}, "after"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_question_that_means_nothing_is_refused_by_name(
    query: dict[str, str], param: str, caller: Caller
) -> None:
    status, document = caller.get("files", **query)
    assert status in (400, 404)
    assert said(document)[1] == param


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"purpose": "batch"}, "invalid_value", "purpose"),
        ({"purpose": "x" * 10_000}, "invalid_value", "purpose"),
        ({"colour": "red"}, "unknown_parameter", "colour"),
        ({"file": "a text"}, "invalid_value", "file"),
        ({"expires_after[anchor]": "now"}, "invalid_value", "expires_after.anchor"),
        (
            {"expires_after[anchor]": "created_at", "expires_after[seconds]": "1"},
            "invalid_value",
            "expires_after.seconds",
        ),
    ],
)
def test_a_field_that_is_wrong_is_refused_by_name(
    fields: dict[str, Any], code: str, param: str, caller: Caller
) -> None:
    status, document = upload(caller, **fields)
    assert (status, said(document)) == (400, (code, param))


def test_a_file_expires_when_it_was_asked_to(caller: Caller, tenant: Tenant) -> None:
    status, made = upload(
        caller, **{"expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"}
    )
    assert status == 200
    assert made["expires_at"] - made["created_at"] in (3600, 3599, 3601)
    with tenant_scope(tenant):
        StoredFile.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert caller.get(f"files/{made['id']}")[0] == 404


def test_a_file_over_the_limit_is_refused(caller: Caller, settings: Any, home: Path) -> None:
    settings.FILE_MOST_BYTES = 1_000
    status, document = upload(caller, b"x" * 1_001)
    assert (status, said(document)) == (413, ("file_too_large", "file"))
    status, document = upload(caller, b"")
    assert (status, said(document)[0]) == (400, "file_empty")
    assert not [path for path in home.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"--x\r\n"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name="),
        ("multipart/form-data; boundary=" + "x" * 5_000, b"--x--"),
        ("multipart/form-data; boundary=x", b"\xff\xfe\x00"),
        ("multipart/form-data; boundary=x", b""),
        ("application/json", b"{}"),
        ("text/plain", b"hello"),
    ],
)
def test_a_broken_form_is_an_error_of_the_callers(
    content_type: str, body: bytes, caller: Caller
) -> None:
    response = caller.client.post("/v1/files", body, content_type=content_type)
    assert 400 <= response.status_code < 500
    said(json.loads(response.content))


@pytest.mark.parametrize(
    ("scopes", "may"),
    [
        (["view"], {"list"}),
        (["annotate"], {"create", "delete"}),
        (["generate", "train", "promote", "manage"], set()),
    ],
)
def test_a_key_does_what_its_scopes_say(
    scopes: list[str], may: set[str], call: MakeCaller, home: Path
) -> None:
    file = upload(call())[1]["id"]
    limited = call(scopes)
    answers = {
        "list": limited.get("files"),
        "create": upload(limited),
        "delete": limited.delete(f"files/{file}"),
    }
    for action, (status, document) in answers.items():
        assert status == (200 if action in may else 403), action
        if status == 403:
            assert said(document)[0] == "missing_scope"


def test_another_companys_file_is_unknown(
    call: MakeCaller, other_tenant: Tenant, home: Path
) -> None:
    file = upload(call())[1]["id"]
    stranger = call(tenant=other_tenant)
    unknown = "file-" + "0" * 32
    for path in ("files/{}", "files/{}/content"):
        theirs, nobodys = (stranger.get(path.format(name)) for name in (file, unknown))
        assert theirs[0] == nobodys[0] == 404
        assert str(theirs[1]).replace(file, "") == str(nobodys[1]).replace(unknown, "")
    assert stranger.delete(f"files/{file}")[0] == 404
    assert stranger.get("files")[1]["data"] == []


def test_a_request_sent_again_makes_one_file(caller: Caller, tenant: Tenant) -> None:
    first = upload(caller, **{})
    header = {"HTTP_IDEMPOTENCY_KEY": "again"}
    answers = [
        caller.form(
            "files", {"file": SimpleUploadedFile("a", ROW), "purpose": "fine-tune"}, **header
        )
        for _ in range(2)
    ]
    assert answers[0] == answers[1] != first
    with tenant_scope(tenant):
        assert StoredFile.objects.count() == 2


@pytest.mark.parametrize(
    "path", ["", "nothing", "files/", "models/../files", "audio/speech", "files/a/b/c"]
)
@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete"])
def test_what_is_not_there_says_so_in_the_same_shape(path: str, method: str, db: None) -> None:
    response = getattr(Caller(None).client, method)(f"/v1/{path}")
    assert response.status_code in (401, 404)
    said(json.loads(response.content))


def test_a_method_that_is_not_there_says_so(caller: Caller) -> None:
    response = caller.client.put("/v1/files", "{}", "application/json")
    assert response.status_code == 405
    assert said(json.loads(response.content))[0] == "method_not_allowed"


def test_an_accident_keeps_the_shape(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    def accident(*_values: Any) -> None:
        raise RuntimeError("a secret of the house")

    monkeypatch.setattr("gpt_core.api.openai.files.as_object", accident)
    status, document = upload(caller)
    assert (status, said(document)[0]) == (500, "server_error")
    assert "secret" not in str(document)
    assert said(caller.get("files?a=%00")[1])[0] == "bad_request"


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer x", "Bearer 密", "Basic eDp4"])
def test_without_a_good_key_nothing_is_said(header: str | None, db: None) -> None:
    stranger = Caller(None)
    if header is not None:
        stranger.client.defaults["HTTP_AUTHORIZATION"] = header
    for answer in (stranger.get("files"), stranger.post("chat/completions", {"model": "x"})):
        assert (answer[0], said(answer[1])) == (401, ("invalid_api_key", None))


def test_a_session_is_no_key(tenant: Tenant) -> None:
    from tests.factories import make_member

    person = Caller(None)
    person.client.force_login(make_member(tenant))
    person.client.defaults["HTTP_X_TENANT"] = tenant.slug
    assert person.get("files")[0] == 401
