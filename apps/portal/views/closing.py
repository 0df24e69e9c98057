"""A company leaves: what that means, everything of it in one file, and the way back."""

from __future__ import annotations

from uuid import UUID

from asgiref.sync import sync_to_async
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from accounts.access import OPEN_OR_CLOSING, tenant_page
from apps.portal.requests import TenantRequest
from common.errors import ApplicationError
from gpt_core import closing
from gpt_core.models import TenantArchive
from gpt_core.services.exports import pieces_of
from tenancy import audit
from tenancy.models import Role, Tenant

MOST_ARCHIVES = 5


@require_safe
@tenant_page(states=OPEN_OR_CLOSING)
def notice(request: TenantRequest) -> HttpResponse:
    """For an owner the way out and back; for every member of a closing company, what happens."""
    is_owner = request.membership.role == Role.OWNER
    if not is_owner and request.tenant.state == Tenant.State.ACTIVE:
        raise PermissionDenied
    return _page(request)


@require_POST
@tenant_page(Role.OWNER)
def begin(request: TenantRequest) -> HttpResponse:
    """Only with the name typed: nothing brings it back once the time of grace is over."""
    if request.POST.get("name", "").strip() != request.tenant.name.strip():
        return _page(request, fault=_("This is not the name of the tenant."), status=400)
    try:
        closing.begin_closing(request.tenant)
    except ApplicationError as error:
        messages.error(request, str(error.detail))
    return _back(request)


@require_POST
@tenant_page(Role.OWNER, states=OPEN_OR_CLOSING)
def undo(request: TenantRequest) -> HttpResponse:
    try:
        tenant = closing.undo_closing(request.tenant)
    except ApplicationError as error:
        messages.error(request, str(error.detail))
        return _back(request)
    if tenant.state == Tenant.State.ACTIVE:
        messages.success(request, _("The tenant is open again, as it was."))
        return HttpResponseRedirect(reverse("portal:home", args=[tenant.slug]))
    return HttpResponseRedirect("/")


@require_POST
@tenant_page(Role.OWNER, states=OPEN_OR_CLOSING)
def archive(request: TenantRequest) -> HttpResponse:
    """Have everything written into one file, in the background."""
    closing.start_archive(actor=request.user)
    return _back(request)


@require_safe
@tenant_page(Role.OWNER, states=OPEN_OR_CLOSING)
def archives(request: TenantRequest) -> HttpResponse:
    """The list, asked for again while one is being written."""
    return render(request, "portal/closing/_archives.html", _context(request))


@require_safe
@tenant_page(Role.OWNER, states=OPEN_OR_CLOSING)
async def download(request: TenantRequest, archive_id: UUID) -> HttpResponseBase:
    """The file, piece by piece; who took it is in the audit log."""

    def opened() -> HttpResponseBase:
        found = get_object_or_404(TenantArchive, pk=archive_id)
        if found.state != TenantArchive.State.DONE or not found.path.is_file():
            messages.error(request, _("This file is not there. Have it written anew."))
            return _back(request)
        audit.record("tenant.archive_taken", found)
        response = StreamingHttpResponse(pieces_of(found.path), content_type="application/x-tar")
        name = f"{request.tenant.slug}-{found.created_at:%Y-%m-%d}.tar"
        response["Content-Length"] = str(found.size)
        response["Content-Disposition"] = content_disposition_header(True, name) or ""
        response["Cache-Control"] = "private, no-store"
        response["X-Checksum-Sha256"] = found.digest
        return response

    return await sync_to_async(opened)()


def _page(request: TenantRequest, *, fault: str = "", status: int = 200) -> HttpResponse:
    context = _context(request) | {"fault": fault}
    return render(request, "portal/closing/notice.html", context, status=status)


def _context(request: TenantRequest) -> dict[str, object]:
    found = list(TenantArchive.objects.all()[:MOST_ARCHIVES])
    return {
        "is_owner": request.membership.role == Role.OWNER,
        "is_closing": request.tenant.state == Tenant.State.CLOSING,
        "archives": found,
        "is_writing": any(one.is_open for one in found),
    }


def _back(request: TenantRequest) -> HttpResponseRedirect:
    return HttpResponseRedirect(reverse("portal:closing", args=[request.tenant.slug]))
