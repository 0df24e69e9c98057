"""Checkpoints and deployments: which models there are, which serve, and changing that."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Prefetch
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from accounts.access import tenant_page
from accounts.permissions import can_override, can_promote, can_train
from apps.portal.checkpoint_page import CheckpointPage
from apps.portal.forms import OverrideForm
from apps.portal.requests import TenantRequest
from common.errors import ApplicationError
from gpt_core import services
from gpt_core.models import BaseModel, Checkpoint, Deployment, Evaluation, State

PER_PAGE = 50


@require_safe
@tenant_page()
def models(request: TenantRequest) -> HttpResponse:
    """What serves, every checkpoint with the gate's word, and the bases they stand on."""
    judged = (
        Evaluation.objects.filter(state=State.SUCCEEDED).defer("report").order_by("-finished_at")
    )
    checkpoints = (
        Checkpoint.objects.results()
        .select_related("base_model", "job", "dataset_version__dataset")
        .prefetch_related(Prefetch("evaluations", queryset=judged, to_attr="judgements"), "serving")
    )
    context = {
        "deployments": Deployment.objects.select_related(
            "checkpoint__job", "previous", "base_model"
        ).order_by("name"),
        "page": Paginator(checkpoints.order_by("-created_at"), PER_PAGE).get_page(
            request.GET.get("page")
        ),
        "bases": BaseModel.objects.order_by("name"),
        "may_promote": can_promote(request.membership),
    }
    return render(request, "portal/models.html", context)


@require_safe
@tenant_page()
def checkpoint(request: TenantRequest, checkpoint_id: UUID) -> HttpResponse:
    """One checkpoint: what it is worth, where it came from, where it goes, what it can become."""
    page = _page(request, checkpoint_id)
    return render(request, "portal/checkpoint.html", {"page": page})


@require_safe
@tenant_page()
def live(request: TenantRequest, checkpoint_id: UUID) -> HttpResponse:
    """What changes by itself; 204 while nothing has, the whole page where its outcome is another."""
    page = _page(request, checkpoint_id)
    if request.GET.get("seen") == page.fingerprint:
        return HttpResponse(status=204)
    response = render(request, "portal/checkpoint/live.html", {"page": page})
    if request.GET.get("stage") != page.stage:
        response["HX-Refresh"] = "true"
    return response


@require_POST
@tenant_page(can_promote)
def promote(request: TenantRequest, checkpoint_id: UUID) -> HttpResponse:
    """Let the checkpoint serve; against the gate's word only for an owner, with a reason."""
    checkpoint = get_object_or_404(
        Checkpoint.objects.present().select_related("job"), pk=checkpoint_id
    )
    reason = None
    if "override" in request.POST:
        form = OverrideForm(request.POST)
        if not can_override(request.membership):
            messages.error(request, _("Only an owner may overrule the gate."))
            return _back(request, checkpoint)
        if not form.is_valid():
            messages.error(request, _("Say in at least ten characters why the gate is overruled."))
            return _back(request, checkpoint)
        reason = form.cleaned_data["reason"]
    try:
        services.promote(checkpoint=checkpoint, actor=request.user, override_reason=reason)
    except ApplicationError as error:
        messages.error(
            request, _("%(why)s (code: %(code)s)") % {"why": error.detail, "code": error.code}
        )
    else:
        messages.success(
            request,
            _("%(name)s serves now. The one before stays loaded, so you can roll back at once.")
            % {"name": checkpoint.name},
        )
    return _back(request, checkpoint)


@require_POST
@tenant_page(can_train)
def evaluate(request: TenantRequest, checkpoint_id: UUID) -> HttpResponse:
    """Compare again, beside what serves now."""
    checkpoint = get_object_or_404(
        Checkpoint.objects.present().select_related("job"), pk=checkpoint_id
    )
    try:
        services.evaluate_checkpoint(checkpoint=checkpoint, actor=request.user)
    except ApplicationError as error:
        messages.error(
            request, _("%(why)s (code: %(code)s)") % {"why": error.detail, "code": error.code}
        )
    else:
        messages.success(request, _("The comparison is in the queue."))
    return _back(request, checkpoint)


@require_POST
@tenant_page(can_promote)
def roll_back(request: TenantRequest, deployment_id: UUID) -> HttpResponse:
    """Let what served before serve again."""
    deployment = get_object_or_404(
        Deployment.objects.select_related("checkpoint", "previous", "base_model"), pk=deployment_id
    )
    slug = request.tenant.slug
    try:
        changed = services.roll_back(deployment=deployment, actor=request.user)
    except ApplicationError as error:
        messages.error(
            request, _("%(why)s (code: %(code)s)") % {"why": error.detail, "code": error.code}
        )
    else:
        messages.success(
            request,
            _("%(model)s serves “%(deployment)s” again.")
            % {"model": changed.model, "deployment": changed.name},
        )
    return HttpResponseRedirect(reverse("portal:models", args=[slug]))


def _page(request: TenantRequest, checkpoint_id: UUID) -> CheckpointPage:
    found = Checkpoint.objects.select_related(
        "base_model", "job__tenant", "step_of__tenant", "dataset_version__dataset"
    )
    return CheckpointPage(
        get_object_or_404(found, pk=checkpoint_id),
        request.membership,
        against=request.GET.get("against", ""),
    )


def _back(request: TenantRequest, checkpoint: Checkpoint) -> HttpResponse:
    slug = request.tenant.slug
    if request.POST.get("from") == "checkpoint" or not checkpoint.job_id:
        return HttpResponseRedirect(reverse("portal:checkpoint", args=[slug, checkpoint.pk]))
    return HttpResponseRedirect(reverse("portal:job", args=[slug, checkpoint.job_id]))
