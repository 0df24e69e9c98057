"""What the views of the chatbot share."""

from __future__ import annotations

from typing import Any, TypeVar

from django.db.models import Model
from django.utils.translation import gettext_lazy as _
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin

from accounts.api import NativeViewSet
from accounts.models import User
from accounts.permissions import VIEW
from apps.chatbot import services
from common.errors import ApplicationError, ConflictError

Row = TypeVar("Row", bound=Model)


class ChatbotViewSet(ListModelMixin, RetrieveModelMixin, NativeViewSet):
    """List and retrieve for everyone who may view."""

    needs = {"list": VIEW, "retrieve": VIEW}

    @property
    def agent(self) -> User:
        """The member in whose name a conversation is taken. Raises ConflictError `not_an_agent`."""
        found = self.speaker
        if found is None:
            raise ConflictError(
                "not_an_agent",
                _("This key stands for no member who may answer visitors: name one."),
            )
        return found

    @property
    def speaker(self) -> User | None:
        """The same for a message, which may also be nobody's: a key whose maker is gone still speaks."""
        return self.actor if self.actor in services.agents() else None


def named(model: type[Row], field: str, **given: Any) -> Row:
    """The row that a body's field names. One of another tenant is exactly as absent as none."""
    found = model._default_manager.filter(**given).first()
    if found is None:
        raise ApplicationError("not_found", _("Not found."), field=field, status_hint=404)
    return found
