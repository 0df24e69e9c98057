"""The platform's staff can look at every table, and change nothing that services make."""

import pytest
from django.test import Client
from django.urls import reverse

from labeling.models import Dataset
from labeling.services import freeze_version
from tests.factories import make_user
from tests.labeling.conftest import Offer, questions

TABLES = ("dataset", "importrun", "label", "example", "annotation", "datasetversion", "versionrow")


@pytest.mark.parametrize("table", TABLES)
def test_each_table_can_be_looked_at(dataset: Dataset, offer: Offer, table: str) -> None:
    offer(questions(30))
    freeze_version(dataset=dataset)
    client = Client()
    client.force_login(make_user(is_staff=True, is_superuser=True))

    assert client.get(reverse(f"admin:labeling_{table}_changelist")).status_code == 200
    assert client.get(reverse(f"admin:labeling_{table}_add")).status_code == 403
    if table == "dataset":
        page = client.get(reverse("admin:labeling_dataset_change", args=[dataset.pk]))
        assert "客服" in page.content.decode()
