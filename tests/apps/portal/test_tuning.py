"""The wizard: three choices, a plan in words, and a start."""

from __future__ import annotations

import re
from typing import Any

import pytest

from gpt_core.models import BaseModel, FineTuningJob
from labeling.models import Dataset, DatasetVersion
from tenancy import quotas
from tenancy.models import Tenant
from tenancy.scope import tenant_scope
from tests.apps.portal import scenes
from tests.apps.portal.conftest import Door
from tests.apps.portal.test_pages import at, text_of

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_bell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpt_core.dispatch._ring", lambda *_task: None)


def chosen(story: scenes.Story, **changes: Any) -> dict[str, Any]:
    return {
        "version": str(story.version.pk),
        "base": str(story.base.pk),
        "deployment": "support",
    } | changes


def test_the_list_of_jobs_and_a_version_lead_there(
    tenant: Tenant, story: scenes.Story, door: Door
) -> None:
    address = at(tenant, "jobs/new/")
    assert address in door("admin").get(at(tenant, "jobs/")).content.decode()
    version = at(tenant, f"datasets/{story.dataset.pk}/versions/1/")
    assert f"{address}?version={story.version.pk}" in door("admin").get(version).content.decode()
    assert address not in door("viewer").get(at(tenant, "jobs/")).content.decode()


def test_first_it_asks_for_three_things(tenant: Tenant, story: scenes.Story, door: Door) -> None:
    with tenant_scope(tenant):
        Dataset.objects.create(name="未冻结", slug="unfrozen")
    page = door("owner").get(at(tenant, "jobs/new/"), {"version": str(story.version.pk)})
    text = text_of(page)
    assert "Customer questions v1" in text
    assert "135 M" in text
    assert "an engine serves it" in text
    assert "未冻结" in text
    assert "Start the training" not in text
    assert f'value="{story.version.pk}" selected' in " ".join(page.content.decode().split())


def test_then_it_says_what_auto_will_choose_and_why(
    tenant: Tenant, story: scenes.Story, door: Door
) -> None:
    text = text_of(door("owner").get(at(tenant, "jobs/new/"), chosen(story)))
    assert "402 training examples" in text
    assert "batch size 8" in text
    assert "small data are read more often" in text
    assert "measured on the machine when the training starts" in text
    assert "Start the training" in text


def test_all_on_auto_is_started_with_one_press(
    tenant: Tenant, story: scenes.Story, door: Door
) -> None:
    answer = door("admin").post(at(tenant, "jobs/new/"), chosen(story, name="第七次"))
    with tenant_scope(tenant):
        job = FineTuningJob.objects.get(name="第七次")
    assert answer.headers["Location"] == at(tenant, f"jobs/{job.pk}/")
    assert set(job.hyperparameters.values()) == {"auto"}
    assert job.method == {"type": "lora", "rank": "auto", "alpha": "auto", "dropout": "auto"}
    assert job.actor is not None


def test_what_somebody_knows_better_is_taken(
    tenant: Tenant, story: scenes.Story, door: Door
) -> None:
    said = {"epochs": "2.5", "rank": "4", "learning_rate": "0.0005", "schedule": "linear"}
    said |= {"seed": "7", "precision": "float32", "main_metric": "chrf", "name": "by hand"}
    door("owner").post(at(tenant, "jobs/new/"), chosen(story, **said))
    with tenant_scope(tenant):
        job = FineTuningJob.objects.get(name="by hand")
    assert job.hyperparameters["epochs"] == 2.5
    assert job.hyperparameters["learning_rate"] == 0.0005
    assert job.hyperparameters["schedule"] == "linear"
    assert job.method["rank"] == 4
    assert (job.seed, job.precision, job.main_metric) == (7, "float32", "chrf")


