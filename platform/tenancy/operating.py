"""What every list of the admin shares: each change by the staff is in the audit log, and nowhere else.

Django's own log keeps the names of rows; ours keeps ids, so that an erased company is erased there too.
"""

from collections.abc import Iterable
from typing import Any

from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.admin import ModelAdmin

from tenancy import audit

MOST_AT_ONCE = 100


class OperatorAdmin(ModelAdmin):
    """A list of the admin. Its actions ask for the right to operate: to change what the list shows."""

    show_full_result_count = False

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> None:
        audit.record("admin.added", obj)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> None:
        audit.record("admin.changed", obj, fields=_changed(message))

    def log_deletions(self, request: HttpRequest, queryset: Iterable[Any]) -> None:
        for row in queryset:
            audit.record("admin.deleted", row)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        """What was done to a row is told by the audit log."""
        entries = reverse("admin:tenancy_auditentry_changelist", current_app=self.admin_site.name)
        return HttpResponseRedirect(f"{entries}?target_id={object_id}")

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Also where the form itself is read-only for everybody."""
        meta = self.model._meta
        return request.user.has_perm(f"{meta.app_label}.change_{meta.model_name}")

    def asked_first(
        self, request: HttpRequest, rows: QuerySet[Any], *, action: str, title: Any, words: Any
    ) -> TemplateResponse | None:
        """The page that asks whether that is meant; None once it was answered."""
        if request.POST.get("confirmed") == "yes":
            return None
        context = self.admin_site.each_context(request) | {
            "title": title,
            "words": words,
            "rows": rows[:MOST_AT_ONCE],
            "action": action,
            "opts": self.model._meta,
            "action_checkbox_name": ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "admin/asked_first.html", context)


def _changed(message: Any) -> list[str]:
    """The names of the fields out of Django's message about a change."""
    if not isinstance(message, list):
        return []
    return [
        str(field)
        for part in message
        if isinstance(part, dict)
        for field in part.get("changed", {}).get("fields", [])
    ]
