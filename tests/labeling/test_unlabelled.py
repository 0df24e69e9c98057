"""Texts that nobody has labelled yet come in as drafts, and are accepted with a label or not at all."""

import io

import pytest

from common.errors import ApplicationError
from labeling.bulk import change_examples
from labeling.finding import Filters
from labeling.models import Dataset, Example
from labeling.services import annotate_example, import_examples, write_example
from tenancy.models import Tenant
from tenancy.scope import tenant_scope
from tests.factories import make_member, make_tenant

pytestmark = pytest.mark.django_db
FILE = "text\n包裹还没到\nWhere is my invoice?\n".encode()


@pytest.fixture
def acme() -> Tenant:
    return make_tenant("acme")


def brought_in(again: bool = False) -> Dataset:
    dataset, _new = Dataset.objects.get_or_create(slug="mail", defaults={"name": "Mail"})
    report = import_examples(dataset=dataset, stream=io.BytesIO(FILE), filename="mail.csv")
    assert (report.created, len(report.faults)) == (0 if again else 2, 0)
    return dataset


def test_they_come_in_as_drafts_even_where_the_file_is_to_be_accepted(acme: Tenant) -> None:
    with tenant_scope(acme):
        dataset = brought_in()
        brought_in(again=True)
        found = list(dataset.examples.values_list("state", "kind", "labels"))
        assert found == [(Example.State.DRAFT, Example.Kind.TEXT, [])] * 2


def test_one_is_accepted_with_a_label_and_not_without(acme: Tenant) -> None:
    person = make_member(acme, "annotator")
    with tenant_scope(acme):
        example = brought_in().examples.order_by("line")[0]
        with pytest.raises(ApplicationError) as refused:
            annotate_example(example=example, annotator=person, verdict="accept")
        assert refused.value.extra["faults"][0]["code"] == "labels_missing"
        annotate_example(example=example, annotator=person, verdict="accept", labels=["物流"])
        example.refresh_from_db()
        assert (example.state, example.labels) == (Example.State.ACCEPTED, ["物流"])
        with pytest.raises(ApplicationError):
            annotate_example(example=example, annotator=person, verdict="edit", labels=[])


def test_one_is_rejected_as_it_is(acme: Tenant) -> None:
    person = make_member(acme, "annotator")
    with tenant_scope(acme):
        example = brought_in().examples.order_by("line")[0]
        annotate_example(example=example, annotator=person, verdict="reject")
        example.refresh_from_db()
        assert example.state == Example.State.REJECTED


def test_all_at_once_are_not_accepted_either(acme: Tenant) -> None:
    with tenant_scope(acme):
        dataset = brought_in()
        change_examples(dataset=dataset, filters=Filters(), action="accept")
        assert not dataset.examples.filter(state=Example.State.ACCEPTED).exists()
        change_examples(dataset=dataset, filters=Filters(), action="add_label", label="物流")
        change_examples(dataset=dataset, filters=Filters(), action="accept")
        assert dataset.examples.filter(state=Example.State.ACCEPTED).count() == 2


def test_none_is_written_as_accepted(acme: Tenant) -> None:
    with tenant_scope(acme):
        dataset = brought_in()
        with pytest.raises(ApplicationError):
            write_example(dataset=dataset, content={"text": "退款"}, state="accepted")
        assert write_example(dataset=dataset, content={"text": "退款"}).labels == []
