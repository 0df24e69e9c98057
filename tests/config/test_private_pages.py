"""A page that was made for somebody is shown to nobody out of a cache."""

import pytest
from django.test import Client

from tests.factories import make_member, make_tenant

pytestmark = pytest.mark.django_db


def test_what_a_signed_in_person_sees_is_kept_nowhere(client: Client) -> None:
    acme = make_tenant("acme")
    client.force_login(make_member(acme, "viewer"))
    assert client.get("/t/acme/datasets/").headers["Cache-Control"] == "private, no-store"


def test_a_page_for_everybody_may_be_kept(client: Client) -> None:
    assert "no-store" not in client.get("/demo/nothing/").headers.get("Cache-Control", "")
