"""What support achieves in figures, and the answers that lot drew for people to review."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from accounts.access import tenant_page
from accounts.permissions import can_annotate
from apps.chatbot import services
from apps.chatbot.models import AnswerReview
from apps.portal.numbers_page import NumbersPage, RangeForm, chart
from apps.portal.requests import TenantRequest
from apps.portal.trial_page import open_trials


@require_safe
@tenant_page()
def numbers(request: TenantRequest) -> HttpResponse:
    """Each figure with its definition."""
    page = NumbersPage(request.GET)
    context = {
        "page": page,
        "trials": open_trials(page.range.inbox),
        "can_annotate": can_annotate(request.membership),
    }
    return render(request, "portal/numbers/numbers.html", context)


@require_safe
@tenant_page()
def days(request: TenantRequest) -> HttpResponse:
    """The figures of the chart."""
    return JsonResponse(chart(RangeForm(request.GET).range))


@require_safe
@tenant_page(can_annotate)
def review(request: TenantRequest) -> HttpResponse:
    """The next drawn answer that nobody has judged, with what it was to answer and rests on."""
    waiting = AnswerReview.objects.filter(verdict=AnswerReview.Verdict.WAITING)
    # Ids are random: whoever stops in the middle has judged a fair part.
    found = waiting.select_related("answer__question")
    context = {
        "review": found.prefetch_related("answer__citations__passage__version")
        .order_by("pk")
        .first(),
        "waiting": waiting.count(),
    }
    return render(request, "portal/numbers/review.html", context)


@require_POST
@tenant_page(can_annotate)
def judge(request: TenantRequest, review_id: UUID) -> HttpResponse:
    found = get_object_or_404(AnswerReview, pk=review_id)
    verdict = request.POST.get("verdict")
    if verdict not in ("right", "wrong"):
        return HttpResponse(status=400)
    services.review_answer(review=found, is_right=verdict == "right", reviewer=request.user)
    return HttpResponseRedirect(reverse("portal:answer-review", args=[request.tenant.slug]))
