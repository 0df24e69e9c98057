"""What every view below /v1/ shares: the key alone names the tenant, errors and pages in OpenAI's shape."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, ClassVar, NoReturn

from django.db.models import Q, QuerySet
from django.http import QueryDict
from django.utils.translation import gettext as _
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api import TenantViewSet
from accounts.authentication import ApiKeyAuthentication
from accounts.models import User
from common.errors import ApplicationError

from . import errors


class OpenAIViewSet(TenantViewSet):
    """By API key alone: whoever has a session has the pages and the native API."""

    authentication_classes = [ApiKeyAuthentication]

    def get_exception_handler(self) -> Callable[..., Any]:
        return errors.openai_problem

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """One answer whatever is accepted: their clients ask for a file as application/binary."""
        return super().perform_content_negotiation(request, force=True)

    def permission_denied(
        self, request: Request, message: Any = None, code: Any = None
    ) -> NoReturn:
        needed = self.needed_capability()
        if request.auth is not None and needed is not None:
            raise errors.scope_missing(needed)
        super().permission_denied(request, message, code)

    @property
    def actor(self) -> User | None:
        return self.request.user if isinstance(self.request.user, User) else None

    def body(self, known: Iterable[str], *, required: Iterable[str] = ()) -> dict[str, Any]:
        """The fields of a JSON body; null is the same as absent, and what is not known is refused."""
        found = self.request.data or {}
        if not isinstance(found, Mapping):
            raise ApplicationError("invalid_body", _("The body must be a JSON object."))
        return checked_fields(found, known, required=required)

    # The actions that read the query themselves; elsewhere it has nothing to say.
    asks_by_query: ClassVar[frozenset[str]] = frozenset()

    def initial(self, request: Request, *args: Any, **values: Any) -> None:
        super().initial(request, *args, **values)
        if self.action not in self.asks_by_query:
            self.parameters()

    def parameters(self, *known: str) -> dict[str, str]:
        """The query's parameters, each once; what is not known is refused."""
        return checked_query(self.request.query_params, known)


class UnknownRouteView(APIView):
    """Whatever else is asked for below /v1/, in the same shape and for everybody."""

    authentication_classes: ClassVar[list[Any]] = []  # type: ignore[misc]
    permission_classes = [AllowAny]

    def get_exception_handler(self) -> Callable[..., Any]:
        return errors.openai_problem

    def initial(self, request: Request, *args: Any, **values: Any) -> None:
        raise errors.UnknownRouteError(str(request.method), request.path)


def checked_fields(
    found: Mapping[str, Any], known: Iterable[str], *, required: Iterable[str] = ()
) -> dict[str, Any]:
    allowed = set(known)
    for name in found:
        if name not in allowed:
            raise errors.unknown(str(name))
    given = {name: value for name, value in found.items() if value is not None}
    for name in required:
        if name not in given:
            raise errors.missing(name)
    return given


def checked_query(given: QueryDict, known: Iterable[str] = ()) -> dict[str, str]:
    for name, values in given.lists():
        if name not in known:
            raise errors.unknown(name)
        if len(values) > 1:
            raise errors.wrong(name, _("given once"))
    return {name: str(value) for name, value in given.items()}


def whole_number(field: str, value: Any, least: int, most: int) -> int:
    """A whole number, also as the text of a query's parameter."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        value = int(value)
    if type(value) is not int or not least <= value <= most:
        raise errors.wrong(
            field, _("a whole number from %(least)d to %(most)d") % {"least": least, "most": most}
        )
    return value


def listed(data: list[dict[str, Any]], *, has_more: bool) -> Response:
    """A page as their clients turn it: by the id of its last entry."""
    return Response(
        {
            "object": "list",
            "data": data,
            "first_id": data[0]["id"] if data else None,
            "last_id": data[-1]["id"] if data else None,
            "has_more": has_more,
        }
    )


def page_after(
    rows: QuerySet[Any], last: Any, *, limit: int, ascending: bool = False
) -> tuple[list[Any], bool]:
    """The rows behind `last` in the order of their making, and whether more follow."""
    if last is not None:
        beyond = "gt" if ascending else "lt"
        rows = rows.filter(
            Q(**{f"created_at__{beyond}": last.created_at})
            | Q(created_at=last.created_at, **{f"pk__{beyond}": last.pk})
        )
    order = ("created_at", "pk") if ascending else ("-created_at", "-pk")
    found = list(rows.order_by(*order)[: limit + 1])
    return found[:limit], len(found) > limit


def timestamp(moment: datetime | None) -> int | None:
    return int(moment.timestamp()) if moment is not None else None
