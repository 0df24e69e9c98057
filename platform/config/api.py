"""Every route of the native REST API, gathered from the apps that own them."""

from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("accounts.api.urls")),
    path("", include("labeling.api.urls")),
    path("", include("gpt_core.api.urls")),
]
