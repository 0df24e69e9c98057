"""Members and invitations on their pages: who sees what, who may do what, and what is said."""

import re
from html import unescape

import pytest
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.test import Client

from accounts import services
from accounts.models import User
from tenancy.models import AuditEntry, Invitation, Membership, Tenant
from tenancy.scope import tenant_scope
from tests.apps.portal.conftest import Door
from tests.factories import make_member, make_user

pytestmark = pytest.mark.django_db


def at(tenant: Tenant, path: str = "") -> str:
    return f"/t/{tenant.slug}/settings/{path}"


def text_of(page: object) -> str:
    html = page.content.decode()  # type: ignore[attr-defined]
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))


def sent() -> EmailMultiAlternatives:
    (letter,) = mail.outbox
    assert isinstance(letter, EmailMultiAlternatives)
    return letter


def membership(tenant: Tenant, user: User) -> Membership:
    with tenant_scope(tenant):
        return Membership.objects.get(user=user)


def link_in(page: object) -> str:
    found = re.search(r'value="(http://testserver/join/#[^"]+)"', page.content.decode())  # type: ignore[attr-defined]
    assert found
    return found[1]


def test_everybody_sees_the_members_and_who_may_do_what(tenant: Tenant, door: Door) -> None:
    make_member(tenant, "annotator", email="wang@example.com", name="王芳")
    page = text_of(door("viewer").get(at(tenant, "members/")))
    assert "王芳" in page
    assert "Overrule the gate" in page
    assert "Invite" not in page


def test_an_invitation_is_mailed_and_its_link_shown_once(tenant: Tenant, door: Door) -> None:
    admin = door("admin")
    page = admin.post(
        at(tenant, "members/invite/"), {"email": "Li@Example.com", "role": "annotator"}
    )
    link = link_in(page)
    assert page.headers["Cache-Control"].find("no-store") >= 0
    letter = sent()
    assert letter.to == ["li@example.com"]
    assert link in letter.body
    assert link in str(letter.alternatives[0][0])
    with tenant_scope(tenant):
        assert Invitation.objects.get().role == "annotator"
    assert link not in admin.get(at(tenant, "members/")).content.decode()
    assert "li@example.com" in text_of(admin.get(at(tenant, "members/")))


def test_the_letter_speaks_the_tenants_language(tenant: Tenant, door: Door) -> None:
    with tenant_scope(tenant):
        Tenant.objects.update(language="zh-hans", name="宏达 & <b>建设</b>")
    door("owner").post(at(tenant, "members/invite/"), {"email": "li@example.com", "role": "viewer"})
    letter = sent()
    html = str(letter.alternatives[0][0])
    assert 'lang="zh-hans"' in html
    assert "宏达 &amp; &lt;b&gt;建设&lt;/b&gt;" in html
    assert "宏达 & <b>建设</b>" in letter.body
    assert "\n" not in letter.subject


def test_a_mail_that_cannot_be_sent_leaves_the_link(
    tenant: Tenant, door: Door, settings: object
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"  # type: ignore[attr-defined]
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9  # type: ignore[attr-defined]
    page = door("owner").post(
        at(tenant, "members/invite/"), {"email": "li@example.com", "role": "viewer"}
    )
    assert "could not be sent" in text_of(page)
    assert link_in(page)


def test_a_renewed_invitation_voids_the_link_before(tenant: Tenant, door: Door) -> None:
    owner = door("owner")
    first = link_in(
        owner.post(at(tenant, "members/invite/"), {"email": "li@example.com", "role": "viewer"})
    )
    with tenant_scope(tenant):
        invitation = Invitation.objects.get()
    second = link_in(owner.post(at(tenant, f"invitations/{invitation.pk}/renew/")))
    assert first != second
    guest = Client()
    assert guest.post("/join/", {"code": first}).status_code == 404
    assert guest.post("/join/", {"code": second}).status_code == 302


def test_an_admin_is_not_offered_to_make_an_owner(tenant: Tenant, door: Door) -> None:
    admin = door("admin")
    assert 'value="owner"' not in admin.get(at(tenant, "members/invite/")).content.decode()
    refused = admin.post(
        at(tenant, "members/invite/"), {"email": "li@example.com", "role": "owner"}
    )
    assert refused.status_code == 400
    with tenant_scope(tenant):
        assert not Invitation.objects.exists()


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"email": "nobody", "role": "viewer"},
        {"email": "li@example.com", "role": "king"},
        {"email": "李@", "role": "viewer"},
    ],
)
def test_an_invitation_that_makes_no_sense_is_answered_beside_its_field(
    form: dict[str, str], tenant: Tenant, door: Door
) -> None:
    page = door("owner").post(at(tenant, "members/invite/"), form)
    assert page.status_code == 400
    assert "errorlist" in page.content.decode()
    assert not mail.outbox


