"""Starting a fine-tuning: choose, read what auto will do, change what you know better, start."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.access import tenant_page
from accounts.permissions import can_train
from apps.portal.requests import TenantRequest
from apps.portal.tuning_form import ChoiceForm, SettingsForm
from apps.portal.tuning_page import TuningPage
from common.errors import ApplicationError
from gpt_core import services


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_page(can_train)
def new(request: TenantRequest) -> HttpResponse:
    """One page that grows: the choice in its address, then the plan, then the start."""
    if request.method == "POST":
        return _start(request)
    asked = {
        name: request.GET[name] for name in ("version", "base", "deployment") if name in request.GET
    }
    complete = len(asked) == 3
    choice = ChoiceForm(request.GET) if complete else ChoiceForm(initial=asked)
    return _shown(request, TuningPage(choice, SettingsForm()))


def _start(request: TenantRequest) -> HttpResponse:
    choice, settings = ChoiceForm(request.POST), SettingsForm(request.POST)
    page = TuningPage(choice, settings)
    if not (choice.is_valid() and settings.is_valid()):
        return _shown(request, page, status=422)
    try:
        job = services.start_fine_tuning(
            dataset_version=choice.cleaned_data["version"],
            base_model=choice.cleaned_data["base"],
            deployment=choice.cleaned_data["deployment"],
            actor=request.user,
            **settings.settings(),
        )
    except ApplicationError as error:
        settings.refuse(error.field, str(error.detail))
        return _shown(request, page, status=422)
    messages.success(request, _("The job is started. You may close this page; it goes on."))
    return HttpResponseRedirect(reverse("portal:job", args=[request.tenant.slug, job.pk]))


def _shown(request: TenantRequest, page: TuningPage, *, status: int = 200) -> HttpResponse:
    return render(request, "portal/tuning.html", {"page": page}, status=status)
