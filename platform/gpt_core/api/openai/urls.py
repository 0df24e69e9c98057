"""The addresses below /v1/, as OpenAI's clients ask for them: without a slash at the end."""

from django.urls import path, re_path

from . import files, generation, jobs, models
from .base import UnknownRouteView

FILES = files.FileViewSet
JOBS = jobs.JobViewSet
MODELS = models.ModelViewSet

urlpatterns = [
    path("files", FILES.as_view({"get": "list", "post": "create"})),
    path("files/<str:file_id>", FILES.as_view({"get": "retrieve", "delete": "destroy"})),
    path("files/<str:file_id>/content", FILES.as_view({"get": "content"})),
    path("fine_tuning/jobs", JOBS.as_view({"get": "list", "post": "create"})),
    path("fine_tuning/jobs/estimate", JOBS.as_view({"post": "estimate"})),
    path("fine_tuning/jobs/<str:job_id>", JOBS.as_view({"get": "retrieve"})),
    path("fine_tuning/jobs/<str:job_id>/cancel", JOBS.as_view({"post": "cancel"})),
    path("fine_tuning/jobs/<str:job_id>/pause", JOBS.as_view({"post": "pause"})),
    path("fine_tuning/jobs/<str:job_id>/resume", JOBS.as_view({"post": "resume"})),
    path("fine_tuning/jobs/<str:job_id>/events", JOBS.as_view({"get": "events"})),
    path("fine_tuning/jobs/<str:job_id>/checkpoints", JOBS.as_view({"get": "checkpoints"})),
    path("models", MODELS.as_view({"get": "list"})),
    # A name may hold colons and, in a base's, a slash.
    path("models/<path:name>", MODELS.as_view({"get": "retrieve", "delete": "destroy"})),
    path("chat/completions", generation.ChatView.as_view()),
    path("completions", generation.CompletionView.as_view()),
    re_path(r"^.*$", UnknownRouteView.as_view()),
]
