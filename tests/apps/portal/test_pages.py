"""The pages as people find them: right, plain, in their language, and no query too many."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from gpt_core.models import FineTuningJob, State
from tenancy.models import Tenant
from tenancy.scope import tenant_scope
from tests.apps.portal import scenes
from tests.apps.portal.conftest import Door
from tests.factories import make_member, make_tenant, make_user

pytestmark = pytest.mark.django_db


def at(tenant: Tenant, path: str = "") -> str:
    return f"/t/{tenant.slug}/{path}"


def text_of(page: object) -> str:
    """What a reader sees, without the markup."""
    html = page.content.decode()  # type: ignore[attr-defined]
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))


PLACES = ["", "datasets/", "jobs/", "models/", "playground/", "desk/"]


@pytest.mark.parametrize("place", PLACES)
def test_every_page_of_a_tenant_without_anything_says_what_will_be_here(
    place: str, tenant: Tenant, door: Door
) -> None:
    page = door("owner").get(at(tenant, place))
    assert page.status_code == 200
    assert 'class="empty"' in page.content.decode()


@pytest.mark.parametrize("place", PLACES)
def test_every_page_speaks_chinese_to_who_wants_it(
    place: str, tenant: Tenant, door: Door, story: scenes.Story
) -> None:
    page = door("owner").get(at(tenant, place), headers={"accept-language": "zh-CN"})
    assert '<html lang="zh-Hans"' in page.content.decode()


@pytest.mark.parametrize("place", PLACES)
def test_a_stranger_is_sent_to_sign_in(place: str, tenant: Tenant) -> None:
    page = Client().get(at(tenant, place))
    assert page.status_code == 302
    assert page.headers["Location"].startswith("/accounts/login/")


@pytest.mark.parametrize("place", PLACES)
def test_a_member_of_another_tenant_finds_nothing(
    place: str, tenant: Tenant, other_tenant: Tenant
) -> None:
    client = Client()
    client.force_login(make_member(other_tenant))
    foreign = client.get(at(tenant, place))
    unknown = client.get(f"/t/no-such-tenant/{place}")
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.content == unknown.content
    assert "not_found" in foreign.content.decode()


def test_who_belongs_to_one_tenant_goes_straight_there(tenant: Tenant, door: Door) -> None:
    assert door("viewer").get("/").headers["Location"] == at(tenant)


def test_who_belongs_to_several_tenants_chooses(tenant: Tenant, other_tenant: Tenant) -> None:
    from tenancy.models import Membership
    from tenancy.scope import system_scope

    client = Client()
    user = make_member(tenant)
    with system_scope("test: a second membership"):
        Membership.objects.create(tenant=other_tenant, user=user, role="viewer")
    client.force_login(user)
    page = client.get("/").content.decode()
    assert at(tenant) in page
    assert at(other_tenant) in page


def test_who_belongs_nowhere_is_told_what_to_do() -> None:
    client = Client()
    user = make_user("nobody@example.com")
    client.force_login(user)
    assert "nobody@example.com" in text_of(client.get("/"))


def test_the_home_says_what_serves_what_runs_and_what_waits(
    tenant: Tenant, door: Door, story: scenes.Story
) -> None:
    page = text_of(door("owner").get(at(tenant)))
    with tenant_scope(tenant):
        assert story.serving.checkpoint.name in page
        assert story.open.checkpoint.name in page
        # An older result that a newer one has overtaken waits for nobody.
        assert story.refused.checkpoint.name not in page
    assert "step 204 of 480" in page
    assert "about 4 min 12 s left" in page


@pytest.mark.parametrize("place", ["", "jobs/", "models/", "datasets/", "playground/"])
def test_a_list_asks_as_often_for_many_rows_as_for_few(
    place: str, tenant: Tenant, door: Door, story: scenes.Story
) -> None:
    client = door("owner")

    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as caught:
            assert client.get(at(tenant, place)).status_code == 200
        return len(caught)

    queries()
    few = queries()
    with tenant_scope(tenant):
        now = timezone.now()
        for number in range(20, 32):
            state = State.SUCCEEDED if number % 2 else State.QUEUED
            job = scenes.make_job(
                tenant,
                story.base,
                story.version,
                number,
                now - timedelta(hours=number),
                state,
                deployment=f"slot-{number}",
            )
            if state == State.SUCCEEDED:
                scenes.evaluate(scenes.make_checkpoint(job, now), None, gain=0.5, at=now)
            scenes.make_dataset(f"data-{number}")
    assert queries() <= few
    assert few <= 36


def test_the_list_of_jobs_is_cut_into_pages_and_filtered_by_state(
    tenant: Tenant, door: Door, story: scenes.Story
) -> None:
    with tenant_scope(tenant):
        for number in range(10, 65):
            scenes.make_job(tenant, story.base, story.version, number, timezone.now(), State.QUEUED)
    client = door("viewer")
    assert "1 to 50 of 61" in text_of(client.get(at(tenant, "jobs/")))
    assert "51 to 61 of 61" in text_of(client.get(at(tenant, "jobs/?page=2")))
    failed = text_of(client.get(at(tenant, "jobs/?state=failed")))
    assert str(story.failed.number) in failed
    assert client.get(at(tenant, "jobs/?state=nonsense&page=x")).status_code == 200


def test_a_version_shows_its_rows_as_text_and_never_as_markup(
    tenant: Tenant, door: Door, story: scenes.Story
) -> None:
    address = at(tenant, f"datasets/{story.dataset.pk}/versions/1/?split=test")
    page = door("viewer").get(address)
    html = page.content.decode()
    assert "Is &lt;b&gt;VAT&lt;/b&gt; included &amp; shown" in html
    assert "你们提供免费报价吗？" in html
    assert "报价" in html


def test_the_theme_is_kept_in_a_cookie_and_nothing_else_is_taken(
    tenant: Tenant, door: Door
) -> None:
    client = door("viewer")
    answer = client.post("/preferences/theme/", {"theme": "dark", "next": at(tenant)})
    assert answer.headers["Location"] == at(tenant)
    assert 'data-theme="dark"' in client.get(at(tenant)).content.decode()
    assert client.post("/preferences/theme/", {"theme": '"><b>'}).status_code == 400
    away = client.post("/preferences/theme/", {"theme": "light", "next": "https://evil.example/"})
    assert away.headers["Location"] == "/"


def test_a_forged_theme_cookie_is_not_repeated(tenant: Tenant, door: Door) -> None:
    client = door("viewer")
    client.cookies["theme"] = "dark x"
    assert 'data-theme="auto"' in client.get(at(tenant)).content.decode()


def test_a_form_without_its_token_is_refused_in_words(tenant: Tenant) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_member(tenant))
    answer = client.post("/preferences/theme/", {"theme": "dark"})
    assert answer.status_code == 403
    assert "csrf_failed" in answer.content.decode()


def test_the_sign_in_pages_are_ours(db: None) -> None:
    client = Client()
    for path in ("login", "signup", "password/reset"):
        page = client.get(f"/accounts/{path}/").content.decode()
        assert 'class="entrance"' in page, path


def test_a_member_sets_up_a_second_factor(tenant: Tenant, door: Door) -> None:
    client = Client()
    client.force_login(make_member(tenant))
    page = client.get("/accounts/2fa/")
    assert page.status_code == 200
    assert 'class="rail"' in page.content.decode()


def test_every_page_forbids_inline_script_and_style(tenant: Tenant, door: Door) -> None:
    policy = door("viewer").get(at(tenant)).headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "script-src 'self'" in policy


def test_jobs_of_two_tenants_never_meet(story: scenes.Story, tenant: Tenant) -> None:
    other = make_tenant()
    scenes.tell(other)
    with tenant_scope(tenant):
        mine = {str(pk) for pk in FineTuningJob.objects.values_list("pk", flat=True)}
    client = Client()
    client.force_login(make_member(other))
    listed = client.get(at(other, "jobs/")).content.decode()
    assert not [pk for pk in mine if pk in listed]


def test_no_two_pages_of_the_rail_share_a_key(tenant: Tenant, door: Door) -> None:
    page = door("owner").get(f"/t/{tenant.slug}/datasets/").content.decode()
    keys = re.findall(r'data-key="([^"]+)"', page)
    assert len(keys) > 10
    assert len(keys) == len(set(keys))
