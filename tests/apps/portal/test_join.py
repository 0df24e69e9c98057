"""Taking an invitation: signed in, new, as somebody else, too late, and without a script."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.test import Client
from django.utils import timezone

from accounts import services
from accounts.models import User
from tenancy.models import Invitation, Membership, Tenant
from tenancy.scope import system_scope, tenant_scope
from tests.factories import make_user

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse 电池"


def text_of(page: object) -> str:
    html = page.content.decode()  # type: ignore[attr-defined]
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))


def invited(tenant: Tenant, email: str = "li@example.com", role: str = "annotator") -> str:
    with tenant_scope(tenant):
        return services.invite(email=email, role=role, by=None)[1]


def role_of(tenant: Tenant, email: str) -> str | None:
    with tenant_scope(tenant):
        return Membership.objects.filter(user__email=email).values_list("role", flat=True).first()


def test_somebody_who_is_signed_in_accepts(tenant: Tenant) -> None:
    token = invited(tenant)
    client = Client()
    client.force_login(make_user("li@example.com"))
    page = client.post("/join/", {"code": token}, follow=True)
    assert tenant.name in text_of(page)
    assert role_of(tenant, "li@example.com") is None, "nothing happens before they say yes"
    welcome = client.post("/join/accept/", follow=True)
    assert welcome.redirect_chain[-1][0] == f"/t/{tenant.slug}/"
    assert role_of(tenant, "li@example.com") == "annotator"


def test_somebody_new_signs_up_and_accepts(tenant: Tenant, settings: object) -> None:
    settings.ACCOUNT_RATE_LIMITS = False  # type: ignore[attr-defined]
    client = Client()
    page = client.post("/join/", {"code": invited(tenant)}, follow=True)
    assert "/accounts/signup/?next=/join/" in page.content.decode()
    form = {"email": "li@example.com", "password1": PASSWORD, "password2": PASSWORD}
    made = client.post("/accounts/signup/?next=/join/", form | {"next": "/join/"})
    assert made.headers["Location"] == "/join/"
    assert tenant.name in text_of(client.get("/join/"))
    client.post("/join/accept/")
    assert role_of(tenant, "li@example.com") == "annotator"
    with system_scope("test"):
        assert User.objects.get().memberships.count() == 1


def test_the_whole_link_may_be_pasted(tenant: Tenant) -> None:
    link = f"  https://parley.example.com/join/#{invited(tenant)}\n"
    assert Client().post("/join/", {"code": link}).status_code == 302


def test_another_person_is_told_for_whom_it_is(tenant: Tenant) -> None:
    client = Client()
    client.force_login(make_user("wang@example.com"))
    page = text_of(client.post("/join/", {"code": invited(tenant)}, follow=True))
    assert "You are signed in as wang@example.com." in page
    client.post("/join/accept/")
    assert role_of(tenant, "wang@example.com") is None


@pytest.mark.parametrize("code", ["", "x", "#", "令牌", "x" * 5000, "\x00", "a#b#c"])
def test_a_code_that_opens_nothing_is_refused_in_words(code: str, tenant: Tenant) -> None:
    page = Client().post("/join/", {"code": code})
    assert page.status_code == 404
    assert "This invitation is not valid" in text_of(page)


def test_late_withdrawn_and_used_are_refused_alike(tenant: Tenant) -> None:
    pages = set()
    for spoil in (
        {"expires_at": timezone.now() - timedelta(seconds=1)},
        {"revoked_at": timezone.now()},
        {"accepted_at": timezone.now()},
    ):
        token = invited(tenant)
        with tenant_scope(tenant):
            Invitation.objects.update(**spoil)
        pages.add(text_of(Client().post("/join/", {"code": token})))
    assert len(pages) == 1


def test_an_invitation_withdrawn_meanwhile_is_not_taken(tenant: Tenant) -> None:
    client = Client()
    client.force_login(make_user("li@example.com"))
    client.post("/join/", {"code": invited(tenant)})
    with tenant_scope(tenant):
        services.revoke_invitation(invitation=Invitation.objects.get())
    client.post("/join/accept/")
    assert role_of(tenant, "li@example.com") is None
    assert client.get("/join/").status_code == 404
    assert client.get("/join/").status_code == 200, "said once"


def test_a_suspended_tenant_takes_nobody(tenant: Tenant) -> None:
    token = invited(tenant)
    with system_scope("test"):
        Tenant.objects.update(state=Tenant.State.SUSPENDED)
    assert Client().post("/join/", {"code": token}).status_code == 404


def test_the_session_keeps_the_hash_and_not_the_code(tenant: Tenant) -> None:
    token = invited(tenant)
    client = Client()
    client.post("/join/", {"code": token})
    assert token not in str(dict(client.session))
    client.post("/join/forget/")
    assert "invitation" not in client.session


def test_nobody_accepts_by_a_link_alone(tenant: Tenant) -> None:
    client = Client()
    client.force_login(make_user("li@example.com"))
    client.post("/join/", {"code": invited(tenant)})
    assert client.get("/join/accept/").status_code == 405
    assert role_of(tenant, "li@example.com") is None
