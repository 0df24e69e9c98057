"""The audit log: everything that was done, by whom and when; as a page and as a file."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import UTC, datetime, time
from typing import Any

from django import forms
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from accounts.access import tenant_page
from accounts.permissions import can_manage
from apps.portal import audit_sentences, audit_trail
from apps.portal.requests import TenantRequest
from labeling.formulas import guarded
from tenancy.models import AuditEntry

PER_PAGE = 50
IN_A_FILE = 100_000
IN_ONE_BATCH = 500
MOST_ACTORS = 200


class FilterForm(forms.Form):
    """What is looked for. A value that makes no sense is as good as none."""

    action = forms.ChoiceField(label=gettext_lazy("What"), required=False)
    actor = forms.ChoiceField(label=gettext_lazy("Who"), required=False)
    since = forms.DateField(
        label=gettext_lazy("From"), required=False, widget=forms.DateInput(attrs={"type": "date"})
    )
    until = forms.DateField(
        label=gettext_lazy("To"), required=False, widget=forms.DateInput(attrs={"type": "date"})
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["action"].choices = [("", _("everything")), *_actions()]  # type: ignore[attr-defined]
        self.fields["actor"].choices = [("", _("everybody")), *_actors()]  # type: ignore[attr-defined]

    def filtered(self) -> QuerySet[AuditEntry]:
        found = AuditEntry.objects.order_by("-created_at", "-id")
        self.is_valid()
        asked = self.cleaned_data
        if asked.get("action"):
            found = found.filter(action=asked["action"])
        if asked.get("actor"):
            kind, _colon, id = asked["actor"].partition(":")
            found = found.filter(actor_kind=kind, actor_id=id)
        if asked.get("since"):
            found = found.filter(created_at__gte=_midnight(asked["since"]))
        if asked.get("until"):
            found = found.filter(created_at__lte=_midnight(asked["until"], time.max))
        return found


@require_safe
@tenant_page(can_manage)
def audit(request: TenantRequest) -> HttpResponse:
    form = FilterForm(request.GET)
    page = Paginator(form.filtered(), PER_PAGE).get_page(request.GET.get("page"))
    lines = audit_trail.entries_of(list(page))
    context = {
        "form": form,
        "page": page,
        "lines": [(line, line.url(request.tenant.slug)) for line in lines],
        "is_filtered": any(form.data.get(name) for name in form.fields),
    }
    return render(request, "portal/settings/audit.html", context)


@require_safe
@tenant_page(can_manage)
def export(request: TenantRequest) -> StreamingHttpResponse:
    """The same lines as CSV, newest first; the codes beside the sentences, for programs."""
    # Up to now: lines that are added meanwhile would shift the batches.
    found = FilterForm(request.GET).filtered().filter(created_at__lte=timezone.now())
    name = f"audit-{request.tenant.slug}-{timezone.now():%Y-%m-%d}.csv"
    response = StreamingHttpResponse(_rows(found), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


class _Echo:
    def write(self, text: str) -> str:
        return text


def _rows(found: QuerySet[AuditEntry]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    # The mark at the beginning tells a spreadsheet that this is UTF-8.
    yield "\ufeff" + writer.writerow(
        [_("Time (UTC)"), _("Who"), _("What"), _("Code"), _("Of what"), _("Id")]
    )
    for start in range(0, IN_A_FILE, IN_ONE_BATCH):
        some = list(found[start : start + IN_ONE_BATCH])
        for entry, line in zip(some, audit_trail.entries_of(some), strict=True):
            cells = [
                entry.created_at.astimezone(UTC).isoformat(timespec="seconds"),
                line.actor,
                line.sentence,
                entry.action,
                entry.target_type,
                entry.target_id,
            ]
            yield writer.writerow([guarded(cell) for cell in cells])
        if len(some) < IN_ONE_BATCH:
            return


def _actions() -> list[tuple[str, str]]:
    """Those that happened here, by their words."""
    known = AuditEntry.objects.order_by().values_list("action", flat=True).distinct()
    return sorted(((one, audit_sentences.label(one)) for one in known), key=lambda one: one[1])


def _actors() -> list[tuple[str, str]]:
    known = AuditEntry.objects.order_by().values_list("actor_kind", "actor_id").distinct()
    actors = list(known[:MOST_ACTORS])
    people, keys = audit_trail.names_of(actors)
    named = [
        (f"{kind}:{id}", audit_trail.actor_name(kind, id, people, keys)) for kind, id in actors
    ]
    return sorted(named, key=lambda one: one[1])


def _midnight(day: Any, at: time = time.min) -> datetime:
    return datetime.combine(day, at, tzinfo=UTC)
