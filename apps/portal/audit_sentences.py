"""Every action of the trail as a sentence that begins with what was done.

A test reads the source and asks that each `audit.record` has one here. `%(target)s` is the name of
what it was done to; the rest comes from the entry's data.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext_lazy as _

from tenancy.models import Role

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

SENTENCES: Mapping[str, StrPromise] = {
    "tenant.opened": _("Opened the tenant"),
    "tenant.changed": _("Changed the settings of the tenant"),
    "tenant.suspended": _("Suspended the tenant"),
    "tenant.reactivated": _("Let the tenant in again"),
    "tenant.closing_begun": _("Closed the tenant; it is erased when the time of grace is over"),
    "tenant.closing_undone": _("Opened the tenant again before it was erased"),
    "tenant.archive_asked": _("Asked for everything of the tenant in one file"),
    "tenant.archived": _("Put everything of the tenant into one file"),
    "tenant.archive_taken": _("Downloaded everything of the tenant in one file"),
    "tenant.erased": _("Erased the tenant"),
    "admin.added": _("Added %(target)s in the administration"),
    "admin.changed": _("Changed %(target)s in the administration"),
    "admin.deleted": _("Deleted %(target)s in the administration"),
    "engine.adapter_dropped": _("Dropped an adapter from an engine"),
    "engine.reconciled": _("Brought an engine in line with what is deployed"),
    "member.joined": _("Joined as %(role)s"),
    "member.left": _("Left the tenant"),
    "member.role_changed": _("Made %(target)s %(after)s instead of %(before)s"),
    "member.removed": _("Removed %(target)s, who was %(role)s"),
    "invitation.made": _("Invited %(target)s as %(role)s"),
    "invitation.renewed": _("Sent %(target)s the invitation again"),
    "invitation.revoked": _("Withdrew the invitation of %(target)s"),
    "key.created": _("Made the key “%(target)s”"),
    "key.revoked": _("Revoked the key “%(target)s”"),
    "key.limited": _("Changed the limits of the key “%(target)s”"),
    "history.imported": _("Imported past conversations from %(target)s"),
    "history.revealed": _("Looked at the personal data of the past conversation %(target)s"),
    "history.erased": _("Erased the past conversations of one customer"),
    "redaction.changed": _("Changed what is redacted"),
    "conversation.taken": _("Took over the conversation %(target)s"),
    "conversation.assigned": _("Gave a conversation to %(target)s"),
    "conversation.reopened": _("Opened the conversation %(target)s again"),
    "contact.erased": _("Erased everything of a contact"),
    "contact.changed": _("Changed what the contact %(target)s is known by"),
    "conversations.export_asked": _("Had conversations written into a file"),
    "conversations.export_taken": _("Downloaded a file of conversations"),
    "conversations.export_deleted": _("Deleted a file of conversations"),
    "conversation.returned": _("Gave the conversation %(target)s back to the bot"),
    "dataset.created": _("Made the dataset %(target)s"),
    "dataset.renamed": _("Changed the settings of the dataset %(target)s"),
    "dataset.deleted": _("Deleted a dataset with %(examples)s examples"),
    "dataset.imported": _("Imported a file into the dataset %(target)s"),
    "dataset.freeze_asked": _("Had a dataset frozen"),
    "dataset.frozen": _("Froze %(target)s"),
    "example.deleted": _("Deleted an example"),
    "examples.changed": _("Changed %(examples)s examples at once"),
    "examples.change_undone": _("Undid a change of %(examples)s examples"),
    "label.created": _("Added the label %(target)s"),
    "label.changed": _("Changed the label %(target)s, which stands at %(examples)s examples"),
    "label.deleted": _("Deleted a label"),
    "labeling_task.created": _("Made the labelling task %(target)s"),
    "labeling_task.changed": _("Changed the labelling task %(target)s"),
    "labeling.adjudicated": _("Decided what people had labelled differently"),
    "file.stored": _("Uploaded the file %(target)s"),
    "file.deleted": _("Deleted a file"),
    "job.started": _("Started the job %(target)s"),
    "job.resumed": _("Let the job %(target)s go on"),
    "job.cancel_requested": _("Cancelled the job %(target)s"),
    "job.pause_requested": _("Paused the job %(target)s"),
    "evaluation.started": _("Had %(target)s compared with the base model"),
    "evaluation.finished": _("Finished the comparison of %(target)s"),
    "evaluation.cancel_requested": _("Cancelled the comparison of %(target)s"),
    "checkpoint.published": _("Published the checkpoint %(name)s"),
    "checkpoint.deleted": _("Deleted the checkpoint %(name)s"),
    "job.requeued": _("Put the job %(target)s back into the queue"),
    "evaluation.requeued": _("Put the comparison of %(target)s back into the queue"),
    "export.requeued": _("Put the export of %(target)s back into the queue"),
    "export.cancel_requested": _("Cancelled the export of %(target)s"),
    "export.started": _("Had %(target)s exported"),
    "export.finished": _("Finished the export of %(target)s"),
    "export.downloaded": _("Downloaded the export of %(target)s"),
    "export.deleted": _("Deleted the export of %(target)s"),
    "webhook.created": _("Named the webhook %(target)s"),
    "webhook.changed": _("Changed the webhook %(target)s"),
    "webhook.deleted": _("Deleted the webhook %(target)s"),
    "webhook.disabled": _("Switched the webhook %(target)s off"),
    "webhook.enabled": _("Switched the webhook %(target)s on"),
    "webhook.secret_rotated": _("Gave the webhook %(target)s a new secret"),
    "webhook.replayed": _("Sent an event again to %(target)s"),
    "articles.published": _("Published %(articles)s articles"),
    "article.published": _("Published the article “%(target)s”"),
    "article.archived": _("Archived the article “%(target)s”"),
    "article.imported": _("Imported %(articles)s articles from %(files)s files"),
    "gap.dismissed": _("Dismissed a matter that visitors asked about"),
    "regression.case_added": _("Added the test question “%(target)s”"),
    "regression.case_removed": _("Took the test question “%(target)s” away"),
    "trial.started": _(
        "Put %(checkpoint)s on trial in “%(target)s” for %(share)s of 100 conversations"
    ),
    "trial.stopped": _("Stopped the trial of %(checkpoint)s in “%(target)s”"),
    "trial.rolled_back": _(
        "Ended the trial of %(checkpoint)s in “%(target)s”: it failed in %(failed)s of %(of)s conversations, "
        "what serves in %(serving_failed)s of %(serving_of)s"
    ),
    "inbox.created": _("Made the inbox “%(target)s”"),
    "inbox.changed": _("Changed the inbox “%(target)s”"),
    "inbox.bot_on": _("Switched the bot on in the inbox “%(target)s”"),
    "inbox.bot_off": _("Switched the bot off in the inbox “%(target)s”"),
    "reply.written": _("Wrote the canned reply “%(target)s”"),
    "reply.deleted": _("Deleted the canned reply “%(target)s”"),
    "identity_key.added": _("Added a key that signs who a visitor is"),
    "identity_key.retired": _("Retired a key that signed who a visitor is"),
    "deployment.promoted": _("Promoted %(checkpoint)s in %(target)s"),
    "deployment.rolled_back": _("Rolled %(target)s back to %(checkpoint)s"),
}
# The same action, where its data say something that must not be overlooked.
OVERRULED = _("Promoted %(checkpoint)s in %(target)s against the gate")

_ROLES = {"role", "before", "after"}


class _Data(dict[str, Any]):
    def __missing__(self, name: str) -> str:
        # An entry of another version lacks a word: the sentence still stands.
        return "–"


def sentence(action: str, target: str, data: Mapping[str, Any]) -> str:
    """An action that nobody wrote a sentence for is shown by its code."""
    template = SENTENCES.get(action)
    if template is None:
        return action
    if action == "deployment.promoted" and data.get("overridden"):
        template = OVERRULED
    words = {name: _word(name, value) for name, value in data.items()}
    return str(template) % _Data(words | {"target": target})


def label(action: str) -> str:
    """The action without its particulars, for a list to choose from."""
    return sentence(
        action, "…", {name: "…" for name in ("role", "before", "after", "name", "checkpoint")}
    )


def _word(name: str, value: Any) -> str:
    if name in _ROLES and value in Role.values:
        return str(Role(value).label)
    return str(value)
