"""Errors in OpenAI's shape: {"error": {"message", "type", "param", "code"}}."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.http import HttpResponse, JsonResponse
from django.utils.translation import gettext as _
from rest_framework.response import Response

from common.api import openai_document, problem_document
from common.errors import ApplicationError

# Ours on the left, as OpenAI's clients know it on the right.
_CODES: Mapping[str, str] = {
    "authentication_failed": "invalid_api_key",
    "not_authenticated": "invalid_api_key",
    "permission_denied": "missing_scope",
    "invalid": "invalid_value",
    "invalid_parameter": "invalid_value",
    "parse_error": "invalid_body",
    "unsupported_media_type": "unsupported_media_type",
}


class UnknownModelError(ApplicationError):
    """No model of this name for this tenant; another tenant's is exactly as unknown."""

    def __init__(self, name: str) -> None:
        super().__init__(
            "model_not_found",
            _("The model “%(name)s” does not exist, or you have no access to it.")
            % {"name": name[:200]},
            field="model",
            status_hint=404,
        )


class NoSuchObjectError(ApplicationError):
    """A file or a job that is not here, named as it was asked for."""

    def __init__(self, field: str, name: str) -> None:
        super().__init__(
            "not_found",
            _("There is no object with the id “%(name)s”.") % {"name": name[:100]},
            field=field,
            status_hint=404,
        )


def scope_missing(capability: str) -> ApplicationError:
    return ApplicationError(
        "missing_scope",
        _("This key may not do that: it lacks the scope “%(scope)s”.") % {"scope": capability},
        status_hint=403,
    )


def unsupported(field: str, why: Any = "") -> ApplicationError:
    """A field that exists at OpenAI and not here: refused by name, never lost in silence."""
    return ApplicationError(
        "unsupported_parameter",
        " ".join(
            [_("“%(field)s” is not supported here.") % {"field": field[:200]}, str(why)]
        ).strip(),
        field=field[:200],
    )


def unknown(field: str) -> ApplicationError:
    return ApplicationError(
        "unknown_parameter",
        _("There is no parameter “%(field)s”.") % {"field": field[:200]},
        field=field[:200],
    )


def wrong(field: str, expected: Any) -> ApplicationError:
    return ApplicationError(
        "invalid_value",
        _("“%(field)s” must be %(expected)s.") % {"field": field[:200], "expected": expected},
        field=field[:200],
    )


def missing(field: str) -> ApplicationError:
    return ApplicationError(
        "missing_required_parameter",
        _("“%(field)s” is required.") % {"field": field},
        field=field,
    )


def as_answer(error: Exception) -> tuple[int, dict[str, Any], dict[str, str]] | None:
    """(status, document, headers) of an error that is meant for the caller; None for any other."""
    found = problem_document(error)
    if found is None:
        return None
    faults = found.get("errors") or []
    param = faults[0]["field"] if faults else None
    message = faults[0]["detail"] if faults else found["detail"]
    status, code = found["status"], _CODES.get(found["code"], found["code"])
    if status == 409 and code != "idempotency_in_progress":
        # OpenAI's clients send again what met a 409; no refusal of ours gets better by that.
        status = 400
    if code == "invalid_api_key":
        message = _("The API key is missing or is not valid.")
    headers = {"WWW-Authenticate": 'Bearer realm="api"'} if status == 401 else {}
    wait = getattr(error, "wait", None) or found.get("retry_after")
    if wait is not None and status in (429, 503):
        headers["Retry-After"] = str(max(1, int(wait + 0.999)))
    answer = openai_document(status, code, message, param or None)
    if code == "insufficient_quota":
        answer["error"]["type"] = code
    return status, answer, headers


def openai_problem(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler for the views below /v1/."""
    answer = as_answer(error)
    if answer is None:
        return None
    from rest_framework.views import set_rollback

    set_rollback()
    status, found, headers = answer
    return Response(found, status=status, headers=headers)


def plain_answer(error: Exception) -> HttpResponse | None:
    """The same outside DRF."""
    answer = as_answer(error)
    if answer is None:
        return None
    status, found, headers = answer
    return JsonResponse(found, status=status, headers=headers)


class UnknownRouteError(ApplicationError):
    def __init__(self, method: str, path: str) -> None:
        super().__init__(
            "unknown_url",
            _("There is nothing at %(method)s %(path)s.") % {"method": method, "path": path[:200]},
            status_hint=404,
        )


def event(found: Mapping[str, Any]) -> bytes:
    """One server-sent event."""
    return f"data: {json.dumps(found, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()
