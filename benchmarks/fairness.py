"""Fairness: what a company that floods completions and fine-tuning jobs costs another one.

    python -m benchmarks.fairness --jobs 50 --callers 64 --seconds 40

Everything is real but the size of the base: web, engine, workers and trainer, as `make run` starts them.
First the calm company asks alone. Then the loud one starts its jobs and lets so many callers ask without a
pause, deaf to every refusal; the calm one asks on as before, and starts one job. At the end each caller
that was refused waits as long as it was last told to, and asks once more.

The calm company must meet no error, and its job must start when it was told: a company that has had nothing
goes next, behind what runs already.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import Any
from uuid import UUID

import httpx

from benchmarks.figures import print_figures, print_table
from tests.live import Platform, running_platform

LOUD, CALM = "loud", "calm"
PATIENCE_SECONDS = 240.0
# How often the calm company asks, and how much each is told.
CALM_PAUSE, CALM_TOKENS, LOUD_TOKENS = 0.5, 16, 100
# A caller that is refused asks again at once, but for the time of a network.
DEAF_PAUSE = 0.02


@dataclass(frozen=True)
class Size:
    """How large the flood is."""

    jobs: int
    callers: int
    seconds: float
    # So many of its jobs are to start behind the calm company's, to compare the order with what was told.
    starts: int = 1
    calm_pause: float = CALM_PAUSE


class Door:
    """One company's way in: answers as (status, document, headers)."""

    def __init__(self, platform: Platform, name: str) -> None:
        self.base = platform.base
        self._client = httpx.AsyncClient(
            base_url=platform.url,
            headers={"Authorization": f"Bearer {platform.keys[name]}"},
            timeout=PATIENCE_SECONDS,
            limits=httpx.Limits(max_connections=None),
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def ask(self, tokens: int) -> httpx.Response:
        """The answer; where the connection broke off, one whose status is 0."""
        body = {
            "model": self.base,
            "messages": [{"role": "user", "content": "在吗？ Are you there?"}],
            "max_tokens": tokens,
            "ignore_eos": True,
        }
        try:
            return await self._client.post("/v1/chat/completions", json=body)
        except httpx.TransportError:
            return httpx.Response(0)

    async def get(self, path: str, **query: Any) -> Any:
        """Whoever looks on has a share of the company's requests like everybody: it waits as it is told."""
        while (answer := await self._client.get(path, params=query)).status_code == 429:
            await asyncio.sleep(float(answer.headers["Retry-After"]))
        return answer.raise_for_status().json()

    async def file(self) -> str:
        upload = {"file": ("客服.jsonl", rows(40).encode())}
        sent = await self._client.post("/v1/files", data={"purpose": "fine-tune"}, files=upload)
        return str(sent.raise_for_status().json()["id"])

    async def start_job(self, file: str) -> str:
        body = {"model": self.base, "training_file": file, "hyperparameters": {"n_epochs": 1}}
        made = await self._client.post("/v1/fine_tuning/jobs", json=body)
        return str(made.raise_for_status().json()["id"])

    async def cancel(self, job: str) -> None:
        await self._client.post(f"/v1/fine_tuning/jobs/{job}/cancel")

    async def job(self, job: str) -> Any:
        return await self.get(f"/v1/fine_tuning/jobs/{job}")

    async def started_at(self, job: str) -> str | None:
        """When a trainer took it; to the microsecond, which OpenAI's shape is not."""
        found = await self.get(f"/api/v1/jobs/{UUID(job.removeprefix('ftjob-'))}/")
        started: str | None = found["started_at"]
        return started


@dataclass
class Heard:
    """What came back to one company."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    without_wait: int = 0

    @property
    def errors(self) -> int:
        return sum(count for status, count in self.statuses.items() if status != 200)


async def ask_calmly(door: Door, pause: float, goes_on: Callable[[], bool]) -> Heard:
    """One question after the other, each when it is due whatever the last one took."""
    heard = Heard()

    async def one() -> None:
        began = time.monotonic()
        answer = await door.ask(CALM_TOKENS)
        heard.statuses[answer.status_code] += 1
        heard.seconds.append(time.monotonic() - began)

    async with asyncio.TaskGroup() as asking:
        while goes_on():
            asking.create_task(one())
            await asyncio.sleep(pause)
    return heard


class Flood:
    """Callers that ask as fast as they are answered, and what each was last told to wait."""

    def __init__(self, door: Door, callers: int) -> None:
        self.heard = Heard()
        self._door = door
        self._ends = False
        self._waits: list[float] = []
        self._callers = [asyncio.create_task(self._call()) for _ in range(callers)]

    async def end(self) -> tuple[int, int]:
        """(callers who had been refused, those let through once they had waited as last told)."""
        self._ends = True
        await asyncio.gather(*self._callers)
        let_through = 0
        began = time.monotonic()
        for wait in sorted(self._waits):
            await asyncio.sleep(max(0.0, began + wait - time.monotonic()))
            let_through += (await self._door.ask(1)).status_code == 200
        return len(self._waits), let_through

    async def _call(self) -> None:
        wait: float | None = None
        while not self._ends:
            answer = await self._door.ask(LOUD_TOKENS)
            self.heard.statuses[answer.status_code] += 1
            if answer.status_code == 429:
                told = answer.headers.get("retry-after")
                self.heard.without_wait += told is None
                wait = float(told or 0)
                await asyncio.sleep(DEAF_PAUSE)
        if wait is not None:
            self._waits.append(wait)


@dataclass(frozen=True)
class JobsSeen:
    """The calm company's job beside the flood's. Places and starts are those of all the jobs."""

    place_told: int
    place_by_fair_share: int
    started_before_it: int
    waited_seconds: float
    order_told: list[str]
    order_started: list[str]


async def watch_jobs(loud: Door, calm: Door, more_starts: int) -> JobsSeen:
    """Start the calm company's job beside the others', and see in which order all of them start."""
    job = await calm.start_job(await calm.file())
    found = await until(lambda: calm.job(job), lambda found: found["queue_position"] is not None)
    queued = time.monotonic()
    # What the line looks like at this moment. Those which are no longer in it have just started.
    line = {job: found["queue_position"]}
    for one in await listed(loud):
        if one["queue_position"] is not None:
            line[one["id"]] = one["queue_position"]
    told = sorted(line, key=lambda one: line[one])
    await until(lambda: calm.started_at(job), lambda started: started is not None)
    waited = time.monotonic() - queued
    await until(
        lambda: starts_of(loud, [one for one in told if one != job]),
        lambda starts: len(starts) >= more_starts,
    )
    starts = await starts_of(loud, [one for one in told if one != job])
    starts[job] = str(await calm.started_at(job))
    started = sorted(starts, key=lambda one: starts[one])
    return JobsSeen(
        place_told=line[job],
        # It has had nothing, and who has had least is next.
        place_by_fair_share=1,
        started_before_it=started.index(job),
        waited_seconds=waited,
        order_told=[one for one in told if one in starts],
        order_started=started,
    )


def rows(count: int) -> str:
    """Questions and answers that have nothing in common, so that none counts as a copy of another."""
    lines = []
    for number in range(count):
        signs = "".join(chr(0x4E00 + (number * 7919 + step * 104729) % 20000) for step in range(24))
        row = {"id": f"问-{number}", "question": f"{signs[:12]}？", "answer": signs[12:]}
        lines.append(json.dumps(row, ensure_ascii=False))
    return "\n".join(lines)


async def starts_of(door: Door, jobs: list[str]) -> dict[str, str]:
    found = {job: await door.started_at(job) for job in jobs}
    return {job: started for job, started in found.items() if started is not None}


async def listed(door: Door) -> list[Any]:
    return list((await door.get("/v1/fine_tuning/jobs", limit=100))["data"])


async def until(look: Callable[[], Any], wanted: Callable[[Any], bool]) -> Any:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not wanted(found := await look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {PATIENCE_SECONDS:.0f} s: {found}")
        await asyncio.sleep(0.1)
    return found


@dataclass(frozen=True)
class Outcome:
    """All that was seen."""

    alone: Heard
    beside: Heard
    flood: Heard
    refused_once: int
    let_through: int
    jobs: JobsSeen

    def figures(self) -> dict[str, Any]:
        alone, beside = (spread(heard.seconds) for heard in (self.alone, self.beside))
        return {
            "calm_errors": self.alone.errors + self.beside.errors,
            "calm_requests_beside": len(self.beside.seconds),
            "calm_p50_alone_ms": alone[0],
            "calm_p95_alone_ms": alone[1],
            "calm_p50_beside_ms": beside[0],
            "calm_p95_beside_ms": beside[1],
            "calm_p50_ratio": round(beside[0] / alone[0], 2),
            "calm_p95_ratio": round(beside[1] / alone[1], 2),
            "loud_answers": self.flood.statuses[200],
            "loud_429": self.flood.statuses[429],
            "loud_other_errors": self.flood.errors - self.flood.statuses[429],
            "loud_429_without_retry_after": self.flood.without_wait,
            "waited_as_told": self.refused_once,
            "let_through_after_it": self.let_through,
            "job_place_told": self.jobs.place_told,
            "job_place_by_fair_share": self.jobs.place_by_fair_share,
            "jobs_started_before_it": self.jobs.started_before_it,
            "job_waited_seconds": round(self.jobs.waited_seconds, 1),
            "starts_compared": len(self.jobs.order_started),
            "started_as_told": self.jobs.order_started == self.jobs.order_told,
        }


def spread(seconds: list[float]) -> tuple[int, int]:
    """p50 and p95 in milliseconds."""
    cuts = quantiles(seconds, n=20, method="inclusive")
    return round(cuts[9] * 1000), round(cuts[18] * 1000)


async def measure(platform: Platform, size: Size) -> Outcome:
    loud, calm = Door(platform, LOUD), Door(platform, CALM)
    try:
        print("the calm company asks alone", flush=True)
        end = time.monotonic() + size.seconds
        alone = await ask_calmly(calm, size.calm_pause, lambda: time.monotonic() < end)
        print(f"the loud one starts {size.jobs} jobs", flush=True)
        file = await loud.file()
        for _ in range(size.jobs):
            await loud.start_job(file)
        # The queue is full of them, and the trainer at work, before the other one comes.
        await until(
            lambda: listed(loud),
            lambda jobs: (
                any(job["status"] == "running" for job in jobs)
                and sum(job["queue_position"] is not None for job in jobs) > 1
            ),
        )
        print(
            f"{size.callers} of its callers ask at once, and the calm one starts its job",
            flush=True,
        )
        flood = Flood(loud, size.callers)
        end = time.monotonic() + size.seconds
        job_seen = False
        asking = asyncio.create_task(
            ask_calmly(calm, size.calm_pause, lambda: time.monotonic() < end or not job_seen)
        )
        try:
            jobs = await watch_jobs(loud, calm, size.starts)
        finally:
            job_seen = True
        print("the flood ends; who was refused waits as told and asks once more", flush=True)
        beside = await asking
        refused_once, let_through = await flood.end()
        for job in await listed(loud):
            if job["finished_at"] is None:
                await loud.cancel(job["id"])
    finally:
        await loud.close()
        await calm.close()
    return Outcome(alone, beside, flood.heard, refused_once, let_through, jobs)


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.fairness", description=__doc__)
    parser.add_argument("--jobs", type=int, default=50, help="of the loud company")
    parser.add_argument("--callers", type=int, default=64, help="of the loud company, at once")
    parser.add_argument("--seconds", type=float, default=40.0, help="alone, and at least beside")
    parser.add_argument(
        "--starts", type=int, default=2, help="jobs to see start behind the other's"
    )
    chosen = parser.parse_args()
    size = Size(chosen.jobs, chosen.callers, chosen.seconds, chosen.starts)
    with (
        tempfile.TemporaryDirectory(prefix="parley-fair-") as folder,
        running_platform(Path(folder)) as platform,
    ):
        outcome = asyncio.run(measure(platform, size))
    figures = outcome.figures()
    print_table(["figure", "value"], [[name, str(value)] for name, value in figures.items()])
    print_figures(figures)
    fair = (
        figures["calm_errors"] == 0
        and figures["jobs_started_before_it"] < figures["job_place_by_fair_share"]
        and figures["started_as_told"]
        and figures["loud_429_without_retry_after"] == 0
    )
    return 0 if fair else 1


if __name__ == "__main__":
    sys.exit(main())
