"""The base of every API view: it knows the tenant, says what it needs, and runs in the scope."""

import functools
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, ClassVar

from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from accounts import idempotency
from accounts.access import Credential, in_scope_while_streaming, scope_of
from accounts.permissions import HasCapability
from tenancy import quotas
from tenancy.models import Tenant
from tenancy.scope import current_scope


class TenantViewSet(GenericViewSet):
    """Subclass it, name the `model`, and for every action the capability that it `needs`.

        class DatasetViewSet(ListModelMixin, RetrieveModelMixin, TenantViewSet):
            model = Dataset
            serializer_class = DatasetSerializer
            needs = {"list": VIEW, "retrieve": VIEW}

    An action that `needs` does not name is refused. The scope is entered when the credential is
    known and left after the response is rendered; a streaming response is iterated in it. Inside:
    self.tenant, self.credential.

    Every POST honours `Idempotency-Key` (accounts.idempotency), in one transaction with its work. An
    action that commits as it goes on, or talks to another machine, is named in `in_steps`.
    """

    model: ClassVar[type[Model]]
    needs: ClassVar[dict[str, str]] = {}
    in_steps: ClassVar[frozenset[str]] = frozenset()
    permission_classes = [HasCapability]

    def needed_capability(self) -> str | None:
        return self.needs.get(self.action or "")

    def get_queryset(self) -> QuerySet[Any]:
        """Made at each request: a class attribute would be asked for outside any scope."""
        return self.model._default_manager.all()

    @property
    def credential(self) -> Credential:
        assert isinstance(self.request.auth, Credential)
        return self.request.auth

    @property
    def tenant(self) -> Tenant:
        return self.credential.tenant

    def dispatch(self, request: HttpRequest, *args: Any, **values: Any) -> HttpResponseBase:
        with ExitStack() as self._scopes:
            response = super().dispatch(request, *args, **values)
            if isinstance(response, Response):
                return response.render()
            return in_scope_while_streaming(response) if current_scope() else response

    def perform_authentication(self, request: Request) -> None:
        super().perform_authentication(request)
        if isinstance(request.auth, Credential):
            request.tenant = request.auth.tenant  # type: ignore[attr-defined]
            self._scopes.enter_context(scope_of(request.auth))
            # Counted before anything is done, whatever comes of it.
            quotas.take_request(request.auth.key_id)

    def initial(self, request: Request, *args: Any, **values: Any) -> None:
        super().initial(request, *args, **values)
        self.refuse_unread(request)
        act = getattr(self, "post", None)
        if request.method == "POST" and act is not None:
            # Only here is it known who asks, and that they may.
            self.post = functools.partial(self._once, act)

    def refuse_unread(self, request: Request) -> None:
        """Raise here what can be refused before a byte of the body is read."""

    def _once(
        self, act: Callable[..., HttpResponseBase], request: Request, *args: Any, **values: Any
    ) -> HttpResponseBase:
        return idempotency.answered_once(
            request,
            self.credential,
            lambda: act(request, *args, **values),
            in_steps=self.action in self.in_steps,
        )
