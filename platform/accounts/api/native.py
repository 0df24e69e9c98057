"""The base of every view below /api/v1/: input is read strictly, and all of it is in the schema."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.base import TenantViewSet
from accounts.models import User
from common.api import ListQuery, NoQuery, StrictSerializer

PAGER = frozenset(ListQuery().fields)


class NativeViewSet(TenantViewSet):
    """Subclass it, and name for every action the shape of its `queries`, if it takes any.

    A parameter that is not in that shape is refused by its name. What the shape of a list has beyond
    the pager's parameters filters its rows by the column of that name. Inside: self.query.
    """

    lookup_value_converter = "uuid"
    queries: ClassVar[Mapping[str, type[StrictSerializer]]] = {}

    query: dict[str, Any]

    @classmethod
    def query_of(cls, action: str | None) -> type[StrictSerializer]:
        """The shape of an action's parameters."""
        return cls.queries.get(action or "", ListQuery if action == "list" else NoQuery)

    def initial(self, request: Request, *args: Any, **values: Any) -> None:
        super().initial(request, *args, **values)
        given = request.query_params
        if twice := [name for name, found in given.lists() if len(found) > 1]:
            raise ValidationError({name: [_("Give this once.")] for name in twice[:20]})
        self.query = self.input_as(self.query_of(self.action), given.dict())

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """One answer whatever is accepted: a file is asked for by what it is, not as JSON."""
        return super().perform_content_negotiation(request, force=True)

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        rows = super().filter_queryset(queryset)
        if self.action == "list":
            rows = rows.filter(
                **{name: value for name, value in self.query.items() if name not in PAGER}
            )
        return rows

    @property
    def actor(self) -> User | None:
        """The person at the door; of a key, whoever made it."""
        return self.request.user if isinstance(self.request.user, User) else None

    def input_as(self, shape: type[StrictSerializer], data: Any = None) -> dict[str, Any]:
        """The body, or `data`, read strictly."""
        read = shape(data=self.request.data if data is None else data)
        read.is_valid(raise_exception=True)
        return dict(read.validated_data)

    def answer(self, row: Any, status: int = 200) -> Response:
        return Response(self.get_serializer(row).data, status=status)
