"""The playground: one question to the base and to a tuned checkpoint, side by side, as they write."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.http import Http404, HttpResponse, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from accounts.access import tenant_page
from accounts.permissions import can_generate
from apps.portal import answers, comparison
from apps.portal.forms import AskForm
from apps.portal.requests import TenantRequest
from common.errors import ApplicationError
from gpt_core.models import Checkpoint, Evaluation, State

logger = logging.getLogger(__name__)

MOST_CHOICES = 100
MOST_SUGGESTIONS = 3
LONGEST_SUGGESTION = 120


@require_safe
@tenant_page()
def playground(request: TenantRequest) -> HttpResponse:
    """The form, with the checkpoint that was asked for, else the one that serves, else the newest."""
    found = Checkpoint.objects.select_related("base_model").prefetch_related("serving")
    checkpoints = list(found.order_by("-created_at")[:MOST_CHOICES])
    chosen = _chosen(request.GET.get("checkpoint"), checkpoints)
    context = {
        "checkpoints": checkpoints,
        "chosen": chosen,
        "suggestions": _suggestions(chosen) if chosen else [],
        "may_ask": can_generate(request.membership),
    }
    return render(request, "portal/playground.html", context)


@require_POST
@tenant_page(can_generate)
async def stream(request: TenantRequest) -> HttpResponseBase:
    """One side's answer as lines of JSON: {"text"}, and at the end {"done"} or {"error"}."""
    form = AskForm(request.POST)
    if not form.is_valid():
        first = next(iter(form.errors.values()))
        return JsonResponse({"code": "invalid_question", "detail": str(first[0])}, status=400)
    checkpoint = await _checkpoint(form.cleaned_data["checkpoint"])
    response = StreamingHttpResponse(
        _lines(checkpoint, form.cleaned_data), content_type="application/x-ndjson"
    )
    # Neither a cache nor a buffering proxy may stand between the model and the reader.
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response


async def _lines(checkpoint: Checkpoint, asked: dict[str, Any]) -> AsyncIterator[str]:
    try:
        async for part in answers.write(
            checkpoint,
            tuned=asked["side"] == "tuned",
            messages=asked["messages"],
            temperature=asked["temperature"],
            max_tokens=asked["max_tokens"],
        ):
            yield json.dumps(part, ensure_ascii=False) + "\n"
    except ApplicationError as error:
        fault = {"code": error.code, "detail": str(error.detail)}
        yield json.dumps({"error": fault}, ensure_ascii=False) + "\n"
    except Exception:
        # The headers are gone: all that is left is to say so in the stream, in our own words.
        logger.exception("the playground's answer failed")
        fault = {"code": "server_error", "detail": _("Something failed on our side. Try again.")}
        yield json.dumps({"error": fault}, ensure_ascii=False) + "\n"


@sync_to_async
def _checkpoint(checkpoint_id: UUID) -> Checkpoint:
    found = Checkpoint.objects.select_related("base_model", "tenant").filter(pk=checkpoint_id)
    checkpoint = found.first()
    if checkpoint is None:
        raise Http404
    return checkpoint


def _chosen(wanted: str | None, checkpoints: list[Checkpoint]) -> Checkpoint | None:
    for checkpoint in checkpoints:
        if str(checkpoint.pk) == wanted:
            return checkpoint
    serving = (one for one in checkpoints if one.serving.all())
    return next(serving, checkpoints[0] if checkpoints else None)


def _suggestions(checkpoint: Checkpoint) -> list[str]:
    """Short questions that it never saw in training, from its last comparison."""
    done = Evaluation.objects.filter(checkpoint=checkpoint, state=State.SUCCEEDED)
    report = done.order_by("-finished_at").values_list("report", flat=True).first() or {}
    prompts = (comparison.prompt_of(sample) for sample in report.get("samples", []))
    short = (one for one in prompts if 0 < len(one) <= LONGEST_SUGGESTION)
    return list(dict.fromkeys(short))[:MOST_SUGGESTIONS]
