"""The requests of OpenAI and vLLM, read strictly.

Whatever is wrong is answered here, with status 400 in OpenAI's shape, and never reaches the batch. A parameter
that is not known is refused as well: silently ignoring one would change answers without a word.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .requests import SamplingParameters

MAX_TEXT = 1_000_000
MAX_MESSAGES = 2_000
MAX_STOPS = 16
MAX_COMPLETIONS = 256
MAX_TOP_LOGPROBS = 20
_ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "agent": "agent",
}
# Accepted and without effect here: nothing is cached between requests, and turns are fair by themselves.
_WITHOUT_EFFECT = ("user", "cache_salt", "priority", "metadata")
_SAMPLING = [
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "repetition_penalty",
    "frequency_penalty",
    "presence_penalty",
    "seed",
    "stop",
    "n",
    "max_tokens",
    "ignore_eos",
]
_GENERATION = (
    "model",
    "stream",
    "stream_options",
    "structured_outputs",
    "response_format",
    *_SAMPLING,
)
_CHAT = {
    *_GENERATION,
    *_WITHOUT_EFFECT,
    "messages",
    "logprobs",
    "top_logprobs",
    "max_completion_tokens",
}
_COMPLETION = {*_GENERATION, *_WITHOUT_EFFECT, "prompt", "logprobs"}
_SCORE = {"model", "messages", "prompt", "completions", *_WITHOUT_EFFECT}
_TOKENIZE = {"model", "messages", "prompt", "add_special_tokens", "add_generation_prompt"}
_TINY_TEMPERATURE = 1e-5


class ProtocolError(Exception):
    """A request that is refused: OpenAI's error with an HTTP status."""

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str = "invalid_value",
        status: int = 400,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code
        self.status = status


@dataclass(frozen=True)
class Grammar:
    """A limit on the output: kind "choice", "regex" or "json", and what was asked."""

    kind: str
    content: Any
    param: str


@dataclass(frozen=True)
class Prompt:
    """What to continue: a conversation, a text or tokens."""

    messages: list[dict[str, str]] | None = None
    text: str | None = None
    tokens: list[int] | None = None


@dataclass(frozen=True)
class GenerationCall:
    """A checked call. `sampling.max_tokens` is 0 where the caller named none."""

    model: str
    prompt: Prompt
    sampling: SamplingParameters
    stream: bool
    include_usage: bool
    grammar: Grammar | None


@dataclass(frozen=True)
class ScoreCall:
    """A checked call for log-probabilities."""

    model: str
    prompt: Prompt
    completions: list[str]


class Fields:
    """A JSON object read field by field; null is the same as absent."""

    def __init__(self, document: Any, known: set[str]) -> None:
        if not isinstance(document, dict):
            raise ProtocolError("The body must be a JSON object.", code="invalid_json")
        unknown = sorted(str(key) for key in document if key not in known)
        if unknown:
            raise _unknown(unknown[0][:100])
        self._values = {key: value for key, value in document.items() if value is not None}

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def raw(self, name: str) -> Any:
        """The value as it came, or None."""
        return self._values.get(name)

    def number(
        self, name: str, default: float, low: float, high: float, *, above: bool = False
    ) -> float:
        """A finite number from `low` (excluded with `above`) to `high`."""
        value = self._values.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _wrong(name, "a number")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number) or not low <= number <= high or (above and number == low):
            raise _wrong(name, f"a number from {low:g} to {high:g}")
        return number

    def integer(self, name: str, default: int | None, low: int, high: int) -> int | None:
        """A whole number from `low` to `high`; `default` where absent."""
        value = self._values.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise _wrong(name, f"a whole number from {low} to {high}")
        return value

    def flag(self, name: str) -> bool:
        """True or false; false where absent."""
        value = self._values.get(name, False)
        if not isinstance(value, bool):
            raise _wrong(name, "true or false")
        return value

    def text(self, name: str) -> str:
        """A text that must be there."""
        if name not in self._values:
            raise ProtocolError(f"'{name}' is required.", param=name, code="missing_parameter")
        return checked_text(self._values[name], name)


def read_chat(document: Any, *, max_rows: int) -> GenerationCall:
    """A call of /v1/chat/completions. Raises ProtocolError."""
    fields = Fields(document, _CHAT)
    prompt = Prompt(messages=read_messages(fields.raw("messages")))
    logprobs = None
    top = fields.integer("top_logprobs", None, 0, MAX_TOP_LOGPROBS)
    if fields.flag("logprobs"):
        logprobs = top or 0
    elif top is not None:
        raise ProtocolError("'top_logprobs' needs 'logprobs': true.", param="top_logprobs")
    if "max_tokens" in fields and "max_completion_tokens" in fields:
        raise ProtocolError("Give 'max_tokens' or 'max_completion_tokens'.", param="max_tokens")
    name = "max_completion_tokens" if "max_completion_tokens" in fields else "max_tokens"
    most = fields.integer(name, 0, 1, 10**9) or 0
    return _generation(fields, prompt, logprobs, most, max_rows)


