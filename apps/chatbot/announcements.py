"""What of conversations and articles is told outside, to webhooks.

Ids, states and reasons, and never anybody's words: whoever is told reads those with a key of theirs,
whose rights decide what it shows.
"""

from __future__ import annotations

from typing import Any

from apps.chatbot.models import ArticleVersion, CandidateTrial, Conversation, Event, Feedback
from tenancy.webhooks.services import publish


def announce_conversation(conversation: Conversation, event_type: str, **more: Any) -> None:
    """How it stands now, with what makes this event another than the last."""
    publish(event_type, _about(conversation) | more)


def announce_event(held: Conversation, event: Event) -> None:
    """Tell what an entry of the conversation's own order means, if it means anything outside."""
    data = event.data
    match event.type:
        case Event.Type.MESSAGE if event.message is not None and not event.private:
            message = event.message
            told = {
                "id": str(message.pk),
                "role": message.role,
                "seq": message.seq,
                "conversation": _about(held),
            }
            publish("message.created", told)
        case Event.Type.HANDOFF:
            announce_conversation(held, "conversation.handed_off", reason=data["reason"])
        case Event.Type.STATUS if data["state"] == Conversation.State.RESOLVED:
            announce_conversation(held, "conversation.resolved")
        case Event.Type.OVERDUE:
            announce_conversation(held, "conversation.overdue", target=data["target"])
        case Event.Type.CSAT:
            announce_conversation(held, "conversation.rated", score=data["score"])


def announce_feedback(feedback: Feedback) -> None:
    told = {
        "id": str(feedback.pk),
        "message": str(feedback.message_id),
        "helpful": feedback.helpful,
        "reason": feedback.reason,
        "conversation": _about(feedback.message.conversation),
    }
    publish("feedback.given", told)


def announce_article(version: ArticleVersion) -> None:
    """From now on answers come from this version."""
    article = version.article
    told = {
        "id": str(article.pk),
        "external_id": article.external_id,
        "language": article.language,
        "version": version.number,
    }
    publish("article.published", told)


def announce_trial(trial: CandidateTrial, why: str) -> None:
    """Its checkpoint answers nobody any more, or everybody."""
    told = {
        "id": str(trial.pk),
        "inbox": str(trial.inbox_id),
        "checkpoint": str(trial.checkpoint_id),
        "share": trial.share,
        "end": why,
    }
    publish("trial.ended", told)


def _about(conversation: Conversation) -> dict[str, Any]:
    return {
        "id": str(conversation.pk),
        "inbox": str(conversation.inbox_id),
        "contact": str(conversation.contact_id),
        "state": conversation.state,
        "owner": conversation.owner,
        "assignee": str(conversation.assignee_id) if conversation.assignee_id else None,
    }
