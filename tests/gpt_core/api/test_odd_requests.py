"""Whatever is sent below /v1/: no accident, every refusal in OpenAI's shape, nothing lost in silence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpt_core import client
from gpt_core.engine.serving import protocol
from tenancy.models import Tenant
from tests.gpt_core.rows import make_base

from .conftest import Caller, said
from .test_generation import ANSWER, ASK, BASE
from .test_jobs import file_id, keep, questions

odd = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

TEXTS = st.text(max_size=30) | st.sampled_from(
    ["", " ", "0", "-1", "1e9", "９", "²", "null", "true", "在吗", "😀", "a\x00b", "' OR 1=1 --", "{}",
     "../../etc", "%00", "file-", "ftjob-" + "0" * 32, "ft:a:b:c:0123456789", "x" * 5_000]
)  # fmt: skip
NUMBERS = st.integers() | st.sampled_from([0, -1, 2**31, 2**63, 10**300]) | st.floats()
SCALARS = st.booleans() | NUMBERS | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


def not_(*kinds: type) -> st.SearchStrategy[Any]:
    """A value of any type but these; null is the same as absent everywhere."""
    return VALUES.filter(lambda value: type(value) not in kinds)


JOB_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "model": not_(str) | TEXTS,
    "training_file": not_(str) | TEXTS,
    "validation_file": not_(str) | TEXTS,
    "suffix": not_(str) | st.text(min_size=65, max_size=70),
    "seed": not_(int) | st.integers(max_value=-1) | st.integers(min_value=2**31),
    "method": not_(dict) | st.dictionaries(TEXTS.filter(lambda t: t != "type"), VALUES, min_size=1),
    "hyperparameters": not_(dict) | st.dictionaries(TEXTS, VALUES, min_size=1),
    "metadata": not_(dict) | st.dictionaries(TEXTS, not_(str), min_size=1),
    "integrations": VALUES.filter(lambda value: value != []),
}
CHAT_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "model": not_(str) | TEXTS,
    "messages": VALUES,
    "stream": not_(bool),
    "stream_options": VALUES,
    "temperature": not_(int, float) | st.sampled_from([-1, 101]),
    "top_p": not_(int, float) | st.sampled_from([0, 1.1]),
    "n": not_(int) | st.sampled_from([0, -1, 10**6]),
    "stop": not_(str, list) | st.lists(not_(str), min_size=1),
    "seed": not_(int) | st.just(2**63),
    "user": not_(str),
    "max_tokens": not_(int) | st.sampled_from([0, -1]),
    "max_completion_tokens": not_(int) | st.sampled_from([0, -1]),
    "frequency_penalty": not_(int, float) | st.just(3),
    "presence_penalty": not_(int, float) | st.just(-3),
    "response_format": VALUES,
    "logprobs": not_(bool),
    "top_logprobs": not_(int) | st.just(1_000),
    "echo": VALUES.filter(lambda value: value is not False),
    "best_of": not_(int) | st.just(2),
    "store": VALUES.filter(lambda value: value is not False),
    "tools": VALUES.filter(lambda value: value != []),
    "tool_choice": VALUES,
    "logit_bias": VALUES.filter(lambda value: value != {}),
}


@pytest.fixture(autouse=True)
def _ready(db: None, home: Path, rings: list[int], settings: Any) -> None:
    settings.GPT_ENGINES = {BASE: "http://127.0.0.1:1"}
    settings.QUOTAS = settings.QUOTAS | {"requests_per_minute": 10**9, "tokens_per_minute": 10**12}
    make_base(name=BASE)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine's own reader of requests, with nothing behind it."""

    async def whole(model: Any, body: Any) -> Any:
        try:
            if "messages" in body:
                protocol.read_chat(dict(body), max_rows=8)
            else:
                protocol.read_completion(dict(body), max_rows=8, vocabulary=100)
        except protocol.ProtocolError as error:
            raise client.EngineRefusedError(error.code, str(error), param=error.param) from error
        return dict(ANSWER)

    async def pieces(model: Any, body: Any) -> Any:
        yield await whole(model, body)

    monkeypatch.setattr(client, "arelay", whole)
    monkeypatch.setattr(client, "arelay_stream", pieces)


