"""Settings, URLs and the processes' doors."""

from .celery import app as celery_app

__all__ = ["celery_app"]
