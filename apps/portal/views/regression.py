"""Test questions that every checkpoint must answer before it serves."""

from __future__ import annotations

import uuid
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.access import tenant_page
from accounts.permissions import can_annotate, can_train
from apps.chatbot.models import AnswerReview, Article, Inbox, RegressionCase, RegressionRun
from apps.chatbot.services import regression, review_answer
from apps.portal import refusals
from apps.portal.regression_page import CaseForm, RegressionPage, results_of
from apps.portal.requests import TenantRequest
from common.errors import ApplicationError
from gpt_core.models import Checkpoint
from labeling.models import Example


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_page()
def cases(request: TenantRequest) -> HttpResponse:
    """Every question with what is expected, the runs so far, and a form for one more."""
    may = can_annotate(request.membership)
    if request.method == "POST" and not may:
        raise PermissionDenied
    form = CaseForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        try:
            regression.add_case(**form.cleaned_data)
        except ApplicationError as error:
            refusals.into(form, error)
        else:
            messages.success(request, _("Kept. It is asked before the next promotion."))
            return _to(request)
    context = {
        "page": RegressionPage(),
        "form": form,
        "can_annotate": may,
        "can_train": can_train(request.membership),
    }
    status = 400 if form.errors else 200
    return render(request, "portal/regression/cases.html", context, status=status)


@require_POST
@tenant_page(can_annotate)
def remove(request: TenantRequest, case_id: UUID) -> HttpResponse:
    regression.remove_case(case=get_object_or_404(RegressionCase, pk=case_id))
    messages.success(request, _("Taken away."))
    return _to(request)


@require_POST
@tenant_page(can_train)
def run(request: TenantRequest) -> HttpResponse:
    """Put the questions of every inbox to one checkpoint."""
    try:
        wanted = uuid.UUID(request.POST.get("checkpoint", ""))
    except ValueError:
        raise Http404 from None
    checkpoint = get_object_or_404(
        Checkpoint.objects.present().select_related("base_model"), pk=wanted
    )
    inboxes = Inbox.objects.filter(regression_cases__isnull=False).distinct()
    try:
        for inbox in inboxes:
            regression.start_run(checkpoint=checkpoint, inbox=inbox, actor=request.user)
    except ApplicationError as error:
        refusals.say(request, error)
    else:
        messages.success(request, _("The questions are being asked. Look again in a minute."))
    return _to(request)


@require_safe
@tenant_page()
def result(request: TenantRequest, run_id: UUID) -> HttpResponse:
    """What one checkpoint said to every question."""
    found = get_object_or_404(
        RegressionRun.objects.select_related("checkpoint", "inbox"), pk=run_id
    )
    context = {"run": found, "results": results_of(found)}
    return render(request, "portal/regression/run.html", context)


@require_POST
@tenant_page(can_annotate)
def keep_review(request: TenantRequest, review_id: UUID) -> HttpResponse:
    """The answer is right, and is to be given again."""
    found = get_object_or_404(
        AnswerReview.objects.select_related("answer__question", "answer__conversation__contact"),
        pk=review_id,
    )
    review_answer(review=found, is_right=True, reviewer=request.user)
    try:
        regression.keep_review(review=found)
    except ApplicationError as error:
        refusals.say(request, error)
    else:
        messages.success(request, _("Kept. It is asked before the next promotion."))
    return HttpResponseRedirect(reverse("portal:answer-review", args=[request.tenant.slug]))


@require_POST
@tenant_page(can_annotate)
def keep_article(request: TenantRequest, article_id: UUID) -> HttpResponse:
    """In every inbox: each way to ask for the article must lead to it."""
    found = get_object_or_404(Article, pk=article_id)
    kept = 0
    try:
        for inbox in Inbox.objects.order_by("pk"):
            kept = regression.keep_article(inbox=inbox, article=found)
    except ApplicationError as error:
        refusals.say(request, error)
    else:
        messages.success(
            request,
            ngettext(
                "%(count)d question is a test now.", "%(count)d questions are tests now.", kept
            )
            % {"count": kept},
        )
    return HttpResponseRedirect(reverse("portal:article", args=[request.tenant.slug, found.pk]))


@require_POST
@tenant_page(can_annotate)
def keep_example(request: TenantRequest, example_id: UUID) -> HttpResponse:
    """A corrected answer of an inbox's conversations."""
    found = get_object_or_404(Example.objects.select_related("dataset"), pk=example_id)
    inbox = Inbox.objects.filter(dataset=found.dataset).order_by("pk").first()
    if inbox is None:
        raise Http404
    try:
        regression.keep_example(inbox=inbox, example=found)
    except ApplicationError as error:
        refusals.say(request, error)
    else:
        messages.success(request, _("Kept. It is asked before the next promotion."))
    return HttpResponseRedirect(reverse("portal:example", args=[request.tenant.slug, found.pk]))


def _to(request: TenantRequest) -> HttpResponseRedirect:
    return HttpResponseRedirect(reverse("portal:regression", args=[request.tenant.slug]))
