"""Output limited to a closed set, a regular expression or a JSON schema, by llguidance."""

from __future__ import annotations

import json
from typing import Any

import torch
from torch import Tensor

from ..errors import EngineError


class Grammars:
    """Compiles grammars for one tokenizer. The tokenizer is prepared at the first use (about a second)."""

    def __init__(self, tokenizer: Any, vocabulary: int, end: int) -> None:
        self._tokenizer = tokenizer
        self._vocabulary = vocabulary
        self._end = end
        self._prepared: Any = None

    def choice(self, options: list[str]) -> str:
        """The grammar of exactly one of `options`."""
        from llguidance import grammar_from

        return self._checked(grammar_from("choice", json.dumps(options)))

    def regex(self, pattern: str) -> str:
        """The grammar of a regular expression that matches the whole output."""
        from llguidance import grammar_from

        return self._checked(grammar_from("regex", pattern))

    def json_schema(self, schema: dict[str, Any]) -> str:
        """The grammar of compact JSON for a schema: small models left free to add white space never end."""
        from llguidance import LLMatcher

        compact: Any = {"whitespace_flexible": False}
        return self._checked(LLMatcher.grammar_from_json_schema(schema, overrides=compact))

    def start(self, grammar: str) -> Matcher:
        """A matcher for one sequence."""
        from llguidance import LLMatcher

        return Matcher(LLMatcher(self._wrapped(), grammar, log_level=0), self._vocabulary)

    def _checked(self, grammar: str) -> str:
        """Raises EngineError("grammar_invalid") with llguidance's reason."""
        from llguidance import LLMatcher

        fault = LLMatcher.validate_grammar(grammar, self._wrapped())
        if fault and not fault.startswith("WARNING"):
            raise EngineError("grammar_invalid", fault[:300])
        return grammar

    def _wrapped(self) -> Any:
        if self._prepared is None:
            from llguidance.hf import from_tokenizer

            self._prepared = from_tokenizer(
                self._tokenizer, n_vocab=self._vocabulary, eos_token=self._end
            )
        return self._prepared


class Matcher:
    """Where one sequence stands in its grammar."""

    def __init__(self, matcher: Any, vocabulary: int) -> None:
        self._matcher = matcher
        self._vocabulary = vocabulary

    def limit(self, logits: Tensor) -> None:
        """Set the logits (vocabulary,) of what the grammar does not allow to -inf, in place.

        Raises EngineError("grammar_stuck") where the grammar can go no further, as over its own limits.
        """
        raw = self._matcher.compute_logit_bias()
        if self._matcher.is_error():
            raise EngineError("grammar_stuck", self._matcher.get_error()[:200])
        allowed = torch.frombuffer(bytearray(raw), dtype=torch.uint8)[: len(logits)]
        logits[: len(allowed)].masked_fill_(allowed == 0, -torch.inf)
        logits[len(allowed) :] = -torch.inf

    def consume(self, token: int) -> None:
        """Take the chosen token into account."""
        if not self._matcher.consume_token(token):
            raise EngineError("grammar_stuck", self._matcher.get_error()[:200])

    @property
    def complete(self) -> bool:
        """Whether the output is whole and can only end."""
        return bool(self._matcher.is_stopped())
