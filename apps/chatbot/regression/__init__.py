"""Real questions of the past, asked again of every checkpoint before it may serve an inbox.

A case passes where all of its samples do (pass^k): it says what it must, from the article that it must,
nothing that stands in no passage, in the right language and style, and it refuses what it cannot know.
"""

from .judging import faults_of
from .verdicts import objections, suite_of

__all__ = ["faults_of", "objections", "suite_of"]
