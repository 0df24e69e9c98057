"""What `make run` tells at its first start: two companies, each with a GPT of its own."""

from .company import Company
from .lykta import LYKTA
from .story import OWNER, Progress, Story, StoryError, owner_password
from .zaragoza import ZARAGOZA

__all__ = [
    "LYKTA",
    "OWNER",
    "ZARAGOZA",
    "Company",
    "Progress",
    "Story",
    "StoryError",
    "owner_password",
]
