"""What people may ask for: start, retry, evaluate, promote, roll back."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from accounts.models import User
from common.errors import ApplicationError, ConflictError
from gpt_core import services
from gpt_core.client import EngineUnavailableError
from gpt_core.models import (
    Checkpoint,
    Deployment,
    DeploymentChange,
    Evaluation,
    FineTuningJob,
    State,
)
from gpt_core.services import engines
from tenancy.models import AuditEntry, Role, Tenant
from tenancy.scope import system_scope
from tests.factories import make_member
from tests.gpt_core.rows import make_base, make_checkpoint, make_evaluation, make_job, make_version

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("rings", "home")]


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names that the engine was asked to hold."""
    names: list[str] = []
    monkeypatch.setattr(engines, "load", lambda checkpoint: names.append(checkpoint.name))
    return names


@pytest.fixture
def owner(in_tenant: Tenant) -> User:
    return make_member(in_tenant, Role.OWNER)


def start(**asked: Any) -> FineTuningJob:
    values: dict[str, Any] = {"deployment": "support"} | asked
    values.setdefault("dataset_version", make_version())
    values.setdefault("base_model", make_base())
    return services.start_fine_tuning(**values)


def test_what_nobody_chose_is_auto(in_tenant: Tenant) -> None:
    job = start(hyperparameters={"learning_rate": 0.001})

    assert job.state == State.VALIDATING_FILES
    assert job.hyperparameters["learning_rate"] == 0.001
    assert set(job.hyperparameters.values()) == {0.001, "auto"}
    assert job.method == {"type": "lora", "rank": "auto", "alpha": "auto", "dropout": "auto"}


def test_the_numbers_of_a_deployment_grow_and_are_not_used_again(in_tenant: Tenant) -> None:
    base, version = make_base(), make_version()
    same = {"base_model": base, "dataset_version": version}
    first, second = start(**same), start(**same)
    services.cancel_job(second)

    assert (first.number, second.number, start(**same).number) == (1, 2, 3)
    assert start(**same, deployment="news").number == 1
    assert first.unhashed_name == f"{in_tenant.slug}.support@v1"


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"deployment": "Support!"}, "deployment"),
        ({"deployment": "../etc"}, "deployment"),
        ({"deployment": "客服"}, "deployment"),
        ({"seed": -1}, "seed"),
        ({"seed": True}, "seed"),
        ({"suffix": "x" * 65}, "suffix"),
        ({"precision": "int4"}, "precision"),
        ({"main_metric": "vibes"}, "main_metric"),
        ({"method": "prefix"}, "method.type"),
        ({"method": {"type": "lora", "rank": 0}}, "method.rank"),
        ({"method": {"type": "full", "rank": 8}}, "method.rank"),
        ({"method": {"type": "lora", "targets": []}}, "method.targets"),
        ({"hyperparameters": {"learning_rate": "fast"}}, "hyperparameters.learning_rate"),
        ({"hyperparameters": {"learning_rate": float("nan")}}, "hyperparameters.learning_rate"),
        ({"hyperparameters": {"batch_size": 2.5}}, "hyperparameters.batch_size"),
        ({"hyperparameters": {"batch_size": True}}, "hyperparameters.batch_size"),
        ({"hyperparameters": {"optimizer": "lion"}}, "hyperparameters.optimizer"),
        ({"hyperparameters": {"learning_rat": 1}}, "hyperparameters.learning_rat"),
        ({"hyperparameters": [1]}, "hyperparameters"),
        ({"hyperparameters": {"max_length": 9000}}, "hyperparameters.max_length"),
    ],
)
def test_a_wrong_setting_is_refused_by_its_name(
    in_tenant: Tenant, asked: dict[str, Any], field: str
) -> None:
    with pytest.raises(ApplicationError) as refused:
        start(**asked)
    assert refused.value.field == field
    assert str(refused.value.detail)
    assert not FineTuningJob.objects.exists()


def test_a_retry_is_a_new_job_that_asks_for_the_same(in_tenant: Tenant) -> None:
    failed = start(hyperparameters={"epochs": 3}, suffix="第一")
    services.cancel_job(failed)

    again = services.retry_job(failed)

    failed.refresh_from_db()
    assert failed.state == State.CANCELLED
    assert (again.retry_of_id, again.hyperparameters, again.name, again.number) == (
        failed.pk, failed.hyperparameters, "第一", 2,
    )  # fmt: skip


def test_a_job_that_is_over_cannot_be_cancelled_paused_or_resumed(in_tenant: Tenant) -> None:
    job = make_job(state=State.SUCCEEDED)
    for act in (services.cancel_job, services.pause_job, services.resume_job, services.retry_job):
        with pytest.raises(ConflictError) as refused:
            act(job)
        assert refused.value.code == "wrong_state"