@pytest.fixture
def training(tenant: Tenant) -> str:
    return file_id(keep(tenant, questions(12)))


def dumped(body: Any) -> str:
    return json.dumps(body, ensure_ascii=True)


def refused(answer: tuple[int, Any], *params: str) -> None:
    """Refused, for one of these fields; a body that cannot be read at all has none."""
    status, document = answer
    assert 400 <= status < 500, document
    code, param = said(document)
    if code.startswith("json_") or code == "invalid_body":
        return
    root = (param or "").replace("[", ".").partition(".")[0]
    assert root in {name.replace("[", ".").partition(".")[0] for name in params}, document


def unharmed(answer: tuple[int, Any]) -> None:
    """Done, or refused in the right shape."""
    status, document = answer
    assert status < 500, document
    if status >= 400:
        code, _param = said(document)
        assert code
        assert document["error"]["type"]


@odd
@given(data=st.data())
def test_a_wrong_field_of_a_job_is_named(caller: Caller, training: str, data: Any) -> None:
    name = data.draw(st.sampled_from(sorted(JOB_FIELDS)))
    value = data.draw(JOB_FIELDS[name])
    body = {"model": BASE, "training_file": training, name: value}
    for path in ("fine_tuning/jobs", "fine_tuning/jobs/estimate"):
        refused(caller.post(path, dumped(body)), name)


@odd
@given(data=st.data(), path=st.sampled_from(["chat/completions", "completions"]))
def test_a_wrong_field_of_a_request_is_named(
    caller: Caller, engine: None, path: str, data: Any
) -> None:
    name = data.draw(st.sampled_from(sorted(CHAT_FIELDS)))
    value = data.draw(CHAT_FIELDS[name])
    subject = {"messages": ASK["messages"]} if "chat" in path else {"prompt": "在吗"}
    body = {"model": BASE, **subject, name: value}
    if path == "completions" and name == "logprobs" and type(value) is int:
        return  # a number there
    refused(caller.post(path, dumped(body)), name)


@odd
@given(
    path=st.sampled_from(
        ["fine_tuning/jobs", "fine_tuning/jobs/estimate", "chat/completions", "completions"]
    ),
    name=TEXTS.filter(lambda name: name not in JOB_FIELDS and name not in CHAT_FIELDS),
    value=VALUES,
)
def test_a_field_that_nobody_knows_is_named(
    caller: Caller, engine: None, training: str, path: str, name: str, value: Any
) -> None:
    body = {"model": BASE, "training_file": training} if "jobs" in path else dict(ASK)
    if path == "completions":
        body = {"model": BASE, "prompt": "在吗"}
    status, document = answer = caller.post(path, dumped({name: value, **body}))
    assert 400 <= status < 500, answer
    code, param = said(document)
    assert code.startswith("json_") or param == (name[:200] or None)


@odd
@given(
    path=st.sampled_from(
        ["fine_tuning/jobs", "fine_tuning/jobs/estimate", "chat/completions", "completions",
         f"fine_tuning/jobs/ftjob-{'0' * 32}/cancel", f"fine_tuning/jobs/ftjob-{'0' * 32}/pause"]
    ),
    body=VALUES.map(dumped) | st.binary(max_size=50) | st.just("[" * 5_000),
)  # fmt: skip
def test_a_body_that_is_none_is_refused(
    caller: Caller, engine: None, path: str, body: str | bytes
) -> None:
    status, document = caller.post(path, body)
    assert 400 <= status < 500
    said(document)