def test_a_member_is_not_invited_again_and_is_told_so(tenant: Tenant, door: Door) -> None:
    make_member(tenant, "viewer", email="li@example.com")
    page = door("owner").post(
        at(tenant, "members/invite/"), {"email": "LI@example.com", "role": "viewer"}
    )
    assert "This person is a member already." in text_of(page)


def test_a_role_is_changed_and_written_down(tenant: Tenant, door: Door) -> None:
    li = make_member(tenant, "viewer", name="李雷")
    place = membership(tenant, li)
    owner = door("owner")
    answer = owner.post(at(tenant, f"members/{place.pk}/"), {"role": "annotator"}, follow=True)
    assert "李雷 is annotator now." in text_of(answer)
    assert membership(tenant, li).role == "annotator"
    with tenant_scope(tenant):
        assert AuditEntry.objects.get(action="member.role_changed").data["after"] == "annotator"


def test_the_last_owner_is_told_why_they_stay(tenant: Tenant) -> None:
    owner = make_member(tenant, "owner")
    client = Client()
    client.force_login(owner)
    place = at(tenant, f"members/{membership(tenant, owner).pk}/")
    assert "This is the only owner." in text_of(client.get(place))
    refused = client.post(place, {"role": "viewer"})
    assert "A tenant keeps at least one owner." in text_of(refused)
    client.post(f"{place}remove/")
    client.post(at(tenant, "leave/"))
    assert membership(tenant, owner).role == "owner"
    assert "You are the only owner." in text_of(client.get(at(tenant)))


def test_an_admin_cannot_touch_an_owner(tenant: Tenant, door: Door) -> None:
    owner = make_member(tenant, "owner")
    make_member(tenant, "owner")
    place = at(tenant, f"members/{membership(tenant, owner).pk}/")
    admin = door("admin")
    assert "This member may do more than you" in text_of(admin.get(place))
    admin.post(place, {"role": "viewer"})
    admin.post(f"{place}remove/")
    assert membership(tenant, owner).role == "owner"


def test_a_removed_member_finds_nothing_any_more(tenant: Tenant, door: Door) -> None:
    li = make_member(tenant, "annotator", email="li@example.com")
    client = Client()
    client.force_login(li)
    door("owner").post(at(tenant, f"members/{membership(tenant, li).pk}/remove/"))
    assert client.get(f"/t/{tenant.slug}/").status_code == 404
    # The trail still knows who it was.
    assert "Removed li@example.com" in text_of(door("owner").get(at(tenant, "audit/")))


def test_a_member_leaves_by_themselves(tenant: Tenant) -> None:
    make_member(tenant, "owner")
    li = make_member(tenant, "viewer")
    client = Client()
    client.force_login(li)
    assert client.post(at(tenant, "leave/")).headers["Location"] == "/"
    assert client.get(f"/t/{tenant.slug}/").status_code == 404


@pytest.mark.parametrize("role", ["viewer", "agent", "annotator"])
def test_who_does_not_manage_changes_nothing(role: str, tenant: Tenant, door: Door) -> None:
    li = make_member(tenant, "viewer")
    place = membership(tenant, li)
    with tenant_scope(tenant):
        invitation, _token = services.invite(email="x@example.com", role="viewer", by=None)
    client = door(role)
    for path in (
        f"members/{place.pk}/",
        f"members/{place.pk}/remove/",
        "members/invite/",
        f"invitations/{invitation.pk}/renew/",
        f"invitations/{invitation.pk}/revoke/",
        "",
    ):
        assert client.post(at(tenant, path), {"role": "owner"}).status_code == 403, path
    assert "x@example.com" not in text_of(client.get(at(tenant, "members/")))


def test_the_settings_of_the_tenant_are_changed_and_seen_at_once(
    tenant: Tenant, door: Door
) -> None:
    owner = door("owner")
    form = {"name": "宏达建设", "language": "zh-hans", "rise_colour": "red"}
    page = owner.post(at(tenant), form, follow=True)
    assert "宏达建设" in text_of(page)
    assert 'data-rise="red"' in page.content.decode()
    with tenant_scope(tenant):
        entry = AuditEntry.objects.get(action="tenant.changed")
    assert entry.data["fields"] == ["name", "language", "rise_colour"]
    assert owner.post(at(tenant), form | {"name": ""}).status_code == 400


def test_thousands_of_members_come_by_pages(tenant: Tenant, door: Door) -> None:
    for number in range(60):
        make_member(tenant, "viewer", email=f"p{number:02}@example.com")
    assert "1 to 50 of 61" in text_of(door("owner").get(at(tenant, "members/")))


def test_a_guest_has_no_place_yet(tenant: Tenant) -> None:
    client = Client()
    client.force_login(make_user())
    assert client.get(at(tenant, "members/")).status_code == 404
