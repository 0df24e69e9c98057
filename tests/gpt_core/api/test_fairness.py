"""A company that floods, and one that does not, on a running platform: orders and counts, no clock.

`python -m benchmarks.fairness` is the same with a flood worth the name, and with times.
"""

from __future__ import annotations

import asyncio

import pytest

from benchmarks.fairness import Size, measure
from tests.live import Platform

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_a_flood_costs_another_company_no_error_and_no_place(platform: Platform) -> None:
    outcome = asyncio.run(measure(platform, Size(jobs=4, callers=48, seconds=1.0)))

    assert outcome.alone.errors == outcome.beside.errors == 0
    assert set(outcome.flood.statuses) <= {200, 429}
    # Each refusal says how long to wait, and whoever waits so long is let through.
    assert outcome.flood.without_wait == 0
    assert outcome.let_through == outcome.refused_once
    # It has had nothing, so it is next behind what runs: told so, and so it happens.
    jobs = outcome.jobs
    assert (jobs.place_told, jobs.started_before_it) == (1, 0)
    assert jobs.order_started == jobs.order_told
    assert len(jobs.order_started) >= 2
