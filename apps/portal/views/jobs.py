"""Fine-tuning jobs: the list, the page of one, its live parts, and what one may do with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count
from django.http import HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from accounts.access import tenant_page
from accounts.permissions import can_train
from apps.portal import charts
from apps.portal.forecasts import with_forecasts
from apps.portal.job_page import JobPage
from apps.portal.requests import TenantRequest
from common.errors import ApplicationError
from gpt_core import services
from gpt_core.models import FineTuningJob, State

PER_PAGE = 50


@require_safe
@tenant_page()
def jobs(request: TenantRequest) -> HttpResponse:
    """The jobs, newest first, by state."""
    counted = FineTuningJob.objects.order_by().values_list("state").annotate(Count("pk"))
    counts = {state: n for state, n in counted}
    state = request.GET.get("state", "")
    found = FineTuningJob.objects.select_related(
        "tenant", "base_model", "dataset_version__dataset", "training_file", "checkpoint"
    ).order_by("-queued_at", "-number")
    if state in State.values:
        found = found.filter(state=state)
    page = Paginator(found, PER_PAGE).get_page(request.GET.get("page"))
    with_forecasts(page.object_list)
    context = {
        "page": page,
        "state": state,
        "may_train": can_train(request.membership),
        "total": sum(counts.values()),
        "states": [(one.value, one.label, counts[one.value]) for one in State if one in counts],
    }
    return render(request, "portal/jobs.html", context)


@require_safe
@tenant_page()
def job(request: TenantRequest, job_id: UUID) -> HttpResponse:
    """One job: state, curve, log, before against after, the gate."""
    return render(request, "portal/job.html", {"page": _page(request, job_id)})


@require_safe
@tenant_page()
def live(request: TenantRequest, job_id: UUID) -> HttpResponse:
    """The parts of a job's page that change by themselves; 204 while nothing has."""
    page = _page(request, job_id)
    if request.GET.get("seen") == page.fingerprint:
        return HttpResponse(status=204)
    changed = request.GET.get("stage") != page.stage
    return render(request, "portal/job/live.html", {"page": page, "stage_changed": changed})


@require_safe
@tenant_page()
def curve(request: TenantRequest, job_id: UUID) -> HttpResponse:
    """The figures of the loss curve; 204 while there are no more than the reader has."""
    found = get_object_or_404(FineTuningJob, pk=job_id)
    mark = f"{found.state}-{found.step}-{found.events_read}"
    if request.GET.get("seen") == mark:
        return HttpResponse(status=204)
    return JsonResponse({**charts.loss_curve(found), "mark": mark})


@require_POST
@tenant_page(can_train)
def cancel(request: TenantRequest, job_id: UUID) -> HttpResponse:
    return _done(
        request,
        job_id,
        lambda job: services.cancel_job(job),
        _("The job stops within a step. What it had learned is not kept."),
    )


@require_POST
@tenant_page(can_train)
def pause(request: TenantRequest, job_id: UUID) -> HttpResponse:
    return _done(
        request,
        job_id,
        lambda job: services.pause_job(job),
        _("The job pauses within a step and can go on from there."),
    )


@require_POST
@tenant_page(can_train)
def resume(request: TenantRequest, job_id: UUID) -> HttpResponse:
    return _done(
        request, job_id, lambda job: services.resume_job(job), _("The job is back in the queue.")
    )


@require_POST
@tenant_page(can_train)
def retry(request: TenantRequest, job_id: UUID) -> HttpResponse:
    return _done(
        request,
        job_id,
        lambda job: services.retry_job(job, actor=request.user),
        _("A new job with the same settings is in the queue."),
    )


def _page(request: TenantRequest, job_id: UUID) -> JobPage:
    found = FineTuningJob.objects.select_related(
        "tenant", "base_model", "dataset_version__dataset", "training_file", "retry_of", "actor"
    )
    return JobPage(get_object_or_404(found, pk=job_id), request.membership)


def _done(
    request: TenantRequest, job_id: UUID, act: Callable[[FineTuningJob], Any], said: str
) -> HttpResponse:
    """Do it and say so, or say why not; then show the job that is now the one to look at."""
    found = get_object_or_404(FineTuningJob, pk=job_id)
    shown = found
    try:
        result = act(found)
    except ApplicationError as error:
        messages.error(
            request, _("%(why)s (code: %(code)s)") % {"why": error.detail, "code": error.code}
        )
    else:
        shown = result if isinstance(result, FineTuningJob) else found
        messages.success(request, said)
    slug = request.tenant.slug
    return HttpResponseRedirect(reverse("portal:job", args=[slug, shown.pk]))
