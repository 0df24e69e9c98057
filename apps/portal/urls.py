"""The portal's routes. Everything of a tenant stands under its address."""

from django.urls import include, path

from apps.portal.views import checkpoints, datasets, home, jobs, playground, preferences

app_name = "portal"

in_tenant = [
    path("", home.home, name="home"),
    path("datasets/", datasets.datasets, name="datasets"),
    path("datasets/<uuid:dataset_id>/", datasets.dataset, name="dataset"),
    path("datasets/<uuid:dataset_id>/versions/<int:number>/", datasets.version, name="version"),
    path("jobs/", jobs.jobs, name="jobs"),
    path("jobs/<uuid:job_id>/", jobs.job, name="job"),
    path("jobs/<uuid:job_id>/live/", jobs.live, name="job-live"),
    path("jobs/<uuid:job_id>/curve/", jobs.curve, name="job-curve"),
    path("jobs/<uuid:job_id>/cancel/", jobs.cancel, name="job-cancel"),
    path("jobs/<uuid:job_id>/pause/", jobs.pause, name="job-pause"),
    path("jobs/<uuid:job_id>/resume/", jobs.resume, name="job-resume"),
    path("jobs/<uuid:job_id>/retry/", jobs.retry, name="job-retry"),
    path("models/", checkpoints.models, name="models"),
    path("checkpoints/<uuid:checkpoint_id>/promote/", checkpoints.promote, name="promote"),
    path("checkpoints/<uuid:checkpoint_id>/evaluate/", checkpoints.evaluate, name="evaluate"),
    path("deployments/<uuid:deployment_id>/roll-back/", checkpoints.roll_back, name="roll-back"),
    path("playground/", playground.playground, name="playground"),
    path("playground/stream/", playground.stream, name="playground-stream"),
]

urlpatterns = [
    path("", home.start, name="start"),
    path("preferences/theme/", preferences.theme, name="theme"),
    path("t/<slug:slug>/", include(in_tenant)),
]
