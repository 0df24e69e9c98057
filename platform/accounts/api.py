"""The base of every API view: it knows the tenant, says what it needs, and runs in the scope."""

from contextlib import ExitStack
from typing import Any, ClassVar

from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from accounts.access import Credential, _streaming_in_scope, scope_of
from accounts.permissions import HasCapability
from tenancy.models import Tenant


class TenantViewSet(GenericViewSet):
    """Subclass it, name the `model`, and for every action the capability that it `needs`.

        class DatasetViewSet(ListModelMixin, RetrieveModelMixin, TenantViewSet):
            model = Dataset
            serializer_class = DatasetSerializer
            needs = {"list": VIEW, "retrieve": VIEW}

    Mixins stand to the left. An action that `needs` does not name is refused. The scope is entered
    when the credential is known and left after the response is rendered; a streaming response
    is iterated in it. Inside: self.tenant, self.credential.
    """

    model: ClassVar[type[Model]]
    needs: ClassVar[dict[str, str]] = {}
    permission_classes = [HasCapability]

    def needed_capability(self) -> str | None:
        return self.needs.get(self.action or "")

    def get_queryset(self) -> QuerySet[Any]:
        """Made at each request: a class attribute would be asked for outside any scope."""
        return self.model._default_manager.all()

    @property
    def credential(self) -> Credential:
        return self.request.auth  # type: ignore[return-value]

    @property
    def tenant(self) -> Tenant:
        return self.credential.tenant

    def dispatch(self, request: HttpRequest, *args: Any, **values: Any) -> HttpResponseBase:
        with ExitStack() as self._scope:
            response = super().dispatch(request, *args, **values)
            if isinstance(response, Response):
                return response.render()
            return _streaming_in_scope(response) if request_has_scope() else response

    def perform_authentication(self, request: Request) -> None:
        super().perform_authentication(request)
        if isinstance(request.auth, Credential):
            request._request.tenant = request.auth.tenant  # type: ignore[attr-defined]
            request.tenant = request.auth.tenant  # type: ignore[attr-defined]
            self._scope.enter_context(scope_of(request.auth))


def request_has_scope() -> bool:
    from tenancy.scope import current_scope

    return current_scope() is not None
