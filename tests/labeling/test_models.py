"""What the tables promise to those who come after: whose data a row holds, and that it is once."""

import pytest
from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.db import IntegrityError, models, transaction

from labeling.models import Dataset, DatasetVersion, Example, VersionRow

MODELS = [model for model in apps.get_app_config("labeling").get_models()]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_table_says_whose_data_it_holds(model: type[models.Model]) -> None:
    path = model.subject_path  # type: ignore[attr-defined]
    here: type[models.Model] = model
    for step in path.split("__") if path else []:
        try:
            field = here._meta.get_field(step)
        except FieldDoesNotExist:
            pytest.fail(f"{path} leads nowhere from {model.__name__}")
        here = field.related_model or here  # type: ignore[assignment]


@pytest.mark.parametrize("model", [DatasetVersion, VersionRow])
def test_every_column_of_what_is_frozen_is_frozen_or_may_be_lost(
    model: type[models.Model],
) -> None:
    columns = {field.column for field in model._meta.local_concrete_fields}
    loose = columns - set(model.frozen_columns)  # type: ignore[attr-defined]
    assert loose == {"id", "created_at"} | ({"example_id"} if model is VersionRow else set())


def test_an_id_stands_once_in_a_dataset(dataset: Dataset) -> None:
    row = {"dataset": dataset, "kind": "text", "content": {"text": "好"}, "external_id": "甲"}
    Example.objects.create(**row)
    with pytest.raises(IntegrityError), transaction.atomic():
        Example.objects.create(**row)
