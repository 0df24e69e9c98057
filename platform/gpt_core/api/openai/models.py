"""/v1/models: base models, fine-tuned ones, the steps that were kept of them."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.permissions import TRAIN, VIEW
from common.errors import ApplicationError

from ... import services
from ...models import BaseModel, Checkpoint
from .base import OpenAIViewSet, timestamp
from .names import Model, model_called, name_of

MOST_LISTED = 10_000


class ModelViewSet(OpenAIViewSet):
    model = Checkpoint
    needs = {"list": VIEW, "retrieve": VIEW, "destroy": TRAIN}

    def list(self, request: Request) -> Response:
        self.parameters()
        # Prepared anew, a base goes by the same name.
        bases = {base.name: base for base in BaseModel.objects.order_by("created_at")}
        tuned = (
            Checkpoint.objects.present()
            .select_related(
                "tenant",
                "base_model",
                "job__tenant",
                "job__base_model",
                "step_of__tenant",
                "step_of__base_model",
            )
            .order_by("-created_at")[:MOST_LISTED]
        )
        data = [as_object(row, name) for name, row in sorted(bases.items())]
        data += [as_object(row, name_of(row)) for row in tuned]
        return Response({"object": "list", "data": data})

    def retrieve(self, request: Request, name: str) -> Response:
        return Response(as_object(model_called(name), name))

    def destroy(self, request: Request, name: str) -> Response:
        found = model_called(name)
        if not isinstance(found, Checkpoint) or (found.name != name and not name.startswith("ft:")):
            raise ApplicationError(
                "model_not_yours",
                _("Only a fine-tuned model can be deleted, by its own name."),
                field="model",
                status_hint=403,
            )
        services.delete_checkpoint(found)
        return Response({"id": name, "object": "model", "deleted": True})


def as_object(found: Model, name: str) -> dict[str, Any]:
    """OpenAI's model object, under the name that was asked for."""
    owner, parent = "parley", None
    if isinstance(found, Checkpoint):
        owner, parent = found.tenant.slug, found.base_model.name
    return {
        "id": name,
        "object": "model",
        "created": timestamp(found.created_at),
        "owned_by": owner,
        "parent": parent,
    }