def test_a_checkpoint_is_evaluated_once_at_a_time(in_tenant: Tenant) -> None:
    checkpoint = make_checkpoint(in_tenant)
    first = services.evaluate_checkpoint(checkpoint=checkpoint)
    assert services.evaluate_checkpoint(checkpoint=checkpoint) == first
    Evaluation.objects.filter(pk=first.pk).move(State.CANCELLED)
    assert services.evaluate_checkpoint(checkpoint=checkpoint) != first


def test_what_the_gate_passed_is_promoted_and_loaded_first(
    in_tenant: Tenant, owner: User, loaded: list[str]
) -> None:
    checkpoint = make_checkpoint(in_tenant)
    make_evaluation(checkpoint)

    slot = services.promote(checkpoint=checkpoint, actor=owner)

    assert (slot.name, slot.checkpoint, slot.previous, slot.model) == (
        "support", checkpoint, None, checkpoint.name,
    )  # fmt: skip
    assert loaded == [checkpoint.name]
    change = DeploymentChange.objects.get()
    assert (change.kind, change.after, change.actor, change.override_reason) == (
        "promote", checkpoint, owner, "",
    )  # fmt: skip
    assert AuditEntry.objects.filter(action="deployment.promoted").count() == 1


def test_what_the_gate_refused_is_not_promoted_and_the_reason_is_said(
    in_tenant: Tenant, owner: User, loaded: list[str]
) -> None:
    checkpoint = make_checkpoint(in_tenant)
    with pytest.raises(ConflictError) as refused:
        services.promote(checkpoint=checkpoint, actor=owner)
    assert refused.value.code == "not_evaluated"

    make_evaluation(checkpoint, passed=False)
    with pytest.raises(ConflictError) as refused:
        services.promote(checkpoint=checkpoint, actor=owner)
    assert refused.value.code == "gate_closed"
    assert "3" in str(refused.value.detail)
    assert (loaded, Deployment.objects.count()) == ([], 0)


def test_an_owner_overrules_the_gate_with_a_reason_that_is_kept(
    in_tenant: Tenant, owner: User, loaded: list[str]
) -> None:
    checkpoint = make_checkpoint(in_tenant)
    make_evaluation(checkpoint, passed=False)

    services.promote(checkpoint=checkpoint, actor=owner, override_reason="只有三行，我看过了")

    assert DeploymentChange.objects.get().override_reason == "只有三行，我看过了"
    assert Deployment.objects.get().checkpoint == checkpoint


@pytest.mark.parametrize("role", [Role.ADMIN, Role.ANNOTATOR, Role.VIEWER, None])
def test_nobody_but_an_owner_overrules_the_gate(
    in_tenant: Tenant, loaded: list[str], role: str | None
) -> None:
    checkpoint = make_checkpoint(in_tenant)
    actor = make_member(in_tenant, role) if role else None
    with pytest.raises(ApplicationError) as refused:
        services.promote(checkpoint=checkpoint, actor=actor, override_reason="because")
    assert (refused.value.code, refused.value.status_hint) == ("owner_needed", 403)


def test_an_owner_of_another_tenant_is_nobody_here(
    in_tenant: Tenant, other_tenant: Tenant, loaded: list[str]
) -> None:
    stranger = make_member(other_tenant, Role.OWNER)
    with pytest.raises(ApplicationError) as refused:
        services.promote(
            checkpoint=make_checkpoint(in_tenant), actor=stranger, override_reason="because"
        )
    assert refused.value.code == "owner_needed"


def test_a_checkpoint_whose_base_no_engine_serves_cannot_be_promoted(
    in_tenant: Tenant, owner: User, loaded: list[str], settings: Any
) -> None:
    settings.GPT_ENGINES = {"other-base": "http://127.0.0.1:1"}
    checkpoint = make_checkpoint(in_tenant)
    make_evaluation(checkpoint)

    with pytest.raises(ApplicationError) as refused:
        services.promote(checkpoint=checkpoint, actor=owner)

    assert refused.value.code == "base_not_served"
    assert "smollm2-135m-instruct" in str(refused.value.detail)
    assert "other-base" in str(refused.value.detail)


def test_a_full_fine_tune_is_a_base_of_its_own(
    in_tenant: Tenant, owner: User, loaded: list[str], settings: Any
) -> None:
    checkpoint = make_checkpoint(in_tenant, kind=Checkpoint.Kind.FULL)
    make_evaluation(checkpoint)
    with pytest.raises(ApplicationError):
        services.promote(checkpoint=checkpoint, actor=owner)
    settings.GPT_ENGINES = {checkpoint.name: "http://127.0.0.1:1"}
    assert services.promote(checkpoint=checkpoint, actor=owner).checkpoint == checkpoint


