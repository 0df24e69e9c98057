"""A list of rows that services alone write."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from tenancy.operating import OperatorAdmin


class SeenAdmin(OperatorAdmin):
    """Every row can be read, none written by a form.

    What happens to a job or a deployment happens through the services, which keep the state machine
    and the audit log; a form would go around both.
    """

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
