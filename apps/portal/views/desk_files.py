"""What visitors sent, for those who read their conversations: to download, and never to show."""

from __future__ import annotations

from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from accounts.access import tenant_page
from apps.chatbot.models import Attachment
from apps.chatbot.services.attachments import download_of, require_checked
from apps.chatbot.services.file_tickets import issue_ticket, redeem_ticket
from apps.portal.requests import TenantRequest
from common.api import PROBLEM, problem_document
from common.errors import ApplicationError, ConflictError


@require_POST
@tenant_page()
def file(request: TenantRequest, file_id: UUID) -> HttpResponse:
    """The file, or the way to it where files have an origin of their own."""
    rows = Attachment.objects.select_related("message")
    found = get_object_or_404(rows.exclude(state=Attachment.State.REFUSED), pk=file_id)
    try:
        require_checked(found)
    except ConflictError as error:
        messages.warning(request, str(error.detail))
        here = [request.tenant.slug, found.message.conversation_id]
        return HttpResponseRedirect(reverse("portal:desk-conversation", args=here))
    if not settings.UPLOADS_ORIGIN:
        return download_of(found)
    ticket = urlencode({"ticket": issue_ticket(attachment=found, user=request.user)})
    return HttpResponseRedirect(f"{settings.UPLOADS_ORIGIN}{reverse('portal:upload')}?{ticket}")


@require_GET
def upload(request: HttpRequest) -> HttpResponse:
    """On the origin of uploads, for whoever brings a ticket: no cookie of ours comes here."""
    try:
        return download_of(redeem_ticket(request.GET.get("ticket", "")))
    except ApplicationError as error:
        document = problem_document(error) or {}
        response = JsonResponse(document, status=document["status"], content_type=PROBLEM)
        response["Cache-Control"] = "no-store"
        return response