def test_an_engine_that_cannot_load_leaves_what_serves(
    in_tenant: Tenant, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = make_checkpoint(in_tenant)
    make_evaluation(checkpoint)

    def refuse(checkpoint: Checkpoint) -> None:
        raise ApplicationError("engine_unavailable", "down", status_hint=503)

    monkeypatch.setattr(engines, "load", refuse)
    with pytest.raises(ApplicationError):
        services.promote(checkpoint=checkpoint, actor=owner)
    assert not Deployment.objects.exists()
    assert not DeploymentChange.objects.exists()


def test_an_evaluation_beside_another_champion_does_not_open_the_gate(
    in_tenant: Tenant, owner: User, loaded: list[str]
) -> None:
    serving, late = make_checkpoint(in_tenant), make_checkpoint(in_tenant)
    make_evaluation(serving)
    make_evaluation(late)
    services.promote(checkpoint=serving, actor=owner)

    with pytest.raises(ConflictError) as refused:
        services.promote(checkpoint=late, actor=owner)
    assert refused.value.code == "evaluation_stale"

    make_evaluation(late, champion=serving)
    slot = services.promote(checkpoint=late, actor=owner)
    assert (slot.checkpoint, slot.previous) == (late, serving)


def test_a_roll_back_is_one_change_and_can_be_undone(
    in_tenant: Tenant, owner: User, loaded: list[str]
) -> None:
    first, second = make_checkpoint(in_tenant), make_checkpoint(in_tenant)
    make_evaluation(first)
    make_evaluation(second, champion=first)
    services.promote(checkpoint=first, actor=owner)
    slot = services.promote(checkpoint=second, actor=owner)

    slot = services.roll_back(deployment=slot, actor=owner)
    assert (slot.checkpoint, slot.previous) == (first, second)
    slot = services.roll_back(deployment=slot, actor=owner)
    assert (slot.checkpoint, slot.previous) == (second, first)
    assert DeploymentChange.objects.filter(kind="roll_back").count() == 2


def test_a_roll_back_past_the_first_checkpoint_leaves_the_base(
    in_tenant: Tenant, owner: User, loaded: list[str]
) -> None:
    checkpoint = make_checkpoint(in_tenant)
    make_evaluation(checkpoint)
    slot = services.promote(checkpoint=checkpoint, actor=owner)

    slot = services.roll_back(deployment=slot, actor=owner)
    assert (slot.checkpoint, slot.model) == (None, slot.base_model.name)
    with pytest.raises(ConflictError):
        services.roll_back(deployment=slot, actor=owner)


def test_promoting_what_serves_already_changes_nothing(
    in_tenant: Tenant, owner: User, loaded: list[str]
) -> None:
    checkpoint = make_checkpoint(in_tenant)
    make_evaluation(checkpoint)
    services.promote(checkpoint=checkpoint, actor=owner)
    services.promote(checkpoint=checkpoint, actor=owner)
    assert DeploymentChange.objects.count() == 1


class FakeEngine:
    """An engine that knows some names, and says what it was asked to load."""

    def __init__(self, *known: str) -> None:
        self.known = list(known)
        self.asked: list[str] = []

    def loaded_models(self, *, base: str) -> list[Any]:
        return [SimpleNamespace(name=name) for name in self.known]

    def ensure_loaded(self, checkpoint: Checkpoint) -> None:
        self.asked.append(checkpoint.name)


def test_an_engine_that_was_started_anew_is_given_what_serves_and_what_did_before(
    in_tenant: Tenant, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = make_checkpoint(in_tenant), make_checkpoint(in_tenant)
    make_evaluation(first)
    make_evaluation(second, champion=first)
    engine = FakeEngine("smollm2-135m-instruct")
    monkeypatch.setattr(engines, "client", engine)
    services.promote(checkpoint=first, actor=owner)
    services.promote(checkpoint=second, actor=owner)
    engine.asked.clear()
    engine.known.append(first.name)

    with system_scope("test"):
        assert services.reconcile_engines() == 1

    assert engine.asked == [second.name]


def test_an_engine_that_is_away_is_left_for_later(
    in_tenant: Tenant, owner: User, monkeypatch: pytest.MonkeyPatch, loaded: list[str]
) -> None:
    checkpoint = make_checkpoint(in_tenant)
    make_evaluation(checkpoint)
    services.promote(checkpoint=checkpoint, actor=owner)
    engine = FakeEngine()

    def away(*, base: str) -> list[Any]:
        raise EngineUnavailableError

    monkeypatch.setattr(engine, "loaded_models", away)
    monkeypatch.setattr(engines, "client", engine)

    with system_scope("test"):
        assert services.reconcile_engines() == 0


def test_no_more_is_kept_loaded_than_an_engine_can_hold(
    in_tenant: Tenant, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = FakeEngine()
    monkeypatch.setattr(engines, "client", engine)
    monkeypatch.setattr(engines, "MOST_KEPT_LOADED", 2)
    for name in ("news", "support", "copy"):
        checkpoint = make_checkpoint(
            in_tenant, job=make_job(state=State.SUCCEEDED, deployment_name=name)
        )
        Deployment.objects.create(
            name=name, base_model=checkpoint.base_model, checkpoint=checkpoint
        )

    with system_scope("test"):
        assert services.reconcile_engines() == 2
