"""The request's id goes with Celery's messages, and each task's line names it."""

import logging
import time
from typing import Any

import structlog
from celery.signals import before_task_publish, setup_logging, task_postrun, task_prerun

logger = logging.getLogger("parley.task")

HEADER = "parley_request_id"
_started: dict[str, float] = {}


@setup_logging.connect
def keep_our_logging(**_details: Any) -> None:
    """Celery would dress the loggers anew; whoever listens here says that they are dressed."""


@before_task_publish.connect
def send_request_id(headers: dict[str, Any] | None = None, **_details: Any) -> None:
    request_id = structlog.contextvars.get_contextvars().get("request_id")
    if headers is not None and request_id:
        headers.setdefault(HEADER, request_id)


@task_prerun.connect
def bind_request_id(task_id: str = "", task: Any = None, **_details: Any) -> None:
    """A task that nobody asked for by a request (beat's) goes by its own id."""
    request = getattr(task, "request", None)
    request_id = getattr(request, HEADER, None) or (getattr(request, "headers", None) or {}).get(
        HEADER
    )
    if getattr(request, "called_directly", False) or getattr(request, "is_eager", False):
        return
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(
        request_id=request_id or task_id.replace("-", ""), task=getattr(task, "name", "")
    )
    _started[task_id] = time.perf_counter()


@task_postrun.connect
def tell(task_id: str = "", state: str | None = None, **details: Any) -> None:
    began = _started.pop(task_id, None)
    if began is None:
        return
    arguments = details.get("kwargs") or {}
    extra = {
        "outcome": (state or "unknown").lower(),
        "milliseconds": round((time.perf_counter() - began) * 1000, 1),
    }
    if arguments.get("tenant_id"):
        extra["tenant"] = str(arguments["tenant_id"])
    logger.info("task", extra=extra)
    structlog.contextvars.clear_contextvars()
