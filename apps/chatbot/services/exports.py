"""Have conversations written into a file, hand the file out, and take it away again."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.http import StreamingHttpResponse
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from apps.chatbot.models import ConversationExport
from common.errors import ApplicationError, ConflictError
from gpt_core.services.exports import file_answer
from labeling import work
from labeling.files import delete_file, file_path
from tenancy import audit
from tenancy.quotas import require_room

Form = ConversationExport.Form


@transaction.atomic
def start_export(*, form: str, actor: User | None = None, **asked: Any) -> ConversationExport:
    """Put an export in the queue. `asked` are columns of ConversationExport: which conversations, and
    `with_notes`. Whether somebody may have the notes is asked at the door.

    Raises ApplicationError `form_unknown`, `notes_not_in_form`, `contact_needed`, `range_empty`.
    """
    if form not in Form.values:
        known = {"known": ", ".join(Form.values)}
        raise ApplicationError("form_unknown", _("One of %(known)s.") % known, field="form")
    if asked.get("with_notes") and form not in (Form.NDJSON, Form.ARCHIVE):
        raise ApplicationError(
            "notes_not_in_form", _("Private notes go out as NDJSON alone."), field="with_notes"
        )
    if form == Form.ARCHIVE and asked.get("contact") is None:
        raise ApplicationError(
            "contact_needed", _("An archive is of one contact: name them."), field="contact"
        )
    since, until = asked.get("since"), asked.get("until")
    if since is not None and until is not None and since >= until:
        raise ApplicationError("range_empty", _("The end is before the beginning."), field="until")
    require_room(status_hint=409)
    export = ConversationExport.objects.create(form=form, actor=actor, **asked)
    notes = bool(asked.get("with_notes"))
    audit.record("conversations.export_asked", export, form=str(form), with_notes=notes)
    work.begin(export, at_once=False)
    return export


def answer_with(export: ConversationExport) -> StreamingHttpResponse:
    """The file as an answer over HTTP: the API's and the page's. That it was taken is on the trail."""
    if export.state != export.State.DONE:
        raise ConflictError("export_not_ready", _("The export is not ready."))
    file = export.result
    if file is None or not export.is_ready or not file_path(file).is_file():
        raise ApplicationError(
            "export_gone",
            _("The file of this export is not there any more. Make it again."),
            status_hint=410,
        )
    audit.record("conversations.export_taken", export, sha256=file.sha256)
    return file_answer(file_path(file), name=file.filename, size=file.size, digest=file.sha256)


@transaction.atomic
def delete_export(*, export: ConversationExport) -> None:
    """The row and its file; one that still runs is to be cancelled first."""
    if export.is_open:
        raise ConflictError("wrong_state", _("Cancel the export first."))
    if export.result is not None:
        delete_file(export.result)
    audit.record("conversations.export_deleted", export)
    export.delete()