def read_completion(document: Any, *, max_rows: int, vocabulary: int) -> GenerationCall:
    """A call of /v1/completions; one prompt, as text or as tokens. Raises ProtocolError."""
    fields = Fields(document, _COMPLETION)
    prompt = _read_prompt(fields.raw("prompt"), vocabulary)
    logprobs = fields.integer("logprobs", None, 0, MAX_TOP_LOGPROBS)
    most = fields.integer("max_tokens", 16, 1, 10**9) or 0
    return _generation(fields, prompt, logprobs, most, max_rows)


def read_score(document: Any, *, vocabulary: int) -> ScoreCall:
    """A call of /v1/score. Raises ProtocolError."""
    fields = Fields(document, _SCORE)
    completions = fields.raw("completions")
    if not isinstance(completions, list) or not 1 <= len(completions) <= MAX_COMPLETIONS:
        raise _wrong("completions", f"a list of 1 to {MAX_COMPLETIONS} texts")
    texts = [
        checked_text(entry, f"completions[{place}]") for place, entry in enumerate(completions)
    ]
    if not all(texts):
        raise _wrong("completions", "texts that are not empty")
    return ScoreCall(fields.text("model"), _one_prompt(fields, vocabulary), texts)


def read_tokenize(document: Any, *, vocabulary: int) -> tuple[str | None, Prompt]:
    """A call of /tokenize: (model, prompt). Raises ProtocolError."""
    fields = Fields(document, _TOKENIZE)
    for name in ("add_special_tokens", "add_generation_prompt"):
        fields.flag(name)
    model = fields.text("model") if "model" in fields else None
    return model, _one_prompt(fields, vocabulary)


def read_messages(value: Any) -> list[dict[str, str]]:
    """The messages of a conversation as role and text. Raises ProtocolError."""
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_MESSAGES:
        raise _wrong("messages", f"a list of 1 to {MAX_MESSAGES} messages")
    messages, size = [], 0
    for place, entry in enumerate(value):
        name = f"messages[{place}]"
        if not isinstance(entry, dict):
            raise _wrong(name, "an object with 'role' and 'content'")
        # `name` among them: no template here shows the model who of several speaks.
        unknown = sorted(str(key) for key in entry if key not in ("role", "content"))
        if unknown:
            raise _unknown(f"{name}.{unknown[0][:100]}")
        role = entry.get("role")
        if not isinstance(role, str) or role not in _ROLES:
            raise _wrong(f"{name}.role", f"one of {', '.join(_ROLES)}")
        content = _read_content(entry.get("content"), f"{name}.content")
        size += len(content)
        messages.append({"role": _ROLES[role], "content": content})
    if size > MAX_TEXT:
        raise ProtocolError(
            "The messages are too long.", param="messages", code="context_length_exceeded"
        )
    return messages


def checked_text(value: Any, name: str) -> str:
    """A text that UTF-8 can hold, of at most MAX_TEXT characters. Raises ProtocolError."""
    if not isinstance(value, str):
        raise _wrong(name, "a text")
    if len(value) > MAX_TEXT:
        raise ProtocolError(f"'{name}' is too long.", param=name, code="context_length_exceeded")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise ProtocolError(f"'{name}' holds half a surrogate pair.", param=name) from None
    return value


def _generation(
    fields: Fields, prompt: Prompt, logprobs: int | None, max_tokens: int, max_rows: int
) -> GenerationCall:
    stream = fields.flag("stream")
    options = fields.raw("stream_options")
    if options is not None and not stream:
        raise ProtocolError("'stream_options' needs 'stream': true.", param="stream_options")
    if not isinstance(options, dict | None):
        raise _wrong("stream_options", "an object")
    usage = Fields(options or {}, {"include_usage"}).flag("include_usage")
    temperature = fields.number("temperature", 1.0, 0.0, 100.0)
    sampling = SamplingParameters(
        temperature=0.0 if temperature < _TINY_TEMPERATURE else temperature,
        top_p=fields.number("top_p", 1.0, 0.0, 1.0, above=True),
        top_k=max(fields.integer("top_k", 0, -1, 10**9) or 0, 0),
        min_p=fields.number("min_p", 0.0, 0.0, 1.0),
        repetition_penalty=fields.number("repetition_penalty", 1.0, 0.0, 100.0, above=True),
        frequency_penalty=fields.number("frequency_penalty", 0.0, -2.0, 2.0),
        presence_penalty=fields.number("presence_penalty", 0.0, -2.0, 2.0),
        seed=fields.integer("seed", None, -(2**63), 2**63 - 1),
        stop=_read_stops(fields.raw("stop")),
        max_tokens=max_tokens,
        n=fields.integer("n", 1, 1, max_rows) or 1,
        logprobs=logprobs,
        ignore_eos=fields.flag("ignore_eos"),
    )
    return GenerationCall(
        fields.text("model"), prompt, sampling, stream, usage, _read_grammar(fields)
    )


