"""Files of a visitor: sent into a conversation of theirs, and fetched out of it again."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse

from apps.chatbot import services
from apps.chatbot.models import Attachment
from apps.chatbot.services.attachments import MOST_BYTES, download_of
from apps.chatbot.uploads_host import is_uploads_host
from common.errors import NotFoundError
from tenancy import quotas

from .door import Visit, by_token, by_token_with_file
from .origins import is_panel, origin_of
from .views import all_own, own, text_of, uuid_of


@by_token_with_file
def send(request: HttpRequest, visit: Visit, asked: dict[str, Any]) -> HttpResponse:
    """One file, with an id of the sender's own; a repeat of the same send is the same file."""
    quotas.take_request()
    conversation = own(visit, uuid_of(asked, "conversation"))
    kept = services.receive_attachment(
        conversation=conversation,
        client_id=uuid_of(asked, "client_id"),
        name=text_of(asked, "name", 1000),
        data=request.read(MOST_BYTES + 1),
    )
    return JsonResponse({"file": str(kept.pk), "message": str(kept.message_id)}, status=202)


def from_another_origin(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """CORS for the panel alone, whose origin is not that of uploads. Its browser asks beforehand,
    for the token stands in a header."""

    @functools.wraps(view)
    def door(request: HttpRequest, **values: Any) -> HttpResponse:
        origin = origin_of(request)
        if not (is_uploads_host(request) and is_panel(request, origin)):
            return view(request, **values)
        if request.method == "OPTIONS":
            response = HttpResponse(status=204)
            response["Access-Control-Allow-Headers"] = "Authorization, Content-Type"
            response["Vary"] = "Origin"
        else:
            response = view(request, **values)
        response["Access-Control-Allow-Origin"] = origin
        return response

    return door


@from_another_origin
@by_token
def fetch(request: HttpRequest, visit: Visit, asked: dict[str, Any]) -> HttpResponse:
    """A file of a conversation of the visitor's own."""
    rows = Attachment.objects.filter(message__conversation__in=all_own(visit))
    found = rows.filter(pk=uuid_of(asked, "file")).first()
    if found is None:
        raise NotFoundError
    return download_of(found)
