"""What the pipeline hands back: words with their passages, or the reason to fetch a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from apps.chatbot.models import Answer, Passage
from gpt_core.models import Checkpoint


@dataclass(frozen=True)
class Draft:
    """An answer before it is said. `handoff` is a Handoff.Reason, empty where nobody is needed."""

    outcome: str
    text: str = ""
    passages: Sequence[Passage] = ()
    handoff: str = ""
    confidence: float | None = None
    query: str = ""
    model: str = ""
    checkpoint: Checkpoint | None = None
    checks: Mapping[str, Any] = field(default_factory=dict)
    first_token_seconds: float | None = None
    # As the model got it, or would have got it.
    prompt: Sequence[Mapping[str, str]] = ()

    @property
    def sources(self) -> list[dict[str, Any]]:
        """The passages as they stood, for rows that outlive them."""
        return [
            {
                "article": str(passage.version.article_id),
                "version": passage.version.number,
                "title": passage.version.title,
                "text": passage.text,
            }
            for passage in self.passages
        ]

    @classmethod
    def to_people(cls, reason: str, **more: Any) -> Draft:
        return cls(Answer.Outcome.HANDOFF, handoff=reason, **more)
