"""What the company knows: the articles that its chatbot answers from."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.access import tenant_page
from accounts.permissions import can_annotate
from apps.chatbot.answering import try_out
from apps.chatbot.models import Article, ArticleVersion, Inbox
from apps.chatbot.services.knowledge import (
    MOST_BODY,
    archive_article,
    publish_article,
    write_article,
)
from apps.portal import refusals
from apps.portal.gaps_page import about
from apps.portal.knowledge_forms import ArticleForm, TrialForm
from apps.portal.knowledge_page import KnowledgePage
from apps.portal.requests import TenantRequest
from common.errors import ApplicationError, ConflictError
from common.html import markdown_as_html

MOST_VERSIONS = 50


@require_safe
@tenant_page()
def knowledge(request: TenantRequest) -> HttpResponse:
    """Every article, narrowed by words, state and language."""
    context = {
        "list": KnowledgePage(request.GET),
        "can_annotate": can_annotate(request.membership),
    }
    return render(request, "portal/knowledge/articles.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_page(can_annotate)
def new(request: TenantRequest) -> HttpResponse:
    """An empty one, or one for what visitors ask (`?gap=`)."""
    form = ArticleForm(
        request.POST if request.method == "POST" else None,
        initial=_usual(request) | about(request.GET.get("gap", "")),
    )
    if request.method == "POST" and form.is_valid():
        saved = _save(request, form, None)
        if saved is not None:
            return _to(request, saved)
    return _editor(request, form)


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_page()
def article(request: TenantRequest, article_id: UUID) -> HttpResponse:
    """The editor, with the newest text or the one of `?version=`; for viewers, the text as it reads."""
    found = get_object_or_404(Article.objects.select_related("published"), pk=article_id)
    versions = found.versions.select_related("author").order_by("-number")
    newest = versions.first()
    given = request.GET.get("version", "")
    shown = versions.filter(number=int(given)).first() if _is_number(given) else newest
    shown = shown or newest
    may = can_annotate(request.membership)
    if request.method == "POST" and not may:
        raise PermissionDenied
    form = ArticleForm(
        request.POST if request.method == "POST" else None,
        initial={
            "title": shown.title if shown else found.title,
            "body": shown.body if shown else "",
            "language": found.language,
            "questions": found.questions,
            "is_curated": found.is_curated,
            "seen": newest.number if newest else 0,
        },
    )
    overtaken = False
    if request.method == "POST" and form.is_valid():
        try:
            saved = _save(request, form, found)
        except ConflictError as error:
            # Told once; whoever then saves again saves on top of it, and both texts are kept.
            newest = versions.first()
            form = _told(form, error, newest)
            overtaken, saved = True, None
            found.refresh_from_db()
        if saved is not None:
            return _to(request, saved)
    context = {
        "article": found,
        "versions": versions[:MOST_VERSIONS],
        "shown": shown,
        "newest": newest,
        "overtaken": overtaken,
        "may_edit": may,
    }
    return _editor(request, form, **context)


@require_POST
@tenant_page()
def preview(request: TenantRequest) -> HttpResponse:
    """Markdown as visitors read it, while it is written."""
    body = request.POST.get("body", "")[:MOST_BODY]
    return render(request, "portal/knowledge/_preview.html", {"preview": markdown_as_html(body)})


@require_POST
@tenant_page(can_annotate)
def archive(request: TenantRequest, article_id: UUID) -> HttpResponse:
    found = get_object_or_404(Article, pk=article_id)
    archive_article(article=found)
    messages.success(request, _("Archived. No answer comes from it until it is published again."))
    return _to(request, found)


@require_safe
@tenant_page()
def trial(request: TenantRequest) -> HttpResponse:
    """A question, what is found for it, and what would become of it."""
    form = TrialForm(request.GET if "q" in request.GET else None)
    if form.is_bound and form.is_valid():
        # Of no inbox: by the rules that a new one begins with.
        inbox = form.cleaned_data["inbox"] or Inbox()
        tried = try_out(form.cleaned_data["q"], inbox=inbox)
        context = {"form": form, "tried": tried, "inbox": inbox}
    else:
        first = Inbox.objects.order_by("name", "pk").first()
        form = form if form.is_bound else TrialForm(initial={"inbox": first})
        context = {"form": form}
    status = 400 if form.errors else 200
    return render(request, "portal/knowledge/trial.html", context, status=status)


# --- What the views share --------------------------------------------------------------------


def _save(request: TenantRequest, form: ArticleForm, found: Article | None) -> Article | None:
    """Saved, and published where that was the button; None where the form now says why not."""
    given = form.cleaned_data
    try:
        saved = write_article(article=found, actor=request.user, **given)
    except ConflictError:
        raise
    except ApplicationError as error:
        refusals.into(form, error)
        return None
    if request.POST.get("do") == "publish":
        publish_article(article=saved)
        messages.success(request, _("Published. The next question is answered from it."))
    elif saved.state == Article.State.PUBLISHED:
        messages.success(request, _("Saved. Answers still come from the published version."))
    else:
        messages.success(request, _("Saved as a draft. No answer comes from it yet."))
    return saved


def _told(form: ArticleForm, error: ConflictError, newest: ArticleVersion | None) -> ArticleForm:
    """The same form with what was written, knowing of the newer version now."""
    sent = form.data.copy()  # type: ignore[attr-defined]
    sent["seen"] = str(newest.number if newest else 0)
    told = ArticleForm(sent)
    told.is_valid()
    refusals.into(told, error)
    return told


def _editor(request: TenantRequest, form: ArticleForm, **context: Any) -> HttpResponse:
    context = {"may_edit": True, "form": form} | context
    context["preview"] = markdown_as_html(str(form["body"].value() or "")[:MOST_BODY])
    status = 409 if context.get("overtaken") else 400 if form.errors else 200
    return render(request, "portal/knowledge/article.html", context, status=status)


def _usual(request: TenantRequest) -> dict[str, str]:
    return {"language": "zh" if request.tenant.language.startswith("zh") else "en"}


def _is_number(given: str) -> bool:
    return given.isascii() and given.isdigit() and len(given) < 9


def _to(request: TenantRequest, found: Article) -> HttpResponseRedirect:
    return HttpResponseRedirect(reverse("portal:article", args=[request.tenant.slug, found.pk]))
