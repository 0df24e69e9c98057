"""The state machine: what may follow what, in one place."""

from __future__ import annotations

import contextlib
import itertools

import pytest
from django.db import IntegrityError, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.errors import ConflictError
from gpt_core import dispatch, services
from gpt_core.dispatch import Failure
from gpt_core.models import MOVES, TERMINAL, FineTuningJob, State, StateError
from tenancy.models import Tenant
from tests.gpt_core.rows import make_job

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("rings", "home")]


def test_a_terminal_state_leads_nowhere() -> None:
    assert {State.SUCCEEDED, State.FAILED, State.CANCELLED} == TERMINAL
    assert all(not MOVES[state] for state in TERMINAL)
    assert set(MOVES) == set(State.values)


@pytest.mark.parametrize("state", [*State])
@pytest.mark.parametrize("to", [*State])
def test_a_job_moves_only_where_the_table_says(in_tenant: Tenant, state: str, to: str) -> None:
    job = make_job(state=state)

    moved = FineTuningJob.objects.filter(pk=job.pk).move(to)

    job.refresh_from_db()
    assert bool(moved) == (to in MOVES[state])
    assert job.state == (to if moved else state)


def test_a_state_cannot_change_past_the_state_machine(in_tenant: Tenant) -> None:
    job = make_job()
    job.state = State.SUCCEEDED
    with pytest.raises(StateError):
        job.save()
    with pytest.raises(StateError):
        FineTuningJob.objects.filter(pk=job.pk).update(state=State.SUCCEEDED)
    with pytest.raises(StateError), transaction.atomic():
        FineTuningJob.objects.bulk_update([job], ["state"])
    assert FineTuningJob.objects.get().state == State.QUEUED


def test_the_database_refuses_a_state_that_is_none(in_tenant: Tenant) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        make_job(state="asleep")


def test_saving_other_columns_of_a_job_is_allowed(in_tenant: Tenant) -> None:
    job = FineTuningJob.objects.get(pk=make_job().pk)
    job.name = "客服"
    job.save()
    job.refresh_from_db()
    job.save()
    assert FineTuningJob.objects.get().name == "客服"


EVENTS = st.lists(
    st.sampled_from(
        ["claim", "renew", "cancel", "pause", "resume", "release", "fail", "crash", "succeed",
         "expire", "admit"]
    ),
    max_size=25,
)  # fmt: skip


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(events=EVENTS)
def test_in_whatever_order_things_happen_a_terminal_state_is_never_left(
    in_tenant: Tenant, events: list[str]
) -> None:
    job = make_job(state=State.VALIDATING_FILES)
    rows = FineTuningJob.objects.filter(pk=job.pk)
    states: list[str] = [job.state]
    tokens = [0]
    for event in events:
        current = rows.get()
        held = FineTuningJob.objects.held(job.pk, current.fencing_token)
        match event:
            case "claim":
                rows.claim("w", 60)
            case "renew":
                held.update(step=1)
            case "cancel":
                _try(services.cancel_job, current)
            case "pause":
                _try(services.pause_job, current)
            case "resume":
                _try(services.resume_job, current)
            case "release":
                dispatch.release(current)
            case "fail":
                held.move(State.FAILED)
            case "crash":
                dispatch.give_back(current, Failure("process_killed"))
            case "succeed":
                held.move(State.SUCCEEDED)
            case "expire":
                rows.filter(state=State.RUNNING).update(lease_until="2000-01-01T00:00Z")
                dispatch.take_back_expired()
            case "admit":
                rows.filter(state=State.VALIDATING_FILES).move(State.QUEUED)
        found = rows.get()
        states.append(found.state)
        tokens.append(found.fencing_token)

    assert tokens == sorted(tokens)
    for before, after in itertools.pairwise(states):
        assert after == before or after in MOVES[before] or _through_running(before, after)
        assert before not in TERMINAL or after == before


def _through_running(before: str, after: str) -> bool:
    return after in MOVES[State.RUNNING] and State.RUNNING in MOVES[before]


def _try(service: object, job: FineTuningJob) -> None:
    with contextlib.suppress(ConflictError):
        service(job)  # type: ignore[operator]
