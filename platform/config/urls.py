"""The only place that knows every URL."""

from django.contrib import admin
from django.urls import include, path

from apps.chatbot.widget.pages import demo
from config import health, metrics

urlpatterns = [
    path("health/live", health.live),
    path("health/ready", health.ready),
    path("metrics", metrics.page),
    path("admin/", admin.site.urls),
    path("accounts/", include("allauth.urls")),
    path("i18n/", include("django.conf.urls.i18n")),
    path("api/v1/", include("config.api")),
    path("v1/", include("gpt_core.api.openai.urls")),
    path("widget/", include("apps.chatbot.widget.urls")),
    path("demo/<str:key>/", demo, name="widget-demo"),
    path("", include("apps.portal.urls")),
]

handler400 = "common.api.bad_request"
handler403 = "common.api.permission_denied"
handler404 = "common.api.not_found"
handler500 = "common.api.server_error"
