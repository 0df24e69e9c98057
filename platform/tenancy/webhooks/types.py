"""What can be told. A type is a promise: it is added, and never taken away or given another meaning."""

from django.utils.translation import gettext_lazy as _

TEST = "webhook.test"

EVENT_TYPES = {
    "job.created": _("A fine-tuning job was asked for"),
    "job.queued": _("A job waits in the queue"),
    "job.running": _("A job began to run"),
    "job.paused": _("A job was paused"),
    "job.succeeded": _("A job ended with a checkpoint"),
    "job.failed": _("A job failed"),
    "job.cancelled": _("A job was cancelled"),
    "checkpoint.published": _("A checkpoint was published"),
    "evaluation.succeeded": _("An evaluation ended with a verdict"),
    "deployment.promoted": _("A checkpoint was put into service"),
    "deployment.rolled_back": _("A deployment was rolled back"),
    "conversation.created": _("A visitor began a conversation"),
    "conversation.handed_off": _("A conversation was given to people"),
    "conversation.overdue": _("Nobody answered in time in a conversation"),
    "conversation.resolved": _("A conversation was resolved"),
    "conversation.reopened": _("A resolved conversation was opened again"),
    "conversation.rated": _("A visitor rated a conversation"),
    "message.created": _("Somebody said something in a conversation; private notes are not told"),
    "feedback.given": _("A visitor judged an answer of the bot"),
    "article.published": _("An article of knowledge was published"),
    "trial.ended": _("A checkpoint on trial was stopped, rolled back or promoted"),
}
