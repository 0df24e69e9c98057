"""An error that a service raises on purpose, said to whoever filled in the form."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext as _

from common.errors import ApplicationError


def sentence(error: ApplicationError) -> str:
    return _("%(why)s (code: %(code)s)") % {"why": error.detail, "code": error.code}


def say(request: HttpRequest, error: ApplicationError) -> None:
    """At the top of the next page, where there is no form to say it in."""
    messages.error(request, sentence(error))


def into(form: forms.Form, error: ApplicationError | ValidationError) -> None:
    """Beside the field at fault, or above the form."""
    if isinstance(error, ValidationError):
        known = error.error_dict if hasattr(error, "error_dict") else {"": error.error_list}
        for field, faults in known.items():
            form.add_error(field if field in form.fields else None, faults)
        return
    own = error.field if error.field in form.fields else None
    form.add_error(own, str(error.detail) if own else sentence(error))
