"""Who belongs to the tenant, who is invited, and what each may do."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import invitation_mail, services
from accounts.access import credential_of, tenant_page
from accounts.permissions import can_manage, capabilities_of
from apps.portal import refusals, rights
from apps.portal.audit_trail import entries_of
from apps.portal.requests import TenantRequest
from apps.portal.settings_forms import InviteForm, RoleForm, roles_to_give
from common.errors import ApplicationError
from tenancy.models import AuditEntry, Invitation, Membership, Role

PER_PAGE = 50


@require_safe
@tenant_page()
def members(request: TenantRequest) -> HttpResponse:
    """Everybody with their role; who manages sees the open invitations too."""
    found = Membership.objects.select_related("user").order_by("user__email")
    page = Paginator(found, PER_PAGE).get_page(request.GET.get("page"))
    manages = can_manage(request.membership)
    waiting = Invitation.objects.filter(accepted_at=None, revoked_at=None).select_related(
        "invited_by"
    )
    roles, table = rights.table()
    context = {
        "page": page,
        "manages": manages,
        "invitations": waiting.order_by("-created_at")[:PER_PAGE] if manages else [],
        "now": timezone.now(),
        "roles": roles,
        "rights": table,
    }
    return render(request, "portal/settings/members.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_page(can_manage)
def member(request: TenantRequest, membership_id: UUID) -> HttpResponse:
    """One member: another role, what they did lately, and the way out."""
    found = _member(membership_id)
    form = RoleForm(
        request.POST if request.method == "POST" else None,
        giver=request.membership,
        initial={"role": found.role},
    )
    if request.method == "POST" and form.is_valid():
        role = form.cleaned_data["role"]
        try:
            services.change_role(membership=found, role=role, by=credential_of(request.membership))
        except ApplicationError as error:
            refusals.into(form, error)
            found.refresh_from_db()
        else:
            messages.success(
                request,
                _("%(person)s is %(role)s now.") % {"person": found.user, "role": Role(role).label},
            )
            return _to_members(request)
    done = AuditEntry.objects.filter(actor_kind="person", actor_id=str(found.user_id))
    context = {
        "member": found,
        "form": form,
        "within_reach": _within_reach(request, found),
        "last_owner": _is_last_owner(found),
        "lines": entries_of(list(done.order_by("-created_at")[:10])),
    }
    status = 400 if form.errors else 200
    return render(request, "portal/settings/member.html", context, status=status)


@require_POST
@tenant_page(can_manage)
def remove(request: TenantRequest, membership_id: UUID) -> HttpResponse:
    found = _member(membership_id)
    try:
        services.remove_member(membership=found, by=credential_of(request.membership))
    except ApplicationError as error:
        refusals.say(request, error)
        return HttpResponseRedirect(reverse("portal:member", args=[request.tenant.slug, found.pk]))
    messages.success(request, _("%(person)s is no member any more.") % {"person": found.user})
    if found.user_id == request.user.pk:
        return HttpResponseRedirect(reverse("portal:start"))
    return _to_members(request)


# --- Invitations -----------------------------------------------------------------------------


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@tenant_page(can_manage)
def invite(request: TenantRequest) -> HttpResponse:
    """Ask whom and as what; then show the link this once."""
    form = InviteForm(
        request.POST if request.method == "POST" else None,
        giver=request.membership,
        initial={"role": Role.ANNOTATOR},
    )
    if request.method == "POST" and form.is_valid():
        try:
            invitation, token = services.invite(
                **form.cleaned_data, by=credential_of(request.membership)
            )
        except ApplicationError as error:
            refusals.into(form, error)
        else:
            return _shown_once(request, invitation, token)
    status = 400 if form.errors else 200
    return render(request, "portal/settings/invite.html", {"form": form}, status=status)


@never_cache
@require_POST
@tenant_page(can_manage)
def renew(request: TenantRequest, invitation_id: UUID) -> HttpResponse:
    """The same place with a new link; the one that was sent before is void."""
    invitation = get_object_or_404(Invitation, pk=invitation_id)
    try:
        token = services.renew_invitation(
            invitation=invitation, by=credential_of(request.membership)
        )
    except ApplicationError as error:
        refusals.say(request, error)
        return _to_members(request)
    return _shown_once(request, invitation, token)


@require_POST
@tenant_page(can_manage)
def revoke(request: TenantRequest, invitation_id: UUID) -> HttpResponse:
    invitation = get_object_or_404(Invitation, pk=invitation_id)
    services.revoke_invitation(invitation=invitation)
    messages.success(
        request, _("The invitation of %(email)s is withdrawn.") % {"email": invitation.email}
    )
    return _to_members(request)


def _shown_once(request: TenantRequest, invitation: Invitation, token: str) -> HttpResponse:
    """The link on the page and in a mail; the code stands behind the #, which no server is sent."""
    link = request.build_absolute_uri(f"{reverse('portal:join')}#{token}")
    mailed = invitation_mail.send(
        invitation, link=link, tenant=request.tenant, inviter=request.user
    )
    context: dict[str, Any] = {"invitation": invitation, "link": link, "mailed": mailed}
    return render(request, "portal/settings/invited.html", context)


# --- What the views share --------------------------------------------------------------------


def _member(membership_id: UUID) -> Membership:
    return get_object_or_404(Membership.objects.select_related("user"), pk=membership_id)


def _within_reach(request: TenantRequest, found: Membership) -> bool:
    """Whether the reader holds all that this member does, and so may change it."""
    may_give = {role for role, _label in roles_to_give(request.membership)}
    return found.role in may_give and bool(capabilities_of(found))


def _is_last_owner(found: Membership) -> bool:
    if found.role != Role.OWNER:
        return False
    return not Membership.objects.filter(role=Role.OWNER).exclude(pk=found.pk).exists()


def _to_members(request: TenantRequest) -> HttpResponseRedirect:
    return HttpResponseRedirect(reverse("portal:members", args=[request.tenant.slug]))
