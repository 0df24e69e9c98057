"""What the widget's door refuses with. Every refusal of a credential sounds the same."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from common.errors import ApplicationError


class NotAdmittedError(ApplicationError):
    """No such widget, not from this site, no valid token: which of them is nobody's business."""

    status_hint = 403

    def __init__(self) -> None:
        super().__init__("not_admitted", _("This widget cannot be used here."))


class SessionOverError(ApplicationError):
    """The token has ended or was taken back; the loader fetches another."""

    status_hint = 401

    def __init__(self) -> None:
        super().__init__("session_over", _("The session has ended."))
