"""The engines page: which answer, what each has loaded, and whose it is."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy as _

from common.errors import ApplicationError
from tenancy import audit

from .. import client, services
from ..models import Checkpoint, Deployment
from ..services import engines as engines_service


@dataclass
class Adapter:
    """An adapter in an engine, beside our own row of that name, where there is one."""

    name: str
    checkpoint: Checkpoint | None
    serves: list[str]
    is_other: bool  # the engine's digest is not ours: it would answer with other weights


@dataclass
class EngineState:
    """One engine as it answers now."""

    base: str
    url: str
    fault: str = ""
    milliseconds: float = 0.0
    owner: str = ""
    adapters: list[Adapter] = field(default_factory=list)


def page(request: HttpRequest) -> HttpResponse:
    _require(request, "view")
    context = admin.site.each_context(request) | {
        "title": _("Engines"),
        "engines": [look_at(base) for base in settings.GPT_ENGINES],
        "may_operate": request.user.has_perm("gpt_core.change_basemodel"),
    }
    return TemplateResponse(request, "admin/engines.html", context)


def drop(request: HttpRequest) -> HttpResponse:
    """Have an engine forget an adapter: safe, for whoever asks for it next has it loaded again."""
    _require(request, "change")
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    base, name = request.POST.get("base", ""), request.POST.get("name", "")
    checkpoint = Checkpoint.objects.filter(name=name).first()
    try:
        known = engines_service.drop(base, name)
    except ApplicationError as error:
        messages.error(request, str(error.detail))
        return redirect("admin:parley_engines")
    audit.record("engine.adapter_dropped", checkpoint, base=base[:64], name=name[:160])
    if known:
        messages.success(request, _("The engine has forgotten %(name)s.") % {"name": name[:160]})
    else:
        messages.info(request, _("The engine knew nothing of that name."))
    return redirect("admin:parley_engines")


def reconcile(request: HttpRequest) -> HttpResponse:
    """Have every engine load what is deployed now, which beat does every few seconds."""
    _require(request, "change")
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    missing = services.reconcile_engines()
    audit.record("engine.reconciled", None, missing=missing)
    messages.success(
        request, _("Looked at every engine; %(count)d adapters were missing.") % {"count": missing}
    )
    return redirect("admin:parley_engines")


def look_at(base: str) -> EngineState:
    """The engine of a base, asked now."""
    configured: Any = settings.GPT_ENGINES[base]
    url = configured["url"] if isinstance(configured, dict) else configured
    state = EngineState(base, url)
    began = time.perf_counter()
    try:
        models = client.loaded_models(base=base)
    except ApplicationError as error:
        state.fault = str(error.detail)
        return state
    state.milliseconds = (time.perf_counter() - began) * 1000
    state.owner = models[0].owner if models else ""
    # By digest, not by name alone: an adapter of our name with other weights must be seen.
    digests = {model.name: model.digest for model in models if model.name != base}
    rows = Checkpoint.objects.filter(name__in=digests).select_related("tenant")
    ours = {row.name: row for row in rows}
    serves: dict[Any, list[str]] = {}
    for slot in Deployment.objects.filter(checkpoint__in=ours.values()):
        serves.setdefault(slot.checkpoint_id, []).append(slot.name)
    for name, digest in sorted(digests.items()):
        row = ours.get(name)
        is_other = bool(row and digest and digest != row.digest)
        state.adapters.append(Adapter(name, row, serves.get(row and row.pk, []), is_other))
    return state


def _require(request: HttpRequest, what: str) -> None:
    if not request.user.has_perm(f"gpt_core.{what}_basemodel"):
        raise PermissionDenied
