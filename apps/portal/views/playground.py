"""The playground: one question to up to three models, side by side, as they write."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from typing import Any

from asgiref.sync import sync_to_async
from django.http import Http404, HttpResponse, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from accounts.access import tenant_page
from accounts.permissions import can_generate
from apps.portal import answers, askable, comparison
from apps.portal.forms import AskForm
from apps.portal.requests import TenantRequest
from common.errors import ApplicationError
from gpt_core.models import Checkpoint, Evaluation, State

logger = logging.getLogger(__name__)

MOST_SUGGESTIONS = 3
LONGEST_SUGGESTION = 120


@require_safe
@tenant_page()
def playground(request: TenantRequest) -> HttpResponse:
    """The form for the models that the address names, else for the base and what serves."""
    keys = request.GET.getlist("model")
    if not keys and "checkpoint" in request.GET:
        keys = _beside_its_base(request.GET["checkpoint"])
    groups = askable.groups()
    columns = askable.chosen(keys, groups)
    context = {
        "groups": groups,
        "columns": columns,
        "slots": _slots(columns),
        "suggestions": _suggestions(askable.checkpoint_of(columns)),
        "may_ask": can_generate(request.membership),
    }
    return render(request, "portal/playground.html", context)


@require_POST
@tenant_page(can_generate)
async def stream(request: TenantRequest) -> HttpResponseBase:
    """One column's answer as lines of JSON: {"text"}, and at the end {"done"} or {"error"}."""
    form = AskForm(request.POST)
    if not form.is_valid():
        first = next(iter(form.errors.values()))
        return JsonResponse({"code": "invalid_question", "detail": str(first[0])}, status=400)
    found = await sync_to_async(askable.find)(form.cleaned_data["model"])
    if found is None:
        raise Http404
    response = StreamingHttpResponse(
        _lines(found.model, form.cleaned_data), content_type="application/x-ndjson"
    )
    # Neither a cache nor a buffering proxy may stand between the model and the reader.
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response


async def _lines(model: Checkpoint | str, asked: dict[str, Any]) -> AsyncIterator[str]:
    try:
        async for part in answers.write(
            model,
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


def _beside_its_base(checkpoint_id: str) -> list[str]:
    """A checkpoint's page names it alone; here it stands beside what it was before."""
    found = askable.find(f"checkpoint:{checkpoint_id}")
    if found is None or not isinstance(found.model, Checkpoint):
        return []
    return [f"base:{found.model.base_model_id}", found.key]


def _slots(columns: list[askable.Askable]) -> list[tuple[int, askable.Askable | None]]:
    """A choice for each column; the last ones may be left empty."""
    empty = askable.MOST_COLUMNS - len(columns)
    return list(enumerate([*columns, *[None] * empty], 1))


def _suggestions(checkpoint: Checkpoint | None) -> list[str]:
    """Short questions that it never saw in training, from its last comparison."""
    if checkpoint is None:
        return []
    done = Evaluation.objects.filter(checkpoint=checkpoint, state=State.SUCCEEDED)
    report = done.order_by("-finished_at").values_list("report", flat=True).first() or {}
    prompts = (comparison.prompt_of(sample) for sample in report.get("samples", []))
    short = (one for one in prompts if 0 < len(one) <= LONGEST_SUGGESTION)
    return list(dict.fromkeys(short))[:MOST_SUGGESTIONS]
