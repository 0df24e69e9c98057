"""What an answer costs: counted before it is written, set right when it has been.

Each half is one visit to the database, which is let go of in between: an answer takes longer than
anybody should hold a connection.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.db import connection

from accounts.access import Credential
from tenancy import quotas
from tenancy.quotas import Allowance, Reservation

# Where nobody says how long an answer may be: what most stay under. It is set right afterwards.
USUAL_TOKENS = 1_024


class Spending:
    """One answer, of one key."""

    def __init__(self, credential: Credential, asked: Mapping[str, Any]) -> None:
        self.key_id = credential.key_id
        self.prompt_tokens = _guessed(asked.get("messages", asked.get("prompt")))
        self.most_tokens = self.prompt_tokens + _most(asked)
        self.completion_tokens = 0
        self._slot = quotas.generating(self.key_id)
        self._requests: Allowance | None = None
        self._reserved: Reservation | None = None
        self._ended = False

    def take_request(self) -> None:
        """Counted whatever comes of it. Raises QuotaError."""
        self._requests = quotas.take_request(self.key_id)

    def begin(self) -> None:
        """Take a slot and the tokens. Raises QuotaError, and has taken nothing then."""
        self._slot.__enter__()
        try:
            self._reserved = quotas.reserve_tokens(self.most_tokens, self.key_id)
        except BaseException:
            self._slot.__exit__(None, None, None)
            raise

    def end(self) -> None:
        """Give the slot back and count what was used instead of what was taken, once."""
        if self._ended:
            return
        self._ended = True
        try:
            self._slot.__exit__(None, None, None)
            if self._reserved is not None:
                quotas.settle_tokens(
                    self._reserved, prompt=self.prompt_tokens, completion=self.completion_tokens
                )
        finally:
            let_go()

    def hear(self, document: Mapping[str, Any]) -> None:
        """What the engine says of its own work, or a piece of it: pieces are about a token each."""
        usage = document.get("usage")
        if isinstance(usage, Mapping):
            self.prompt_tokens = int(usage.get("prompt_tokens") or 0)
            self.completion_tokens = int(usage.get("completion_tokens") or 0)
        else:
            self.completion_tokens += len(document.get("choices") or ())

    def refused(self) -> None:
        """The engine wrote nothing, so nothing was used."""
        self.prompt_tokens = self.completion_tokens = 0

    def headers(self) -> dict[str, str]:
        """What is left, as OpenAI's clients read it."""
        found: dict[str, str] = {}
        reserved = self._reserved.allowance if self._reserved else None
        for name, allowance in (("requests", self._requests), ("tokens", reserved)):
            if allowance is not None:
                found[f"x-ratelimit-limit-{name}"] = str(allowance.limit)
                found[f"x-ratelimit-remaining-{name}"] = str(allowance.remaining)
                found[f"x-ratelimit-reset-{name}"] = f"{allowance.resets_in:.0f}s"
        return found


def let_go() -> None:
    """Give the connection back: whoever writes an answer needs none."""
    if not connection.in_atomic_block:
        connection.close()


def _guessed(prompt: Any) -> int:
    """Tokens of a prompt by its bytes: three make one of Chinese, and of English less than one."""
    if isinstance(prompt, list) and all(type(token) is int for token in prompt):
        return len(prompt)
    text = prompt if isinstance(prompt, str) else json.dumps(prompt, ensure_ascii=False)
    return len(text.encode("utf-8", "replace")) // 3 + 1


def _most(asked: Mapping[str, Any]) -> int:
    """How much may be written. What is no number here is the engine's to refuse."""
    most = asked.get("max_completion_tokens", asked.get("max_tokens"))
    if "prompt" in asked and most is None:
        most = 16  # as at OpenAI
    answers = asked.get("n", 1)
    most = most if type(most) is int and 0 < most < 10**9 else USUAL_TOKENS
    return most * (answers if type(answers) is int and 0 < answers < 10**4 else 1)
