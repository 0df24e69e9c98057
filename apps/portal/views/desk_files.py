"""What visitors sent, for those who read their conversations: to download, and never to show."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_safe

from accounts.access import tenant_page
from apps.chatbot.models import Attachment
from apps.chatbot.services.attachments import download_of
from apps.portal.requests import TenantRequest
from common.errors import ConflictError


@require_safe
@tenant_page()
def file(request: TenantRequest, file_id: UUID) -> HttpResponse:
    rows = Attachment.objects.select_related("message")
    found = get_object_or_404(rows.exclude(state=Attachment.State.REFUSED), pk=file_id)
    try:
        return download_of(found)
    except ConflictError as error:
        messages.warning(request, str(error.detail))
    here = [request.tenant.slug, found.message.conversation_id]
    return HttpResponseRedirect(reverse("portal:desk-conversation", args=here))
