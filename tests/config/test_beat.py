"""Beat rings for work that is there."""

from typing import Any

import pytest
from django.conf import settings

from config.celery import app
from tenancy.tasks import SystemTask

SCHEDULE: dict[str, Any] = settings.CELERY_BEAT_SCHEDULE


@pytest.mark.parametrize("entry", SCHEDULE.values(), ids=list(SCHEDULE))
def test_what_beat_sends_is_a_task_across_tenants(entry: dict[str, Any]) -> None:
    app.loader.import_default_modules()
    assert isinstance(app.tasks[entry["task"]], SystemTask)


def test_the_counters_that_nobody_needs_go_every_hour() -> None:
    assert SCHEDULE["forget-usage"]["task"] == "tenancy.tasks.forget_old_usage"
    assert SCHEDULE["forget-usage"]["schedule"] == 3600.0
