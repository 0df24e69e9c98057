"""Base models, and the page of the engines that serve them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.urls import path

from ..models import BaseModel
from . import engines
from .seen import SeenAdmin


@admin.register(BaseModel)
class BaseModelAdmin(SeenAdmin):
    list_display = ["name", "architecture", "parameters", "context", "engine_url", "created_at"]
    search_fields = ["name", "digest"]

    def get_urls(self) -> list[Any]:
        site = self.admin_site
        return [
            path("engines/", site.admin_view(engines.page), name="parley_engines"),
            path("engines/drop/", site.admin_view(engines.drop), name="parley_engine_drop"),
            path(
                "engines/reconcile/",
                site.admin_view(engines.reconcile),
                name="parley_engines_reconcile",
            ),
            *super().get_urls(),
        ]
