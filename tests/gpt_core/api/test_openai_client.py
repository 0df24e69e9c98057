"""The official Python client, unmodified, against a running platform: every call that it has here."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from tests.labeling.conftest import questions
from tests.live import Platform
from tests.live.transcript import Transcript

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

HELLO: Any = [{"role": "user", "content": "在吗？"}]
PATIENCE = 400.0


@pytest.fixture
def client(platform: Platform) -> OpenAI:
    return OpenAI(base_url=platform.base_url, api_key=platform.keys["acme"], max_retries=0)


def until(look: Callable[[], Any], wanted: Callable[[Any], bool]) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not wanted(found := look()):
        assert time.monotonic() < deadline, f"not within {PATIENCE} s: {found}"
        time.sleep(0.5)
    return found


def test_every_call_of_the_python_client(
    client: OpenAI,
    platform: Platform,
    record_property: Callable[[str, object], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    transcript = Transcript(f"OpenAI client {openai.__version__}, Python")
    try:
        files = _files(client, transcript)
        job = _job(client, transcript, platform, files)
        _models(client, transcript, platform, job)
        _chat(client, transcript, platform, job.fine_tuned_model)
        _completions(client, transcript, platform)
        _refusals(client, transcript, platform, job)
        _deletions(client, transcript, job, files)
    finally:
        record_property(f"calls of {transcript.client}", transcript.figures)
        with capsys.disabled():
            print(f"\n{transcript.show()}")  # noqa: T201
    assert transcript.wrong == []


def _files(client: OpenAI, transcript: Transcript) -> tuple[str, str]:
    call = transcript.call
    rows, more = questions(60).encode(), questions(12, start=200).encode()
    training = call(
        "files.create",
        lambda: client.files.create(file=("客服.jsonl", rows), purpose="fine-tune"),
        lambda file: (
            (file.bytes, file.filename, file.status) == (len(rows), "客服.jsonl", "processed")
        ),
    )
    validation = call(
        "files.create with expires_after",
        lambda: client.files.create(
            file=("验证.jsonl", more),
            purpose="fine-tune",
            expires_after={"anchor": "created_at", "seconds": 86_400},
        ),
        lambda file: file.expires_at - file.created_at in (86_399, 86_400, 86_401),
    )
    call(
        "files.retrieve",
        lambda: client.files.retrieve(training.id),
        lambda file: file == training,
    )
    call(
        "files.wait_for_processing",
        lambda: client.files.wait_for_processing(training.id, poll_interval=0.1),
        lambda file: file.id == training.id,
    )
    call(
        "files.list, page by page",
        lambda: [file.id for file in client.files.list(limit=1, purpose="fine-tune", order="asc")],
        # Other tests of this tenant may have left theirs.
        lambda found: (
            [one for one in found if one in (training.id, validation.id)]
            == [training.id, validation.id]
        ),
    )
    call(
        "files.content", lambda: client.files.content(training.id).read(), lambda read: read == rows
    )
    return training.id, validation.id


def _job(client: OpenAI, transcript: Transcript, platform: Platform, files: tuple[str, str]) -> Any:
    call, jobs = transcript.call, client.fine_tuning.jobs
    training, validation = files
    call(
        "post /fine_tuning/jobs/estimate",
        lambda: client.post(
            "/fine_tuning/jobs/estimate",
            body={"model": platform.base, "training_file": training, "validation_file": validation},
            cast_to=object,
        ),
        lambda told: told["allowed_to_proceed"] and told["estimated_train_token_count"] > 1_000,
    )
    job = call(
        "fine_tuning.jobs.create",
        lambda: jobs.create(
            model=platform.base,
            training_file=training,
            validation_file=validation,
            suffix="support",
            seed=7,
            metadata={"team": "支持"},
            method={
                "type": "supervised",
                "supervised": {
                    "hyperparameters": {
                        "n_epochs": 3,
                        "batch_size": 4,
                        "learning_rate_multiplier": "auto",
                    }
                },
            },
        ),
        lambda job: job.status == "validating_files" and job.id.startswith("ftjob-"),
    )
    other = call(
        "fine_tuning.jobs.create with hyperparameters",
        lambda: jobs.create(
            model=platform.base, training_file=training, hyperparameters={"n_epochs": "auto"}
        ),
        lambda job: job.hyperparameters.n_epochs == "auto" and job.seed >= 0,
    )
    until(lambda: jobs.retrieve(other.id), lambda job: job.status in ("queued", "running"))
    paused = call(
        "fine_tuning.jobs.pause",
        lambda: jobs.pause(other.id),
        lambda job: job.status in ("paused", "running"),
    )
    until(lambda: jobs.retrieve(paused.id), lambda job: job.status == "paused")
    call(
        "fine_tuning.jobs.resume", lambda: jobs.resume(other.id), lambda job: job.status == "queued"
    )
    call(
        "fine_tuning.jobs.cancel",
        lambda: jobs.cancel(other.id),
        lambda job: job.status in ("cancelled", "running"),
    )
    call(
        "fine_tuning.jobs.list, page by page",
        lambda: [job.id for job in jobs.list(limit=1)],
        lambda found: [one for one in found if one in (other.id, job.id)] == [other.id, job.id],
    )
    call(
        "fine_tuning.jobs.list by metadata",
        lambda: [job.id for job in jobs.list(metadata={"team": "支持"})],
        lambda found: found == [job.id],
    )
    done = until(lambda: jobs.retrieve(job.id), lambda job: job.status in ("succeeded", "failed"))
    name = rf"ft:{re.escape(platform.base)}:acme:support:[0-9a-f]{{10}}"
    call(
        "fine_tuning.jobs.retrieve",
        lambda: jobs.retrieve(job.id),
        lambda job: (
            job.error is None
            and re.fullmatch(name, job.fine_tuned_model)
            and job.hyperparameters.n_epochs == 3
            and job.trained_tokens > 0
            and job.finished_at >= job.created_at
        ),
    )
    _story(client, transcript, done)
    return done


def _story(client: OpenAI, transcript: Transcript, job: Any) -> None:
    call, jobs = transcript.call, client.fine_tuning.jobs
    events = call(
        "fine_tuning.jobs.list_events, page by page",
        lambda: list(jobs.list_events(job.id, limit=7)),
        lambda events: (
            len({event.id for event in events}) == len(events) > 7
            and {event.type for event in events} == {"message", "metrics"}
        ),
    )
    assert "Files validated, moving job to queued state" in [event.message for event in events]
    kept = call(
        "fine_tuning.jobs.checkpoints.list",
        lambda: list(jobs.checkpoints.list(job.id)),
        lambda kept: (
            kept
            and all(one.fine_tuning_job_id == job.id for one in kept)
            and all(one.metrics.full_valid_loss > 0 for one in kept)
        ),
    )
    call(
        "chat.completions.create with a checkpoint",
        lambda: client.chat.completions.create(
            model=kept[-1].fine_tuned_model_checkpoint, messages=HELLO, max_tokens=4
        ),
        lambda answer: answer.model == kept[-1].fine_tuned_model_checkpoint,
    )
    call(
        "files.content of the results",
        lambda: client.files.content(job.result_files[0]).text,
        lambda text: text.startswith("step,train_loss,") and text.count("\n") > 3,
    )


def _models(client: OpenAI, transcript: Transcript, platform: Platform, job: Any) -> None:
    transcript.call(
        "models.list",
        lambda: [model.id for model in client.models.list()],
        lambda names: {platform.base, job.fine_tuned_model} <= set(names),
    )
    transcript.call(
        "models.retrieve a base",
        lambda: client.models.retrieve(platform.base),
        lambda model: model.owned_by == "parley",
    )
    transcript.call(
        "models.retrieve a fine-tuned model",
        lambda: client.models.retrieve(job.fine_tuned_model),
        lambda model: (model.id, model.owned_by) == (job.fine_tuned_model, "acme"),
    )


class Reply(BaseModel):
    """A schema as the client makes it of a class."""

    yes: bool


def _chat(client: OpenAI, transcript: Transcript, platform: Platform, model: str) -> None:
    call, create = transcript.call, client.chat.completions.create
    asked: Any = {"model": model, "messages": HELLO, "max_tokens": 12, "temperature": 0}
    whole = call(
        "chat.completions.create",
        lambda: create(**asked, user="李", top_p=1.0),
        lambda answer: (
            (answer.model, answer.object) == (model, "chat.completion")
            and answer.usage.total_tokens
            == answer.usage.prompt_tokens + answer.usage.completion_tokens
        ),
    )
    pieces = call(
        "chat.completions.create, streamed",
        lambda: list(create(**asked, stream=True, stream_options={"include_usage": True})),
        lambda pieces: (
            "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)
            == whole.choices[0].message.content
        ),
    )
    assert pieces[-1].usage == whole.usage
    call(
        "chat.completions.create, streamed without figures",
        lambda: list(create(**asked, stream=True)),
        lambda pieces: all(piece.usage is None for piece in pieces),
    )
    call(
        "chat.completions.create with n",
        lambda: create(**asked | {"temperature": 1.0}, n=3, seed=5),
        lambda answer: [choice.index for choice in answer.choices] == [0, 1, 2],
    )
    call(
        "chat.completions.create with seed",
        lambda: [create(**asked | {"temperature": 1.0}, seed=11) for _ in range(2)],
        lambda two: two[0].choices[0].message == two[1].choices[0].message,
    )
    free = create(**asked | {"max_tokens": 24}).choices[0].message.content or ""
    stop = next((sign for sign in free[2:] if sign.isprintable() and sign != "�"), "。")
    call(
        "chat.completions.create with stop",
        lambda: create(**asked | {"max_tokens": 24}, stop=[stop, "###"]),
        lambda answer: stop not in answer.choices[0].message.content,
    )
    call(
        "chat.completions.create with logprobs",
        lambda: create(**asked, logprobs=True, top_logprobs=2),
        lambda answer: all(
            token.logprob <= 0 and len(token.top_logprobs) == 2
            for token in answer.choices[0].logprobs.content
        ),
    )
    call(
        "chat.completions.create with penalties",
        lambda: create(**asked, presence_penalty=1.0, frequency_penalty=1.0),
    )
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"],
              "additionalProperties": False}  # fmt: skip
    call(
        "chat.completions.create with response_format",
        lambda: create(
            **asked | {"max_tokens": 60},
            response_format={
                "type": "json_schema",
                "json_schema": {"name": "answer", "strict": True, "schema": schema},
            },
        ),
        lambda answer: set(json.loads(answer.choices[0].message.content)) == {"ok"},
    )
    call(
        "chat.completions.parse",
        lambda: client.chat.completions.parse(**{**asked, "max_tokens": 60}, response_format=Reply),
        lambda answer: isinstance(answer.choices[0].message.parsed, Reply),
    )

    def helper() -> Any:
        with client.chat.completions.stream(**asked) as stream:
            for _event in stream:
                pass
            # Not get_final_completion(): that takes an answer at its limit for an error.
            return stream.current_completion_snapshot

    call(
        "chat.completions.stream",
        helper,
        lambda answer: answer.choices[0].message.content == whole.choices[0].message.content,
    )
    call(
        "chat.completions.with_raw_response.create",
        lambda: client.chat.completions.with_raw_response.create(**asked),
        lambda raw: raw.request_id and raw.headers["x-ratelimit-remaining-tokens"],
    )

    async def many() -> list[Any]:
        async with AsyncOpenAI(
            base_url=platform.base_url, api_key=platform.keys["acme"], max_retries=0
        ) as client:
            return await asyncio.gather(
                *(client.chat.completions.create(**asked) for _ in range(6))
            )

    call(
        "AsyncOpenAI: six answers at once",
        lambda: asyncio.run(many()),
        lambda answers: (
            {answer.choices[0].message.content for answer in answers}
            == {whole.choices[0].message.content}
        ),
    )


def _completions(client: OpenAI, transcript: Transcript, platform: Platform) -> None:
    asked: Any = {"model": platform.base, "prompt": "We open at", "max_tokens": 6, "temperature": 0}
    create = client.completions.create
    whole = transcript.call(
        "completions.create",
        lambda: create(**asked, logprobs=2),
        lambda answer: len(answer.choices[0].logprobs.tokens) == answer.usage.completion_tokens,
    )
    transcript.call(
        "completions.create, streamed",
        lambda: list(create(**asked, stream=True)),
        lambda pieces: "".join(piece.choices[0].text for piece in pieces) == whole.choices[0].text,
    )


def _refusals(client: OpenAI, transcript: Transcript, platform: Platform, job: Any) -> None:
    refusal, create = transcript.refusal, client.chat.completions.create
    asked: Any = {"model": platform.base, "messages": HELLO}

    def holding(key: str) -> OpenAI:
        return client.with_options(api_key=key)

    refusal(
        "a wrong key",
        lambda: holding("sk-wrong").models.list(),
        openai.AuthenticationError,
        "invalid_api_key",
    )
    refusal(
        "a key without the scope",
        lambda: holding(platform.keys["looks"]).chat.completions.create(**asked),
        openai.PermissionDeniedError,
        "missing_scope",
    )
    stranger = holding(platform.keys["globex"])
    for name, act, code in (
        ("model", lambda: stranger.models.retrieve(job.fine_tuned_model), "model_not_found"),
        (
            "model, asked",
            lambda: stranger.chat.completions.create(model=job.fine_tuned_model, messages=HELLO),
            "model_not_found",
        ),
        ("job", lambda: stranger.fine_tuning.jobs.retrieve(job.id), "not_found"),
        ("file", lambda: stranger.files.retrieve(job.training_file), "not_found"),
    ):
        refusal(f"another company's {name}", act, openai.NotFoundError, code)
    tool: Any = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
    refusal(
        "tools",
        lambda: create(**asked, tools=tool),
        openai.BadRequestError,
        "unsupported_parameter",
    )
    refusal(
        "a temperature of 9000",
        lambda: create(**asked, temperature=9000),
        openai.BadRequestError,
        "invalid_value",
    )
    refusal(
        "more tokens than fit",
        lambda: create(**asked, max_tokens=100_000),
        openai.BadRequestError,
        "context_length_exceeded",
    )
    refusal(
        "a call that is not here",
        lambda: client.embeddings.create(model=platform.base, input="x"),
        openai.NotFoundError,
        "unknown_url",
    )


def _deletions(client: OpenAI, transcript: Transcript, job: Any, files: tuple[str, str]) -> None:
    for file in files:
        transcript.call(
            "files.delete",
            lambda file=file: client.files.delete(file),  # type: ignore[misc]
            lambda answer: answer.deleted,
        )
    transcript.call(
        "models.delete",
        lambda: client.models.delete(job.fine_tuned_model),
        lambda answer: answer.deleted,
    )
    transcript.refusal(
        "a model that was deleted",
        lambda: client.models.retrieve(job.fine_tuned_model),
        openai.NotFoundError,
        "model_not_found",
    )


def test_a_file_with_faults_fails_its_job_with_the_line(client: OpenAI, platform: Platform) -> None:
    rows = questions(20).splitlines()
    rows[4] = '{"messages": [{"role": "user", "content": "只有问题"}]}'
    file = client.files.create(file=("坏.jsonl", "\n".join(rows).encode()), purpose="fine-tune")
    made = client.fine_tuning.jobs.create(model=platform.base, training_file=file.id)
    job = until(
        lambda: client.fine_tuning.jobs.retrieve(made.id), lambda job: job.status == "failed"
    )
    assert job.error is not None
    assert (job.error.code, job.error.param) == ("assistant_missing", "training_file")
    assert job.error.message.startswith("Line 5")


@pytest.mark.parametrize("stream", [True, False])
def test_who_hangs_up_ends_the_work_in_the_engine(platform: Platform, stream: bool) -> None:
    def cancelled() -> float:
        found = re.search(
            r'^gpt_engine_requests_total\{outcome="cancelled"\} (\S+)$',
            platform.engine_metrics(),
            re.MULTILINE,
        )
        return float(found[1]) if found else 0.0

    before = cancelled()
    asked = {
        "model": platform.base,
        "messages": HELLO,
        "max_tokens": 150,
        "n": 16,
        "ignore_eos": True,
        "stream": stream,
    }
    headers = {"Authorization": f"Bearer {platform.keys['acme']}"}
    url = f"{platform.base_url}/chat/completions"
    # Where nothing is streamed, the caller loses patience.
    patience = httpx.Timeout(60, read=60 if stream else 0.1)
    try:
        with httpx.stream("POST", url, json=asked, headers=headers, timeout=patience) as answer:
            next(answer.iter_bytes())
    except httpx.ReadTimeout:
        assert not stream
    until(cancelled, lambda count: count == before + 1)
