"""Usage in figures: used against limit, day by day, key by key."""

import re
from html import unescape

import pytest
from django.utils import timezone

from accounts import services
from accounts.models import ApiKey
from apps.portal.usage_page import METERS
from tenancy import quotas
from tenancy.models import Tenant
from tenancy.scope import tenant_scope
from tests.apps.portal.conftest import Door

pytestmark = pytest.mark.django_db


def at(tenant: Tenant, path: str = "usage/") -> str:
    return f"/t/{tenant.slug}/settings/{path}"


def text_of(page: object) -> str:
    html = page.content.decode()  # type: ignore[attr-defined]
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))


@pytest.fixture(autouse=True)
def one_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock stands still: no minute and no month ends between asking and looking."""
    moment = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: moment)


@pytest.fixture
def key(tenant: Tenant) -> ApiKey:
    """A key that asked twice; once somebody asked on the pages."""
    with tenant_scope(tenant):
        made, _secret = services.create_api_key(name="官网", scopes=["generate"], by=None)
        for key_id in (made.pk, made.pk, None):
            quotas.take_request(key_id=key_id)
        reserved = quotas.reserve_tokens(900, key_id=made.pk)
        quotas.settle_tokens(reserved, prompt=310, completion=42)
    return made


def test_nothing_used_says_what_will_be_here(tenant: Tenant, door: Door) -> None:
    page = door("owner").get(at(tenant)).content.decode()
    assert 'class="empty"' in page
    assert "Requests in this minute" in page


def test_every_member_sees_what_is_used_of_what(tenant: Tenant, key: ApiKey, door: Door) -> None:
    page = text_of(door("viewer").get(at(tenant)))
    with tenant_scope(tenant):
        limit = quotas.limits_of()[0].requests_per_minute
    assert f"3 of {limit:,}" in page
    assert "官网 2 352" in page
    assert "people on these pages 1 0" in page


def test_the_chart_has_thirty_days_and_ends_today(tenant: Tenant, key: ApiKey, door: Door) -> None:
    figures = door("viewer").get(at(tenant, "usage/days/")).json()
    assert {len(column) for column in figures.values()} == {30}
    assert figures["requests"][-1] == 3
    assert figures["completion_tokens"][-1] == 42
    own = door("admin").get(at(tenant, f"keys/{key.pk}/days/")).json()
    assert own["requests"][-1] == 2


def test_every_limit_has_its_words() -> None:
    assert set(METERS) == set(quotas.NAMES)


def test_a_key_gets_limits_of_its_own(tenant: Tenant, key: ApiKey, door: Door) -> None:
    client = door("admin")
    place = at(tenant, f"keys/{key.pk}/")
    assert client.post(place, {"requests_per_minute": "7"}).status_code == 302
    with tenant_scope(tenant):
        assert quotas.limits_of(key.pk)[1].requests_per_minute == 7
        quotas.take_request(key_id=key.pk)
    page = text_of(client.get(place))
    assert "1 of 7" in page
    client.post(place, {"requests_per_minute": ""})
    with tenant_scope(tenant):
        assert quotas.limits_of(key.pk)[1].requests_per_minute is None


@pytest.mark.parametrize("odd", ["-1", "x", "9" * 30, "1.5", "三"])
def test_a_limit_that_makes_no_sense_is_said_beside_its_field(
    odd: str, tenant: Tenant, key: ApiKey, door: Door
) -> None:
    page = door("owner").post(at(tenant, f"keys/{key.pk}/"), {"requests_per_minute": odd})
    assert page.status_code == 400
    assert 'id="id_requests_per_minute_error"' in page.content.decode()


@pytest.mark.parametrize("role", ["viewer", "agent", "annotator"])
def test_a_keys_page_is_for_who_manages(role: str, tenant: Tenant, key: ApiKey, door: Door) -> None:
    client = door(role)
    for path in (f"keys/{key.pk}/", f"keys/{key.pk}/days/"):
        assert client.get(at(tenant, path)).status_code == 403
