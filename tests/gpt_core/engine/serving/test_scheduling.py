"""Who is served when."""

from __future__ import annotations

import pytest

from gpt_core.engine.bases import Base
from gpt_core.engine.errors import EngineError
from gpt_core.engine.serving.fairness import FairQueue
from gpt_core.engine.serving.requests import Delta, Event, Request, SamplingParameters

from .bench import GREEDY, Bench


def request(group: str) -> Request:
    return Request([1], lambda event: None, group=group)


def served(queue: FairQueue, *, cost: int = 10) -> list[str]:
    """The groups in the order in which they are served."""
    order = []
    while (turn := queue.next()) is not None:
        queue.take(turn)
        queue.charge(turn.group, written=cost)
        order.append(turn.group)
    return order


def test_a_tenant_with_one_question_does_not_wait_behind_a_hundred_of_another() -> None:
    queue = FairQueue()
    for group in ["loud"] * 100 + ["quiet"]:
        queue.add(request(group))
    assert "quiet" in served(queue)[:2]


def test_two_tenants_take_turns() -> None:
    queue = FairQueue()
    for group in ["a"] * 4 + ["b"] * 4:
        queue.add(request(group))
    order = served(queue)
    assert sorted(order[:4]) == ["a", "a", "b", "b"]


def test_silence_earns_no_credit() -> None:
    queue = FairQueue()
    steady = request("steady")
    queue.add(steady)
    queue.charge("steady", written=1000)
    for _ in range(3):
        queue.add(request("late"))
        queue.add(request("steady"))
    order = served(queue, cost=1)
    assert order[:4].count("steady") >= 2


def test_on_a_base_that_many_share_a_quiet_caller_waits_for_no_more_than_what_runs(
    llama: Base,
) -> None:
    rows = 2
    bench = Bench(llama, rows=rows)
    loud = [bench.ask("positive", GREEDY, group="喧闹") for _ in range(12)]
    bench.run(steps=3)
    over = sum(bool(heard.events) for heard in loud)
    quiet = bench.ask("negative", GREEDY, group="安静")
    while not quiet.events:
        bench.run(steps=1)
    # Those that were being written when it came, and what took the other rows meanwhile.
    assert sum(bool(heard.events) for heard in loud) - over <= 2 * rows
    bench.run()
    assert all(heard.finished for heard in loud)


def test_those_who_are_written_are_not_stalled_by_a_long_prompt(llama: Base) -> None:
    bench = Bench(llama, chunk_beside_rows=8)
    heard = bench.ask(
        "positive", SamplingParameters(temperature=0, max_tokens=60, ignore_eos=True), stream=True
    )
    bench.run(steps=3)
    before = len(heard.tokens)
    long = bench.ask(list(range(3, 203)), GREEDY)
    bench.run(steps=10)
    assert len(bench.scheduler._writing) == 1
    assert not long.events
    assert len(heard.tokens) > before
    bench.run()
    assert long.finished
    assert heard.finished


def test_a_cancelled_request_leaves_at_the_next_step(bench: Bench) -> None:
    long = SamplingParameters(max_tokens=200, ignore_eos=True)
    heard = bench.ask("positive", long)
    bench.run(steps=3)
    bench.last.cancelled = True
    bench.run(steps=1)
    assert heard.failure == "cancelled"
    assert bench.scheduler.idle


def test_a_request_cancelled_while_it_waits_never_runs(llama: Base) -> None:
    bench = Bench(llama, rows=1)
    bench.ask("positive", GREEDY)
    waiting = bench.ask("negative", GREEDY)
    bench.last.cancelled = True
    bench.run()
    assert waiting.failure == "cancelled"


def test_a_step_that_fails_ends_its_participants_and_the_next_one_works(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = bench.ask("positive", GREEDY)
    bench.run(steps=2)
    with monkeypatch.context() as patch:
        patch.setattr(bench.scheduler._decoder, "forward", lambda *_: 1 / 0)
        bench.scheduler.step()
    assert heard.failure == "step_failed"
    assert bench.alone("positive").finished


def test_a_sink_that_fails_harms_nobody(bench: Bench) -> None:
    def broken(event: Event) -> None:
        raise RuntimeError("gone")

    bench.scheduler.add(Request([5, 6], broken, GREEDY))
    assert bench.alone("positive").finished


def test_ending_everything_tells_everybody(llama: Base) -> None:
    bench = Bench(llama, rows=1)
    heard = [bench.ask("positive", GREEDY) for _ in range(3)]
    bench.run(steps=2)
    bench.scheduler.fail_everything(EngineError("engine_stopped"))
    assert [own.failure for own in heard] == ["engine_stopped"] * 3
    assert bench.scheduler.idle


def test_the_last_token_says_why_it_is_the_last(bench: Bench) -> None:
    heard = bench.alone(
        "positive", SamplingParameters(temperature=0, max_tokens=3, ignore_eos=True)
    )
    deltas = [event for event in heard.events if isinstance(event, Delta)]
    assert deltas[-1].finish == "length"
    assert len(heard.tokens) == 3
