"""Lessons on the page of a dataset: made by whoever may train, told in numbers, stopped."""

from __future__ import annotations

import pytest

from apps.chatbot.models import LessonRun
from labeling.models import Dataset, Example
from labeling.services import create_dataset, write_example
from tenancy.models import Tenant
from tenancy.scope import tenant_scope
from tests.apps.chatbot.test_knowledge import ARTICLES, publish_all
from tests.apps.portal.conftest import Door

pytestmark = pytest.mark.django_db


@pytest.fixture
def dataset(tenant: Tenant) -> Dataset:
    with tenant_scope(tenant):
        made = create_dataset(name="客服", language="zh")
        for number, (question, answer, _language) in enumerate(ARTICLES):
            turns = [
                {"role": "user", "content": question},
                {"role": "assistant", "content": answer},
            ]
            write_example(
                dataset=made,
                content={"messages": turns},
                external_id=str(number),
                state=Example.State.ACCEPTED,
            )
        return made


def at(tenant: Tenant, dataset: Dataset, path: str = "") -> str:
    return f"/t/{tenant.slug}/datasets/{dataset.pk}/{path}"


def test_lessons_are_made_on_the_page_of_a_dataset(
    tenant: Tenant, dataset: Dataset, door: Door
) -> None:
    with tenant_scope(tenant):
        publish_all()
    client = door("admin")
    assert "Make lessons" in client.get(at(tenant, dataset)).content.decode()
    client.post(at(tenant, dataset, "lessons/"))
    with tenant_scope(tenant):
        run = LessonRun.objects.get()
        assert run.state == LessonRun.State.DONE
        lessons = at(tenant, run.dataset)
    page = client.get(at(tenant, dataset)).content.decode()
    assert "客服, from articles" in page
    assert "Make the lessons anew" in page
    # What is made of lessons is not made into lessons again.
    assert "Make lessons" not in client.get(lessons).content.decode()


def test_without_articles_the_page_says_what_to_do_first(
    tenant: Tenant, dataset: Dataset, door: Door
) -> None:
    client = door("admin")
    assert "Make lessons" not in client.get(at(tenant, dataset)).content.decode()
    page = client.post(at(tenant, dataset, "lessons/"), follow=True).content.decode()
    assert "Publish articles first" in page


def test_who_may_not_train_makes_no_lessons(tenant: Tenant, dataset: Dataset, door: Door) -> None:
    assert door("annotator").post(at(tenant, dataset, "lessons/")).status_code == 403


def test_what_is_under_way_is_shown_and_can_be_stopped(
    tenant: Tenant, dataset: Dataset, door: Door
) -> None:
    with tenant_scope(tenant):
        publish_all()
        run = LessonRun.objects.create(source=dataset, dataset=create_dataset(name="lessons"))
    client = door("admin")
    assert "cancel-lessons" in client.get(at(tenant, dataset)).content.decode()
    live = f"/t/{tenant.slug}/lessons/{run.pk}/"
    assert "HX-Refresh" not in client.get(live).headers
    client.post(f"{live}cancel/")
    assert client.get(live).headers["HX-Refresh"] == "true"
    with tenant_scope(tenant):
        run.refresh_from_db()
        assert run.state == LessonRun.State.CANCELLED
