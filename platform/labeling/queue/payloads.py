"""Items as a page or a program gets them, and answers as it sends them. Neither gold nor the reason
is told to those who label."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.utils.translation import gettext_lazy as _

from accounts.models import User
from common.errors import ApplicationError, NotFoundError
from labeling.models import Annotation, Assignment, LabelingTask, QueueItem, Suggestion
from labeling.queue.answers import Answer, answer_item, undo_answer
from labeling.queue.suggestions import newest_of

Verdict = Annotation.Verdict


def payloads(items: Iterable[QueueItem]) -> list[dict[str, Any]]:
    """Items with what a model thinks of them, in the order given."""
    rows = list(items)
    said = newest_of(rows)
    return [payload(item, said.get(item.pk)) for item in rows]


def payload(item: QueueItem, suggestion: Suggestion | None) -> dict[str, Any]:
    content = item.example.content
    return {
        "id": str(item.pk),
        "turns": turns_of(content),
        "answer": answer_of(content),
        "suggestion": suggested(suggestion),
    }


def suggested(suggestion: Suggestion | None) -> dict[str, Any] | None:
    if suggestion is None:
        return None
    return {
        "label": suggestion.label,
        "confidence": round(suggestion.confidence, 4),
        "probabilities": suggestion.probabilities,
        "model": suggestion.model,
    }


def turns_of(content: Mapping[str, Any]) -> list[dict[str, str]]:
    """A row's content as turns; a plain text is one turn without a role."""
    if "messages" in content:
        return [{"role": turn["role"], "text": turn["content"]} for turn in content["messages"]]
    if "completion" in content:
        return [
            {"role": "user", "text": content["prompt"]},
            {"role": "assistant", "text": content["completion"]},
        ]
    return [{"role": "", "text": str(content.get("text", ""))}]


def answer_of(content: Mapping[str, Any]) -> str:
    """What a review may edit: the last answer, or the text itself."""
    if "messages" in content:
        at = _last_answer(content)
        return "" if at is None else str(content["messages"][at]["content"])
    return str(content.get("completion", content.get("text", "")))


def with_answer(content: Mapping[str, Any], text: str) -> dict[str, Any]:
    """The content with that part exchanged."""
    if "messages" in content:
        messages = [dict(turn) for turn in content["messages"]]
        at = _last_answer(content)
        if at is None:
            messages.append({"role": "assistant", "content": text})
        else:
            messages[at]["content"] = text
        return {**content, "messages": messages}
    return {**content, "completion" if "completion" in content else "text": text}


def _last_answer(content: Mapping[str, Any]) -> int | None:
    answers = [at for at, turn in enumerate(content["messages"]) if turn["role"] != "user"]
    return next(
        (at for at in reversed(answers) if content["messages"][at]["role"] != "system"), None
    )


def recent_answers(task: LabelingTask, annotator: User, count: int = 20) -> list[dict[str, Any]]:
    """The person's last answers that stand, the newest last, so that a page can undo them."""
    rows = (
        Assignment.objects.filter(
            item__task=task, annotator=annotator, annotation__client_id__isnull=False
        )
        .exclude(item__state=QueueItem.State.ADJUDICATED)
        .select_related("annotation", "item__example")
        .order_by("-annotation__created_at")[:count]
    )
    kept = [row for row in rows if row.annotation is not None][::-1]
    shown = payloads(row.item for row in kept)
    return [
        {"item": item, "client_id": str(said.client_id), "labels": said.labels or []}
        for row, item in zip(kept, shown, strict=True)
        if (said := row.annotation) is not None
    ]


def take_in(
    *, task: LabelingTask, annotator: User, sent: Mapping[str, Any]
) -> tuple[Annotation, bool]:
    """Store an answer, or take one back, as the page sends it (labeling.api: AnswerSerializer)."""
    if sent["verdict"] == Verdict.UNDO:
        if not sent.get("undoes"):
            raise ApplicationError("answer_invalid", _("This is missing."), field="undoes")
        return undo_answer(
            task=task,
            annotator=annotator,
            client_id=UUID(sent["client_id"]),
            undoes=UUID(sent["undoes"]),
        )
    if not sent.get("item"):
        raise ApplicationError("answer_invalid", _("This is missing."), field="item")
    return answer_item(
        task=task,
        annotator=annotator,
        answer=Answer(
            client_id=UUID(sent["client_id"]),
            item=sent["item"],
            verdict=sent["verdict"],
            labels=list(sent.get("labels") or []),
            content=_edited(task, sent),
            seconds=sent.get("seconds"),
            suggestion=_shown(task, sent),
        ),
    )


def _edited(task: LabelingTask, sent: Mapping[str, Any]) -> dict[str, Any] | None:
    if sent.get("edited") is None or not task.is_review:
        return None
    item = QueueItem.objects.filter(task=task, pk=sent["item"]).select_related("example").first()
    if item is None:
        raise NotFoundError
    return with_answer(item.example.content, sent["edited"])


def _shown(task: LabelingTask, sent: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the person saw of the model that the page names; the page itself is not believed."""
    if not sent.get("shown"):
        return None
    rows = Suggestion.objects.filter(item__task=task, item=sent["item"], model=sent["shown"])
    found = rows.first()
    if found is None:
        return None
    return {"label": found.label, "confidence": found.confidence, "model": found.model}
