"""The log says who, where and how long, joins what belongs together, and tells no secret."""

import asyncio
import json
import logging
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from django.http import HttpResponse, StreamingHttpResponse
from django.test import Client, RequestFactory

from accounts.services import create_api_key
from common import fetch
from config import logs, task_log
from config.request_log import log_requests
from tenancy.models import Tenant
from tenancy.scope import tenant_scope
from tests.factories import make_member

SECRET = "parley_Zk3bW0q9s8d7f6g5h4j3k2l1Zk3bW0q9"


@pytest.fixture
def lines() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """What is logged from here on, read back from the JSON that is written."""
    written: list[str] = []
    formatter = logs.formatter("json")

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            written.append(formatter.format(record))

    handler, root = Kept(), logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield lambda: [json.loads(line) for line in written]
    root.removeHandler(handler)
    root.setLevel(before)
    structlog.contextvars.clear_contextvars()


def requests_in(lines: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return [line for line in lines() if line["logger"] == "parley.request"]


def test_a_page_leaves_one_line_with_tenant_actor_route_and_duration(
    client: Client, tenant: Tenant, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    owner = make_member(tenant)
    client.force_login(owner)
    answer = client.get(f"/t/{tenant.slug}/datasets/?token=abcdefgh12345678")
    (line,) = requests_in(lines)
    assert line["route"] == "t/<slug:slug>/datasets/"
    assert (line["method"], line["status"], line["level"]) == ("GET", 200, "info")
    assert (line["tenant"], line["actor"]) == (str(tenant.pk), f"person:{owner.pk}")
    assert line["milliseconds"] > 0
    assert line["request_id"] == answer["X-Request-Id"]
    assert "abcdefgh12345678" not in json.dumps(lines())


def test_a_key_is_named_by_its_id_and_never_by_its_secret(
    client: Client, tenant: Tenant, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    with tenant_scope(tenant):
        key, secret = create_api_key(name="k", scopes=["view"], by=None)
    client.get("/api/v1/datasets/", headers={"Authorization": f"Bearer {secret}"})
    (line,) = requests_in(lines)
    assert line["actor"] == f"key:{key.pk}"
    assert secret not in json.dumps(lines())


def test_the_tenant_of_one_request_is_not_the_next_ones(
    client: Client, tenant: Tenant, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    client.force_login(make_member(tenant))
    client.get(f"/t/{tenant.slug}/datasets/")
    client.logout()
    client.get("/accounts/login/")
    first, second = requests_in(lines)
    assert "tenant" in first
    assert "tenant" not in second
    assert first["request_id"] != second["request_id"]


@pytest.mark.parametrize("given", ["a b", "short", "x" * 65, "重要なリクエスト", 'a"\n{evil}01'])
def test_an_id_that_is_not_well_formed_is_replaced(
    given: str, client: Client, settings: Any, db: None
) -> None:
    settings.TRUST_REQUEST_ID = True
    answer = client.get("/health/live", headers={"X-Request-Id": given})
    assert answer["X-Request-Id"] != given


def test_an_id_is_taken_from_a_proxy_only_where_one_is_trusted(
    client: Client, settings: Any, db: None
) -> None:
    given = {"X-Request-Id": "edge-0123456789"}
    assert client.get("/health/live", headers=given)["X-Request-Id"] != "edge-0123456789"
    settings.TRUST_REQUEST_ID = True
    assert client.get("/health/live", headers=given)["X-Request-Id"] == "edge-0123456789"


def test_the_line_is_written_by_asynchronous_servers_too(
    lines: Callable[[], list[dict[str, Any]]],
) -> None:
    async def view(_request: Any) -> HttpResponse:
        logging.getLogger("x").info("inside")
        return HttpResponse(status=201)

    answer = asyncio.run(log_requests(view)(RequestFactory().get("/")))
    inside, line = lines()
    assert inside["request_id"] == line["request_id"] == answer["X-Request-Id"]


def test_a_stream_is_told_when_its_last_piece_went(
    rf: RequestFactory, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    seen: list[Any] = []

    def pieces() -> Iterator[bytes]:
        for piece in (b"a", b"b"):
            seen.append(structlog.contextvars.get_contextvars().get("request_id"))
            yield piece

    answer = log_requests(lambda request: StreamingHttpResponse(pieces(), status=201))(rf.get("/"))
    assert requests_in(lines) == []
    assert b"".join(answer) == b"ab"
    (line,) = requests_in(lines)
    assert line["stream"] == "whole"
    # What the stream logs and asks of the engine while it runs goes by the same id.
    assert seen == [line["request_id"]] * 2


def test_an_asynchronous_stream_that_is_cut_off_says_so(
    rf: RequestFactory, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    closed: list[bool] = []

    async def pieces() -> Any:
        try:
            while True:
                yield b"a"
        finally:
            closed.append(True)

    async def view(_request: Any) -> StreamingHttpResponse:
        return StreamingHttpResponse(pieces(), status=201)

    async def visit() -> None:
        answer = await log_requests(view)(rf.get("/"))
        parts = answer.streaming_content
        assert await anext(parts) == b"a"
        await parts.aclose()

    asyncio.run(visit())
    assert closed == [True]
    assert requests_in(lines)[0]["stream"] == "cut"


def test_an_accident_is_an_error_with_its_traceback(
    lines: Callable[[], list[dict[str, Any]]],
) -> None:
    try:
        raise ValueError(f"the key {SECRET} is odd")
    except ValueError:
        logging.getLogger("x").exception("went wrong")
    (line,) = lines()
    assert "ValueError" in line["exception"]
    assert SECRET not in json.dumps(line)


@pytest.mark.parametrize(
    "said",
    [
        f"Authorization: Bearer {SECRET}",
        f"key {SECRET} refused",
        f"postgres://parley:{SECRET}@db/parley is away",
        f"GET /accounts/password/reset/?token={SECRET} answered",
        f"password={SECRET}",
        f'{{"api_key": "{SECRET}"}}',
        "whsec_" + SECRET,
        f"Not Found: /join/{SECRET.removeprefix('parley_')}/",
    ],
)
def test_a_secret_in_a_sentence_is_blacked_out(
    said: str, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    logging.getLogger("x").warning("%s", said)
    assert SECRET not in json.dumps(lines())


@pytest.mark.parametrize(
    "name",
    ["authorization", "Cookie", "password", "engine_key_secret", "api_key", "csrf_token", "prompt",
     "messages", "content", "completion", "text"],
)  # fmt: skip
def test_a_field_that_holds_secrets_or_words_is_blacked_out(
    name: str, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    logging.getLogger("x").info("said", extra={"facts": {name: "您好 private words"}})
    structlog.get_logger("y").info("said", **{name: "您好 private words"})
    assert "private words" not in json.dumps(lines())
    assert len(lines()) == 2


def test_an_object_is_written_down_without_secrets_too(
    lines: Callable[[], list[dict[str, Any]]],
) -> None:
    request = RequestFactory().get(f"/x/?token={SECRET}")
    logging.getLogger("x").info("said", extra={"request": request})
    assert SECRET not in json.dumps(lines())


def test_an_id_in_a_path_stays_readable() -> None:
    path = "/t/acme/jobs/0b54d3d8-3c3a-4a6c-9c43-5f0e3f2b9f6a/ gone"
    assert logs.without_secrets(path) == path


def test_figures_about_words_are_no_words(lines: Callable[[], list[dict[str, Any]]]) -> None:
    logging.getLogger("x").info("said", extra={"prompt_tokens": 7, "language": "中文"})
    (line,) = lines()
    assert (line["prompt_tokens"], line["language"]) == (7, "中文")


def test_plain_lines_are_for_people() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "started %s", ("well",), None)
    assert "started well" in logs.formatter("plain").format(record)
    logs.formatter("json")


# --- Through Celery and to the engine -----------------------------------------------------------


def test_the_id_goes_with_a_message_and_into_the_tasks_lines(
    lines: Callable[[], list[dict[str, Any]]],
) -> None:
    headers: dict[str, Any] = {}
    with structlog.contextvars.bound_contextvars(request_id="edge-0123456789"):
        task_log.send_request_id(headers=headers)
    request = SimpleNamespace(headers=headers, called_directly=False, is_eager=False)
    task = SimpleNamespace(name="gpt_core.tasks.reap", request=request)
    task_log.bind_request_id(task_id="t-1", task=task)
    logging.getLogger("x").info("inside")
    task_log.tell(task_id="t-1", state="SUCCESS", kwargs={"tenant_id": "abc"})
    logging.getLogger("x").info("afterwards")
    inside, line, afterwards = lines()
    assert inside["request_id"] == line["request_id"] == "edge-0123456789"
    assert (line["task"], line["outcome"], line["tenant"]) == (task.name, "success", "abc")
    assert "request_id" not in afterwards


def test_a_task_that_nobody_asked_for_goes_by_its_own_id(
    lines: Callable[[], list[dict[str, Any]]],
) -> None:
    request = SimpleNamespace(headers=None, called_directly=False, is_eager=False)
    task_log.bind_request_id(task_id="0-1-2", task=SimpleNamespace(name="n", request=request))
    logging.getLogger("x").info("inside")
    task_log.tell(task_id="0-1-2", state="FAILURE")
    assert [line["request_id"] for line in lines()] == ["012", "012"]


def test_a_real_message_carries_the_id(settings: Any) -> None:
    from celery.signals import before_task_publish

    from config.celery import app

    sent: list[dict[str, Any]] = []

    def look(headers: Any = None, **_rest: Any) -> None:
        sent.append(headers)

    before_task_publish.connect(look)
    try:
        with structlog.contextvars.bound_contextvars(request_id="edge-0123456789"):
            with app.connection_for_write(url="memory://") as connection:
                app.send_task("gpt_core.tasks.reap", connection=connection, retry=False)
    finally:
        before_task_publish.disconnect(look)
    assert sent[0][task_log.HEADER] == "edge-0123456789"


def test_the_engine_is_told_the_id() -> None:
    asked = fetch.Outgoing("GET", "http://127.0.0.1:8100/v1/models", headers={"A": "b"})
    with structlog.contextvars.bound_contextvars(request_id="edge-0123456789"):
        assert fetch._headers(asked) == {"A": "b", "X-Request-Id": "edge-0123456789"}
    assert fetch._headers(asked) == {"A": "b"}


def test_a_view_that_answers_an_error_is_logged_as_one(
    rf: RequestFactory, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    log_requests(lambda request: HttpResponse(status=500))(rf.get("/"))
    assert requests_in(lines)[0]["level"] == "error"
