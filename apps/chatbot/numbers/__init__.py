"""What the chatbot and the people behind it achieve, in figures with one definition each.

    numbers = numbers_of(Range.of(days=30, inbox=inbox))

A conversation counts on the day on which it began, with all that became of it since. Every share comes
with the interval that its sample allows.
"""

from .counting import AUTO, DAYS, Numbers, Range, days_of, numbers_of
from .shares import Share

__all__ = ["AUTO", "DAYS", "Numbers", "Range", "Share", "days_of", "numbers_of"]
