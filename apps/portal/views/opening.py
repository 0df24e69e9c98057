"""Opening a tenant: a company's own space, with whoever opens it as its first owner."""

from __future__ import annotations

from typing import cast

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts import services
from accounts.models import User
from apps.portal import refusals
from apps.portal.settings_forms import OpenTenantForm
from tenancy.models import Membership
from tenancy.scope import system_scope


def may_open(user: User) -> bool:
    """Who belongs nowhere, always; who belongs somewhere, where the platform is open to all."""
    if settings.PARLEY_OPEN_SIGNUP:
        return True
    with system_scope("see whether a person belongs anywhere"):
        return not Membership.objects.filter(user_id=user.pk).exists()


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def open_tenant(request: HttpRequest) -> HttpResponse:
    user = cast(User, request.user)
    if not may_open(user):
        raise PermissionDenied
    language = get_language() or "en"
    form = OpenTenantForm(
        request.POST if request.method == "POST" else None, initial={"language": language}
    )
    if request.method == "POST" and form.is_valid():
        try:
            tenant = services.open_tenant(**form.cleaned_data, owner=user)
        except ValidationError as error:
            refusals.into(form, error)
        else:
            messages.success(request, _("%(tenant)s is open.") % {"tenant": tenant.name})
            return HttpResponseRedirect(reverse("portal:home", args=[tenant.slug]))
    status = 400 if form.errors else 200
    return render(request, "portal/open.html", {"form": form}, status=status)
