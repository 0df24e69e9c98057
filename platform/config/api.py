"""Every route of the native REST API, gathered from the apps that own them."""

from django.urls import URLPattern, URLResolver, include, path

from config.reference import Reference, SchemaFile

urlpatterns: list[URLPattern | URLResolver] = [
    path("schema/", SchemaFile.as_view(), name="api-schema"),
    path("docs/", Reference.as_view(), name="api-docs"),
    path("", include("accounts.api.urls")),
    path("", include("labeling.api.urls")),
    path("", include("gpt_core.api.urls")),
    path("", include("apps.chatbot.api.urls")),
]