LISTS = ["files", "fine_tuning/jobs", "fine_tuning/jobs/{job}/events", "models",
         "fine_tuning/jobs/{job}/checkpoints"]  # fmt: skip
PARAMETERS = st.sampled_from(["limit", "after", "order", "purpose", "before", "metadata"]) | TEXTS
FILTERS = TEXTS.map(lambda key: f"metadata[{key}]")
QUERY = st.dictionaries(PARAMETERS | FILTERS, TEXTS | NUMBERS.map(str), max_size=4)


@odd
@given(path=st.sampled_from(LISTS), query=QUERY)
def test_an_odd_page_is_refused_or_shown(
    caller: Caller, training: str, path: str, query: dict[str, Any]
) -> None:
    unharmed(caller.get(path.format(job=_job(caller, training)), **query))


@odd
@given(
    name=st.sampled_from(["limit", "after", "order", "purpose"]),
    value=st.sampled_from(["0", "-1", "1.5", "x", "٣", "1_0", " 1", "9" * 30, "", "ASC"]),
)
def test_a_paging_value_that_is_none_is_named(
    caller: Caller, training: str, name: str, value: str
) -> None:
    for path in LISTS:
        if name == "purpose" and path == "files":
            continue  # a filter, that finds nothing
        status, document = caller.get(path.format(job=_job(caller, training)), **{name: value})
        assert (status, said(document)[1]) in ((400, name), (404, name)), path


@odd
@given(name=st.sampled_from(["limit", "after", "metadata[a]", "verbose", "参数"]), twice=TEXTS)
def test_a_parameter_that_is_not_read_or_given_twice_is_named(
    caller: Caller, training: str, name: str, twice: str
) -> None:
    job = _job(caller, training)
    if "\x00" not in twice:
        status, document = caller.get("fine_tuning/jobs", **{name: [twice, twice]})
        assert (status, said(document)[1]) == (400, name)
    for path in (f"fine_tuning/jobs/{job}", f"files/{training}", f"files/{training}/content",
                 f"models/{BASE}"):  # fmt: skip
        status, document = caller.get(path, **{name: "1"})
        assert (status, said(document)[1]) == (400, name), path


@odd
@given(
    path=st.sampled_from(
        ["files/{}", "files/{}/content", "fine_tuning/jobs/{}", "fine_tuning/jobs/{}/events",
         "fine_tuning/jobs/{}/checkpoints", "models/{}"]
    ),
    name=TEXTS,
)  # fmt: skip
def test_an_odd_id_is_unknown(caller: Caller, path: str, name: str) -> None:
    from urllib.parse import quote

    address = path.format(quote(name, safe=""))
    unharmed(caller.get(address))
    if path in ("files/{}", "models/{}"):
        unharmed(caller.delete(address))


FORM_VALUES = TEXTS | st.just(SimpleUploadedFile("客服.jsonl", b"{}"))


@odd
@given(
    fields=st.dictionaries(
        st.sampled_from(
            ["file", "purpose", "expires_after[anchor]", "expires_after[seconds]", "extra", "用途"]
        ),
        FORM_VALUES,
        max_size=4,
    ),
    filename=TEXTS,
)
def test_an_odd_upload_is_refused_or_kept(
    caller: Caller, fields: dict[str, Any], filename: str
) -> None:
    unharmed(caller.form("files", dict(fields)))
    whole = {"file": SimpleUploadedFile("x", b"{}"), "purpose": "fine-tune"}
    whole["file"]._name = filename
    unharmed(caller.form("files", whole | {k: v for k, v in fields.items() if k not in whole}))


_JOBS: dict[str, str] = {}


def _job(caller: Caller, training: str) -> str:
    """One job of this file, made once."""
    if training not in _JOBS:
        status, job = caller.post("fine_tuning/jobs", {"model": BASE, "training_file": training})
        assert status == 200, job
        _JOBS[training] = job["id"]
    return _JOBS[training]
