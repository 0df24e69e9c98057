"""From a visitor's question to what is said: understand, retrieve, answer, check, and then decide.

    draft = answer(question, progress=...)

The model writes words; code decides. What is shown has passed every check (`checks`), sentence by
sentence while it is written; what cannot be answered from the passages goes to a passage as it
stands, back to the visitor, or to a person.
"""

from .drafts import Draft
from .pipeline import KEEP_SECONDS, answer, suggest
from .trial import Trial, try_out
from .writers import Writer, writer_of

__all__ = [
    "KEEP_SECONDS",
    "Draft",
    "Trial",
    "Writer",
    "answer",
    "suggest",
    "try_out",
    "writer_of",
]
