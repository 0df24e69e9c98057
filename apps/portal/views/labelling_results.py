"""What came of labelling: how far people agree, and the items on which somebody has to decide."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from accounts.access import tenant_page
from accounts.models import User
from accounts.permissions import can_manage, can_train
from apps.portal.requests import TenantRequest
from common.errors import ApplicationError
from labeling.models import Annotation, LabelingTask, QueueItem
from labeling.queue.adjudication import adjudicate_item, disagreements
from labeling.queue.agreement import measured_agreement
from labeling.queue.payloads import answer_of, turns_of
from labeling.queue.progress import figures_of
from labeling.queue.settlement import choice_of, standing_answers

MOST_CONFUSED = 12


@require_safe
@tenant_page()
def agreement(request: TenantRequest, task_id: UUID) -> HttpResponse:
    """Alpha with its interval, kappa by pair, what is confused with what, and everybody's pace."""
    task = get_object_or_404(LabelingTask.objects.select_related("dataset"), pk=task_id)
    found = measured_agreement(task)
    names = _names({one["id"] for one in found["people"]})
    context = {
        "task": task,
        "figures": figures_of([task])[task.pk],
        "found": found,
        "pairs": [
            pair | {"first": names.get(pair["first"]), "second": names.get(pair["second"])}
            for pair in found["pairs"]
        ],
        "people": [one | {"name": names.get(one["id"])} for one in found["people"]],
        "confusion": _confusion(found["confusion"]),
        "labels": sorted(found["labels"].items(), key=lambda pair: task.label_names.index(pair[0])
                         if pair[0] in task.label_names else 99),
        "may_see_gold": can_manage(request.membership) and task.gold_count > 0,
        "may_manage": can_train(request.membership),
    }  # fmt: skip
    return render(request, "portal/labelling/agreement.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_page(can_train)
def adjudicate(request: TenantRequest, task_id: UUID) -> HttpResponse:
    """One disputed item with its answers side by side; the decision is final."""
    task = get_object_or_404(LabelingTask.objects.select_related("dataset"), pk=task_id)
    if request.method == "POST":
        _decide(request, task)
        return redirect("portal:adjudicate", request.tenant.slug, task.pk)
    waiting = disagreements(task).select_related("example")
    passed = _whole(request.GET.get("passed"))
    total = waiting.count()
    passed = passed if passed < total else 0
    item = waiting[passed : passed + 1].first()
    context: dict[str, Any] = {
        "task": task,
        "total": total,
        "number": passed + 1,
        "following": passed + 1 if passed + 1 < total else 0,
        "item": item,
    }
    if item is not None:
        context |= _shown(item)
    return render(request, "portal/labelling/adjudicate.html", context)


def _decide(request: TenantRequest, task: LabelingTask) -> None:
    """By an answer that somebody gave (`answer`), or by labels of one's own."""
    try:
        item_id = UUID(request.POST.get("item", ""))
    except ValueError:
        item_id = UUID(int=0)
    verdict, labels, content = request.POST.get("verdict", ""), request.POST.getlist("labels"), None
    item = get_object_or_404(QueueItem, task=task, pk=item_id)
    given = {str(one.pk): one for one in standing_answers(item)}.get(request.POST.get("answer", ""))
    if given is not None:
        verdict, labels, content = given.verdict, list(given.labels or []), given.content
    try:
        adjudicate_item(
            task=task,
            item_id=item.pk,
            adjudicator=request.user,
            verdict=verdict,
            labels=labels,
            content=content,
        )
    except ApplicationError as error:
        messages.error(request, str(error.detail))
    else:
        messages.success(request, _("Decided. The example carries your word."))


def _shown(item: QueueItem) -> dict[str, Any]:
    answers = standing_answers(item)
    names = _names({str(one.annotator_id) for one in answers})
    votes: dict[str, list[Annotation]] = {}
    for one in answers:
        votes.setdefault(choice_of(one), []).append(one)
    sides = sorted(votes.values(), key=lambda side: -len(side))
    return {
        "turns": turns_of(item.example.content),
        "sides": [
            {
                "answer": side[0].pk,
                "labels": side[0].labels or [],
                "verdict": side[0].get_verdict_display(),
                "rejected": side[0].verdict == Annotation.Verdict.REJECT,
                "text": answer_of(side[0].content) if side[0].content else "",
                "people": [names.get(str(one.annotator_id)) for one in side],
            }
            for side in sides
        ],
    }


def _names(ids: set[str]) -> dict[str, str]:
    """What people are called, by their id. Members only ever meet members here."""
    people = User.objects.filter(pk__in=[one for one in ids if one != "None"])
    return {str(person.pk): person.name or person.email for person in people}


def _confusion(table: dict[str, dict[str, int]]) -> dict[str, Any]:
    """The table as rows, the most frequent choices first and the rare ones left out."""
    counted = {name: sum(row.values()) for name, row in table.items()}
    for row in table.values():
        for name in row:
            counted.setdefault(name, 0)
    shown = sorted(counted, key=lambda name: (-counted[name], name))[:MOST_CONFUSED]
    most = max((count for row in table.values() for count in row.values()), default=0)
    rows = [
        (name, [(other == name, table.get(name, {}).get(other, 0)) for other in shown])
        for name in shown
    ]
    return {"names": shown, "rows": rows, "most": most, "left_out": len(counted) - len(shown)}


def _whole(given: str | None) -> int:
    return int(given) if given and given.isdecimal() and len(given) < 6 else 0