def _read_stops(value: Any) -> tuple[str, ...]:
    stops = [value] if isinstance(value, str) else [] if value is None else value
    if not isinstance(stops, list) or len(stops) > MAX_STOPS:
        raise _wrong("stop", f"a text or a list of at most {MAX_STOPS} texts")
    texts = tuple(checked_text(stop, "stop") for stop in stops)
    if any(not 1 <= len(text) <= 1000 for text in texts):
        raise _wrong("stop", "texts of 1 to 1000 characters")
    return texts


def _read_grammar(fields: Fields) -> Grammar | None:
    outputs, form = fields.raw("structured_outputs"), fields.raw("response_format")
    if outputs is not None and form is not None:
        raise ProtocolError(
            "Give 'structured_outputs' or 'response_format'.", param="structured_outputs"
        )
    if outputs is not None:
        return _read_structured(outputs)
    if form is None:
        return None
    readers: dict[str, Callable[[Mapping[str, Any]], Grammar | None]] = {
        "text": lambda form: None,
        "json_object": lambda form: Grammar("json", {"type": "object"}, "response_format"),
        "json_schema": _read_json_schema,
    }
    kind = form.get("type") if isinstance(form, dict) else None
    if not isinstance(kind, str) or kind not in readers:
        raise _wrong("response_format", "of type text, json_object or json_schema")
    return readers[kind](form)


def _read_json_schema(form: Mapping[str, Any]) -> Grammar:
    described = form.get("json_schema")
    schema = described.get("schema") if isinstance(described, dict) else None
    if not isinstance(schema, dict):
        raise _wrong("response_format.json_schema.schema", "a JSON schema")
    return Grammar("json", schema, "response_format")


def _read_structured(value: Any) -> Grammar:
    param = "structured_outputs"
    if not isinstance(value, dict) or len(value) != 1:
        raise _wrong(param, "an object with one of choice, regex, json")
    kind, content = next(iter(value.items()))
    if kind == "choice":
        if not isinstance(content, list) or not 1 <= len(content) <= MAX_COMPLETIONS:
            raise _wrong(f"{param}.choice", f"a list of 1 to {MAX_COMPLETIONS} texts")
        options = [checked_text(option, f"{param}.choice") for option in content]
        if not all(options):
            raise _wrong(f"{param}.choice", "texts that are not empty")
        return Grammar("choice", options, f"{param}.choice")
    if kind == "regex":
        pattern = checked_text(content, f"{param}.regex")
        if not 1 <= len(pattern) <= 10_000:
            raise _wrong(f"{param}.regex", "a regular expression of 1 to 10000 characters")
        return Grammar("regex", pattern, f"{param}.regex")
    if kind == "json" and isinstance(content, dict):
        return Grammar("json", content, f"{param}.json")
    raise _wrong(param, "an object with one of choice, regex, json")


def _one_prompt(fields: Fields, vocabulary: int) -> Prompt:
    if ("messages" in fields) == ("prompt" in fields):
        raise ProtocolError(
            "Give 'messages' or 'prompt'.", param="messages", code="missing_parameter"
        )
    if "messages" in fields:
        return Prompt(messages=read_messages(fields.raw("messages")))
    return _read_prompt(fields.raw("prompt"), vocabulary)


def _read_prompt(value: Any, vocabulary: int) -> Prompt:
    if value is None:
        raise ProtocolError("'prompt' is required.", param="prompt", code="missing_parameter")
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
        value = value[0]
    if isinstance(value, str):
        if not value:
            raise _wrong("prompt", "not empty")
        return Prompt(text=checked_text(value, "prompt"))
    if not isinstance(value, list) or not value or len(value) > MAX_TEXT:
        raise _wrong("prompt", "a text or a list of tokens")
    if any(type(token) is not int or not 0 <= token < vocabulary for token in value):
        raise _wrong("prompt", f"a text or a list of tokens from 0 to {vocabulary - 1}")
    return Prompt(tokens=value)


def _read_content(value: Any, name: str) -> str:
    if isinstance(value, list):
        texts = []
        for part in value:
            if (
                not isinstance(part, dict)
                or part.get("type") != "text"
                or set(part) != {"type", "text"}
            ):
                raise _wrong(name, "a text, or parts of type text")
            texts.append(checked_text(part["text"], name))
        return checked_text("".join(texts), name)
    return checked_text(value, name)


def _unknown(name: str) -> ProtocolError:
    return ProtocolError(f"Unrecognized parameter: {name!r}.", param=name, code="unknown_parameter")


def _wrong(name: str, wanted: str) -> ProtocolError:
    return ProtocolError(f"'{name}' must be {wanted}.", param=name)
