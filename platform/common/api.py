"""The conventions of every HTTP door: problem details, strict JSON in, pages out."""

import re
from collections.abc import Callable, Iterator
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.core.exceptions import PermissionDenied, RequestDataTooBig, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.utils.dateparse import parse_datetime
from django.utils.decorators import sync_and_async_middleware
from django.utils.translation import gettext as _
from rest_framework import exceptions, pagination, parsers, serializers
from rest_framework.response import Response

from common.errors import ApplicationError
from common.strict_json import StrictJsonError, loads

PROBLEM = "application/problem+json"
MAX_BODY_BYTES = 5 * 1024 * 1024


# --- Errors out: RFC 9457 ---------------------------------------------------------------------


def problem(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler. What it does not know is a bug, and goes on to be a 500."""
    document = problem_document(error)
    if document is None:
        return None
    # Imported late: its module reads the settings, which name the classes of this one.
    from rest_framework.views import set_rollback

    set_rollback()
    headers = {}
    if getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = error.auth_header  # type: ignore[attr-defined]
    if getattr(error, "wait", None):
        headers["Retry-After"] = str(int(error.wait) + 1)  # type: ignore[attr-defined]
    return Response(document, status=document["status"], headers=headers, content_type=PROBLEM)


def problem_document(error: Exception) -> dict[str, Any] | None:
    """The problem document of an error that is meant for the caller; None for any other."""
    match error:
        case ApplicationError():
            return _of_application_error(error)
        case Http404() | exceptions.NotFound():
            # Whatever the reason, one body: a foreign row is exactly as absent as none.
            return _document(404, "not_found", _("Not found."))
        case PermissionDenied():
            return _document(403, "permission_denied", _("You may not do this."))
        case RequestDataTooBig():
            return _document(413, "too_large", _("The request is too large."))
        case exceptions.ValidationError():
            faults = list(_faults(error.detail))
            return _document(400, "invalid", _("Some of the input is not valid."), errors=faults)
        case ValidationError():
            faults = list(_faults(exceptions.ValidationError(error.messages).detail))
            return _document(400, "invalid", _("Some of the input is not valid."), errors=faults)
        case exceptions.APIException():
            code = error.get_codes()
            return _document(
                error.status_code,
                code if isinstance(code, str) else error.default_code,
                str(error.detail),
            )
    return None


def _of_application_error(error: ApplicationError) -> dict[str, Any]:
    document = _document(error.status_hint, error.code, str(error.detail))
    for name in ("line", "column"):
        if getattr(error, name, None) is not None:
            document[name] = getattr(error, name)
    if error.field:
        document["errors"] = [
            {"field": error.field, "code": error.code, "detail": str(error.detail)}
        ]
    return document | error.extra


def _document(status: int, code: str, detail: str, **more: Any) -> dict[str, Any]:
    """`type` is a relative reference that only names the kind; `code` is what programs read."""
    return {
        "type": f"/problems/{code}",
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "code": code,
        "detail": detail,
    } | more


def _faults(detail: Any, path: str = "") -> Iterator[dict[str, str]]:
    """DRF's nested errors as a flat list; `field` is a dotted path, empty for the whole input."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            own = "" if name == "non_field_errors" else str(name)
            yield from _faults(inner, ".".join(part for part in (path, own) if part))
    elif isinstance(detail, list):
        for number, inner in enumerate(detail):
            # A list of errors belongs to the field itself; a list of dicts, to its items.
            below = f"{path}.{number}" if isinstance(inner, dict | list) else path
            yield from _faults(inner, below)
    else:
        yield {"field": path, "code": getattr(detail, "code", "invalid"), "detail": str(detail)}


def openai_document(
    status: int, code: str, message: str, param: str | None = None
) -> dict[str, Any]:
    """An error as OpenAI's clients read it, for the doors below /v1/."""
    kind = "rate_limit_error" if status == 429 else "invalid_request_error"
    kind = "server_error" if status >= 500 else kind
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


# --- The doors outside DRF: unknown addresses, refusals, and accidents ---------------------------


def _page_or_problem(request: HttpRequest, status: int, code: str, detail: str) -> HttpResponse:
    if request.path_info.startswith("/api/"):
        return JsonResponse(_document(status, code, detail), status=status, content_type=PROBLEM)
    if request.path_info.startswith("/v1/"):
        return JsonResponse(openai_document(status, code, detail), status=status)
    return render(request, f"{status}.html", {"detail": detail}, status=status)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page_or_problem(request, 404, "not_found", _("Not found."))


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page_or_problem(request, 403, "permission_denied", _("You may not do this."))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page_or_problem(request, 400, "bad_request", _("The request cannot be read."))


def server_error(request: HttpRequest) -> HttpResponse:
    return _page_or_problem(request, 500, "server_error", _("Something went wrong on our side."))


# --- Input -------------------------------------------------------------------------------------


class StrictSerializer(serializers.Serializer[Any]):
    """Input: what is not known is refused by name, instead of being lost in silence."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            unknown = sorted(set(data) - set(self.fields))
            if unknown:
                raise exceptions.ValidationError(
                    {name: [_("There is no such field.")] for name in unknown[:20]}
                )
        return super().to_internal_value(data)


class WholeNumberField(serializers.IntegerField):
    """Digits as programs write them: "９", "1_0" and " 1" are no parameters."""

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, str) and not re.fullmatch(r"-?[0-9]{1,19}", data):
            self.fail("invalid")
        return super().to_internal_value(data)


class EmptySerializer(StrictSerializer):
    """A request that says all in its address."""


class NoQuery(StrictSerializer):
    """The parameters of an address that takes none."""


class ListQuery(StrictSerializer):
    """The parameters of a list. A subclass adds what the list is filtered by."""

    cursor = serializers.CharField(
        required=False, max_length=1000, help_text="Taken from `next` or `previous` of a page."
    )
    limit = WholeNumberField(
        required=False,
        min_value=1,
        max_value=200,
        help_text="Rows of a page; 50 where none is given.",
    )


class StrictJSONParser(parsers.BaseParser):
    """Bodies are read by common.strict_json alone."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        body = stream.read(MAX_BODY_BYTES + 1)
        if len(body) > MAX_BODY_BYTES:
            raise ApplicationError("too_large", _("The request is too large."), status_hint=413)
        if not body.strip():
            raise StrictJsonError("json_malformed", _("The body is empty."))
        return loads(body)


@sync_and_async_middleware
def refuse_nul(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Middleware: no database stores NUL, so that no address may carry it."""

    def has_nul(request: HttpRequest) -> bool:
        return "\x00" in request.path_info or "%00" in request.META.get("QUERY_STRING", "")

    async def awaited(request: HttpRequest) -> HttpResponseBase:
        if has_nul(request):
            return bad_request(request, ValueError("NUL"))
        return await get_response(request)

    def called(request: HttpRequest) -> HttpResponseBase:
        if has_nul(request):
            return bad_request(request, ValueError("NUL"))
        return get_response(request)

    return awaited if iscoroutinefunction(get_response) else called


# --- Output ------------------------------------------------------------------------------------


class Pages(pagination.CursorPagination):
    """Newest first, by cursor: no page shifts when rows are added. `?limit=` up to 200."""

    page_size = 50
    max_page_size = 200
    page_size_query_param = "limit"
    ordering: Any = ("-created_at", "-id")

    def decode_cursor(self, request: Any) -> Any:
        try:
            cursor = super().decode_cursor(request)
        except exceptions.NotFound:
            raise _no_cursor() from None
        if (
            cursor is not None
            and cursor.position is not None
            and not _is_time(str(cursor.position))
        ):
            raise _no_cursor()
        return cursor

    def get_paginated_response(self, data: Any) -> Response:
        return Response(
            {"items": data, "next": self.get_next_link(), "previous": self.get_previous_link()}
        )

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {"type": ["string", "null"], "format": "uri"}
        return {
            "type": "object",
            "required": ["items", "next", "previous"],
            "properties": {
                "items": schema,
                "next": link,
                "previous": link,
            },
        }


def _no_cursor() -> exceptions.ValidationError:
    return exceptions.ValidationError({"cursor": [_("This is no cursor of a page.")]})


def _is_time(text: str) -> bool:
    if not re.fullmatch(r"[0-9T:+. -]{10,40}Z?", text):
        return False
    try:
        return parse_datetime(text) is not None
    except ValueError:
        return False