def test_a_full_fine_tuning_asks_for_no_rank(
    tenant: Tenant, story: scenes.Story, door: Door
) -> None:
    door("owner").post(at(tenant, "jobs/new/"), chosen(story, method="full", name="whole"))
    with tenant_scope(tenant):
        assert FineTuningJob.objects.get(name="whole").method == {"type": "full"}


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("learning_rate", "fast", "must be a number from 0.00000001 to 1"),
        ("learning_rate", "nan", "must be a number from 0.00000001 to 1"),
        ("batch_size", "1.5", "must be a whole number from 1 to 1024"),
        ("rank", "-3", "must be a whole number from 1 to 256"),
        ("rank", "三", "must be a whole number from 1 to 256"),
        ("max_length", "9000000", "must be a whole number from 8"),
        ("max_length", "9000", "at most 2048, the context of the base model"),
        ("seed", "-1", "must be a whole number from 0 to 2147483647"),
        ("seed", "x", "Enter a whole number."),
        ("schedule", "spiral", "Select a valid choice."),
        ("method", "dora", "Select a valid choice."),
        ("name", "x" * 65, "at most 64 characters"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    tenant: Tenant, story: scenes.Story, door: Door, field: str, value: str, said: str
) -> None:
    page = door("owner").post(at(tenant, "jobs/new/"), chosen(story, **{field: value}))
    assert page.status_code == 422
    assert said in " ".join(page.context["page"].settings.errors[field])
    html = page.content.decode()
    assert re.search(r'<details class="advanced settings-by-hand"\s+open>', html)
    with tenant_scope(tenant):
        assert FineTuningJob.objects.count() == 6


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"version": ""}, "version"),
        ({"version": "00000000-0000-4000-8000-000000000000"}, "version"),
        ({"version": "../x"}, "version"),
        ({"base": "一"}, "base"),
        ({"deployment": "Support Desk"}, "deployment"),
        ({"deployment": "客服"}, "deployment"),
        ({"deployment": "support\n"}, None),
    ],
)
def test_a_choice_that_is_none_is_said_at_its_field(
    tenant: Tenant, story: scenes.Story, door: Door, changes: dict[str, str], field: str | None
) -> None:
    for ask in (door("owner").get, door("owner").post):
        page = ask(at(tenant, "jobs/new/"), chosen(story, **changes))
        if field is None:
            continue
        assert field in page.context["page"].choice.errors
        assert "Start the training" not in text_of(page)


@pytest.mark.parametrize("role", ["viewer", "agent", "annotator"])
def test_only_who_may_train_starts(
    tenant: Tenant, story: scenes.Story, door: Door, role: str
) -> None:
    assert door(role).get(at(tenant, "jobs/new/")).status_code == 403
    assert door(role).post(at(tenant, "jobs/new/"), chosen(story)).status_code == 403


def test_another_tenants_version_is_as_absent_as_none(
    tenant: Tenant, other_tenant: Tenant, story: scenes.Story, door: Door
) -> None:
    with tenant_scope(other_tenant):
        _dataset, foreign = scenes.make_dataset("theirs")
    page = door("owner").post(at(tenant, "jobs/new/"), chosen(story, version=str(foreign.pk)))
    assert page.context["page"].choice.errors["version"] == ["Choose a dataset version."]


def test_small_data_no_test_split_and_no_engine_are_said_before(
    tenant: Tenant, story: scenes.Story, door: Door, settings: Any
) -> None:
    settings.GPT_ENGINES = {"another": "http://127.0.0.1:1"}
    with tenant_scope(tenant):
        small = DatasetVersion.objects.create(
            dataset=story.dataset,
            number=2,
            digest="0" * 64,
            counts={"train": 12, "validation": 0, "test": 0},
            shares=[1, 0, 0],
            frozen_at=story.version.frozen_at,
        )
    text = text_of(door("owner").get(at(tenant, "jobs/new/"), chosen(story, version=str(small.pk))))
    assert "Fewer than 50 training examples" in text
    assert "the gate stays closed" in text
    assert "can be exported, not promoted" in text


def test_without_versions_or_bases_it_says_what_is_missing(tenant: Tenant, door: Door) -> None:
    BaseModel.objects.all().delete()
    assert "There is no base model yet." in text_of(door("owner").get(at(tenant, "jobs/new/")))
    scenes.make_base()
    text = text_of(door("owner").get(at(tenant, "jobs/new/")))
    assert "No dataset has a frozen version yet." in text


def test_the_plan_speaks_chinese(tenant: Tenant, story: scenes.Story, door: Door) -> None:
    page = door("owner").get(
        at(tenant, "jobs/new/"), chosen(story), headers={"accept-language": "zh-CN"}
    )
    assert page.status_code == 200
    assert '<html lang="zh-Hans"' in page.content.decode()


def test_it_says_how_much_it_reads_and_what_is_left_of_the_month(
    tenant: Tenant, story: scenes.Story, door: Door, settings: Any
) -> None:
    address = at(tenant, "jobs/new/")
    page = door("owner").get(address, chosen(story))
    assert page.context["page"].estimate.tokens > 1000
    assert "all epochs together" in text_of(page)
    assert "would be refused now" not in text_of(page)
    with tenant_scope(tenant):
        quotas.count_training_tokens(page.context["page"].estimate.limit)
    assert "would be refused now" in text_of(door("owner").get(address, chosen(story)))
    refused = door("owner").post(address, chosen(story))
    assert refused.status_code == 422
    assert "The month ends on" in text_of(refused)
