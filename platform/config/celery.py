"""The Celery app. A message only says "look": what is to be done stands in the database."""

import os

from celery import Celery

from config import task_log  # noqa: F401  (listens to Celery's signals)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

# A task that names neither tenant nor system refuses to run (tenancy.tasks).
app = Celery("parley", task_cls="tenancy.tasks:UnscopedTask")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
