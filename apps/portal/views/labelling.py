"""The labelling workspace: the tasks, and one item a screen."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from django.core.paginator import Paginator
from django.db.models import Case, IntegerField, Value, When
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from accounts.access import tenant_page
from accounts.permissions import can_annotate, can_train
from apps.portal import guideline
from apps.portal.requests import TenantRequest
from common import strict_json
from common.errors import ApplicationError
from labeling.api.queue import AnswerSerializer
from labeling.models import LabelingTask, QueueItem
from labeling.queue.leases import MOST_AT_ONCE, left_for, take_items
from labeling.queue.payloads import payloads, recent_answers, suggested, take_in
from labeling.queue.progress import figures_of
from labeling.queue.suggestions import newest_of, ring_if_low

PER_PAGE = 50
MOST_EVENTS = 100
# Open, paused, closed: the alphabet would say otherwise.
_STATE_ORDER = Case(
    *(When(state=state, then=Value(at)) for at, state in enumerate(LabelingTask.State.values)),
    output_field=IntegerField(),
)


@require_safe
@tenant_page()
def tasks(request: TenantRequest) -> HttpResponse:
    """Every task with its progress, its agreement and its pace."""
    found = LabelingTask.objects.select_related("dataset")
    found = found.order_by(_STATE_ORDER, "-created_at", "pk")
    page = Paginator(found, PER_PAGE).get_page(request.GET.get("page"))
    figures = figures_of(page)
    rows = [(task, figures[task.pk], task.measured.get("alpha") or {}) for task in page]
    context = {"page": page, "rows": rows, "may_manage": can_train(request.membership)}
    return render(request, "portal/labelling/tasks.html", context)


@require_safe
@tenant_page()
def workspace(request: TenantRequest, task_id: UUID) -> HttpResponse:
    """One item a screen; the script fetches the items and sends the answers."""
    task = get_object_or_404(LabelingTask.objects.select_related("dataset"), pk=task_id)
    may = can_annotate(request.membership)
    context = {
        "task": task,
        "figures": figures_of([task])[task.pk],
        "may_label": may,
        "may_manage": can_train(request.membership),
        "guideline": guideline.blocks(task.guideline),
        "setup": json.dumps(_setup(request, task)) if may else "",
    }
    return render(request, "portal/labelling/workspace.html", context)


@require_POST
@tenant_page(can_annotate)
def items(request: TenantRequest, task_id: UUID) -> JsonResponse:
    """The person's next items: `count` of them beyond the `held` ones, and what is new about those
    that have no suggestion yet (`without`)."""
    task = get_object_or_404(LabelingTask, pk=task_id)
    count = _whole(request.POST.get("count"), MOST_AT_ONCE)
    held = _ids(request.POST.getlist("held"))
    taken = take_items(task=task, annotator=request.user, count=count, held=held) if count else []
    ring_if_low(task)
    without = _ids(request.POST.getlist("without"))
    asked = list(QueueItem.objects.filter(task=task, pk__in=without)) if without else []
    figures = figures_of([task])[task.pk]
    return JsonResponse(
        {
            "items": payloads(taken),
            "suggestions": {str(pk): suggested(one) for pk, one in newest_of(asked).items()},
            "left": left_for(task, request.user),
            "preparing": task.built_at is None,
            "state": task.state,
            "done": figures["done"],
            "total": figures["items"],
        }
    )


@require_POST
@tenant_page(can_annotate)
def answers(request: TenantRequest, task_id: UUID) -> JsonResponse:
    """Answers in the order in which they were given; each is stored once, however often it comes.

    One that cannot be stored is told with its reason and keeps none of the others back.
    """
    task = get_object_or_404(LabelingTask, pk=task_id)
    try:
        events = strict_json.loads(request.POST.get("events", ""))
    except ApplicationError as error:
        return JsonResponse({"code": error.code, "detail": str(error.detail)}, status=400)
    if not isinstance(events, list) or len(events) > MOST_EVENTS:
        detail = _("The answers cannot be read. Load the page again.")
        return JsonResponse({"code": "answers_unreadable", "detail": detail}, status=400)
    return JsonResponse({"results": [_stored(request, task, event) for event in events]})


def _setup(request: TenantRequest, task: LabelingTask) -> dict[str, Any]:
    """What the script is told of the task and of whoever labels."""
    here = [request.tenant.slug, task.pk]
    return {
        "task": str(task.pk),
        "person": str(request.user.pk),
        "mode": task.mode,
        "suggests": bool(task.suggester) and not task.is_review,
        "items": reverse("portal:label-items", args=here),
        "answers": reverse("portal:label-answers", args=here),
        "recent": recent_answers(task, request.user),
    }


def _stored(request: TenantRequest, task: LabelingTask, event: Any) -> dict[str, Any]:
    read = AnswerSerializer(data=event)
    known = event.get("client_id") if isinstance(event, dict) else None
    result = {"client_id": known if isinstance(known, str) else ""}
    if not read.is_valid():
        detail = _("This answer cannot be read.")
        return result | {"status": "refused", "code": "invalid", "detail": detail}
    try:
        _annotation, new = take_in(task=task, annotator=request.user, sent=read.validated_data)
    except ApplicationError as error:
        return result | {"status": "refused", "code": error.code, "detail": str(error.detail)}
    return result | {"status": "stored" if new else "known"}


def _whole(given: str | None, most: int) -> int:
    return min(int(given), most) if given and given.isdecimal() and len(given) < 5 else 0


def _ids(given: list[str]) -> list[UUID]:
    found = []
    for one in given[:200]:
        try:
            found.append(UUID(one))
        except ValueError:
            continue
    return found
