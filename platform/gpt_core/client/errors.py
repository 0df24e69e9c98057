"""What can go wrong on the way to an engine, in words for whoever asked."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from common.errors import ApplicationError


class EngineUnavailableError(ApplicationError):
    """The engine cannot be reached, or broke down while it answered."""

    status_hint = 503

    def __init__(self, code: str = "engine_unavailable", *, cause: str = "") -> None:
        """`cause` is for logs; it may name addresses and is shown to nobody."""
        super().__init__(code, _("The model cannot be reached at the moment. Try again shortly."))
        self.cause = cause


class EngineBusyError(ApplicationError):
    """The engine has as much to do as it takes on; `retry_after` seconds is its own guess."""

    status_hint = 503

    def __init__(self, *, retry_after: float) -> None:
        super().__init__(
            "engine_busy",
            _("The model is busy. Try again in a few seconds."),
            extra={"retry_after": retry_after},
        )
        self.retry_after = retry_after


class EngineRefusedError(ApplicationError):
    """The engine understood and says no: a wrong parameter, too long a text, an unknown model."""

    status_hint = 400

    def __init__(self, code: str, message: str = "", *, param: str | None = None) -> None:
        super().__init__(
            code,
            _("The model refused the request: %(message)s") % {"message": message or code},
            field=param,
        )
        self.param = param


def refused(code: str, message: Any, param: Any) -> EngineRefusedError:
    """An error document's fields, whatever types they came in."""
    return EngineRefusedError(
        code, str(message or "")[:500], param=param if isinstance(param, str) else None
    )
