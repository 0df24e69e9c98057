"""A checkpoint on trial: begun, watched, stopped."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from accounts.access import tenant_page
from accounts.permissions import can_promote
from apps.chatbot.models import CandidateTrial, Inbox
from apps.chatbot.services.trials import start_trial, stop_trial
from apps.portal import refusals
from apps.portal.requests import TenantRequest
from apps.portal.trial_page import TrialForm, trials_of
from common.errors import ApplicationError


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_page()
def trial(request: TenantRequest, inbox_id: UUID) -> HttpResponse:
    """The trials of an inbox with both sides of each, and the form for the next."""
    found = get_object_or_404(Inbox.objects.select_related("deployment__checkpoint"), pk=inbox_id)
    may = can_promote(request.membership)
    if request.method == "POST" and not may:
        raise PermissionDenied
    form = TrialForm(found, request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        try:
            start_trial(inbox=found, actor=request.user, **form.cleaned_data)
        except ApplicationError as error:
            refusals.into(form, error)
        else:
            messages.success(request, _("On trial, for conversations that begin from now on."))
            return _to(request, found)
    context = {
        "inbox": found,
        "trials": trials_of(found),
        "under_way": CandidateTrial.objects.filter(inbox=found, ended_at=None).first(),
        "form": form,
        "may_promote": may,
    }
    status = 400 if form.errors else 200
    return render(request, "portal/inboxes/trial.html", context, status=status)


@require_POST
@tenant_page(can_promote)
def stop(request: TenantRequest, trial_id: UUID) -> HttpResponse:
    found = get_object_or_404(
        CandidateTrial.objects.select_related("inbox", "checkpoint"), pk=trial_id
    )
    stop_trial(trial=found)
    messages.success(
        request, _("Stopped. What serves answers everywhere from the next message on.")
    )
    return _to(request, found.inbox)


def _to(request: TenantRequest, inbox: Inbox) -> HttpResponseRedirect:
    return HttpResponseRedirect(reverse("portal:trial", args=[request.tenant.slug, inbox.pk]))
