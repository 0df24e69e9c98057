"""What is learned from conversations of today: drafts for people to review, and articles that are missing.

A conversation is looked at when it is over, as a whole, and again when something comes to it. What is
made of it is known by the message it came from, so that looking twice makes nothing twice.
"""

from .collecting import collect
from .gaps import close_answered

__all__ = ["close_answered", "collect"]
