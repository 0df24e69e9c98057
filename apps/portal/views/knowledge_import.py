"""Articles from files, and what became of each."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from accounts.access import tenant_page
from accounts.permissions import can_annotate
from apps.chatbot.article_files import KINDS, MOST_BYTES, MOST_ROWS
from apps.chatbot.services.article_import import MOST_FILES, import_articles
from apps.portal.knowledge_import_form import ArticleImportForm
from apps.portal.requests import TenantRequest


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_page(can_annotate)
def bring_in(request: TenantRequest) -> HttpResponse:
    """Ask for files; then say, file by file, what is new, changed, known and wrong."""
    usual = {"language": "zh" if request.tenant.language.startswith("zh") else "en"}
    form = ArticleImportForm(
        request.POST if request.method == "POST" else None,
        request.FILES if request.method == "POST" else None,
        initial=usual,
    )
    if form.is_bound and form.is_valid():
        given = form.cleaned_data
        outcomes = import_articles(
            files=given["uploads"],
            language=given["language"],
            publish=given["publish"],
            actor=request.user,
        )
        return render(request, "portal/knowledge/imported.html", {"outcomes": outcomes})
    context = {
        "form": form,
        "kinds": ", ".join(KINDS),
        "most_files": MOST_FILES,
        "most_megabytes": MOST_BYTES // 1_000_000,
        "most_rows": MOST_ROWS,
    }
    status = 400 if form.errors else 200
    return render(request, "portal/knowledge/import.html", context, status=status)
