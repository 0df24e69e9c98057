"""Canonical rows -> token ids and the mask of what is learned.

Two rules hold everywhere. What people wrote is text: "<|im_end|>" inside a message becomes the letters, never
the control token. And the mask goes by position, never by id, because the padding and the end of a turn may be
the same token.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from .errors import EngineError
from .files import parse_json

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# Who wrote a message, as a template knows it. A person who answered for the company is the voice to learn.
_TEMPLATE_ROLES = {
    "system": "system",
    "user": "user",
    "assistant": "assistant",
    "agent": "assistant",
}
# A template for models that bring none: plain words, then the end token after each answer.
_PLAIN_TURNS = {"system": "{}\n\n", "user": "User: {}\n", "assistant": "Assistant: {}"}
# Stands for a message's content while a template is rendered. Private-use characters, so that no template
# and hardly any text contains it; text that does is harmless, since contents are put in afterwards.
_SLOT = re.compile("\ue0f0(\\d+)\ue0f1")


@dataclass(frozen=True)
class Encoded:
    """One row as tokens. `mask[i]` is True where token i is learned; `prompt_length` tokens come first."""

    ids: list[int]
    mask: list[bool]
    prompt_length: int
    truncated: bool = False

    @property
    def learned(self) -> int:
        """How many tokens are learned."""
        return sum(self.mask)


@dataclass(frozen=True)
class _Piece:
    """A stretch of a rendered conversation: the template's own text, or what somebody wrote."""

    text: str
    written: bool
    learned: bool = False


class RowEncoder:
    """Turns rows into tokens for one tokenizer; keeps what is worth computing once."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        backend = getattr(tokenizer, "backend_tokenizer", None)
        if backend is None:
            raise EngineError(
                "base_unusable", "only tokenizers with a tokenizer.json are supported"
            )
        self._control = {int(id_) for id_ in backend.get_added_tokens_decoder()}
        self._end = tokenizer.eos_token_id
        self._literal, self._strip_prefix = self._literal_tokenizer(backend)
        self._template = bool(tokenizer.chat_template)
        self._trims = self._template and self._template_trims()

    def encode(self, row: Mapping[str, Any], *, max_length: int) -> Encoded:
        """Token ids and mask of a row for training; see the module's `encode`."""
        line = row.get("line")
        pieces = self._pieces(row, for_generation=False)
        ids, mask = self._tokens(pieces)
        truncated = len(ids) > max_length
        ids, mask = ids[:max_length], mask[:max_length]
        if not any(mask[1:]):
            # The first token of a sequence has nothing before it to be predicted from.
            reason = "nothing learned within max_length" if truncated else "nothing to learn"
            raise EngineError("row_without_labels", reason, line=line, pointer=_pointer(row))
        return Encoded(ids, mask, mask.index(True), truncated)

    def prompt(self, row: Mapping[str, Any]) -> list[int]:
        """Token ids of a row up to where the (last) answer begins."""
        return self._tokens(self._pieces(row, for_generation=True))[0]

    def conversation(self, messages: list[dict[str, Any]]) -> list[int]:
        """Token ids of a whole conversation, earlier answers included, up to where the next answer begins."""
        _check_messages(messages, None)
        pieces = (
            self._template_pieces(list(messages), True, None)
            if self._template
            else self._plain_pieces(list(messages), True)
        )
        return self._tokens(pieces)[0]

    def answer_ids(self, text: str) -> list[int]:
        """The ids that an answer teaches in a conversation: its words and the end of its turn.

        Raises EngineError `row_without_labels` for an answer of no words.
        """
        question, answer = _as_messages("?", text, False)
        encoded = self.encode({"messages": [question, answer]}, max_length=1 << 30)
        return [id_ for id_, learned in zip(encoded.ids, encoded.mask, strict=True) if learned]

    def text_ids(self, text: str) -> list[int]:
        """The ids of plain text: never a control token, whatever the text says."""
        if not text:
            return []
        ids: list[int] = self._literal_ids(text)
        if self._control.isdisjoint(ids):
            return ids
        # Some vocabularies spell control tokens as ordinary words; one letter at a time cannot form them.
        return [
            id_ for letter in text for id_ in self._literal_ids(letter) if id_ not in self._control
        ]

    def _pieces(self, row: Mapping[str, Any], *, for_generation: bool) -> list[_Piece]:
        if "messages" in row:
            messages = list(row["messages"])
            answer = _last_answer(messages)
            if for_generation and answer is not None:
                messages = messages[:answer]
        elif "prompt" in row:
            if not self._template:
                return self._completion_pieces(row, for_generation)
            messages = _as_messages(row["prompt"], row.get("completion", ""), for_generation)
        elif "text" in row:
            answer_text = ", ".join(row.get("labels") or ())
            messages = _as_messages(row["text"], answer_text, for_generation)
        else:
            raise EngineError(
                "row_unknown_format", "no messages, prompt or text", line=row.get("line")
            )
        _check_messages(messages, row.get("line"))
        if self._template:
            return self._template_pieces(messages, for_generation, row.get("line"))
        return self._plain_pieces(messages, for_generation)

    def _template_pieces(
        self, messages: list[Mapping[str, Any]], for_generation: bool, line: int | None
    ) -> list[_Piece]:
        """Render the model's own template around slots, then put the contents in as text."""
        slotted = [
            {"role": _TEMPLATE_ROLES[message["role"]], "content": f"\ue0f0{position}\ue0f1"}
            for position, message in enumerate(messages)
        ]
        try:
            rendered = str(
                self.tokenizer.apply_chat_template(
                    slotted, tokenize=False, add_generation_prompt=for_generation
                )
            )
        except Exception as error:  # templates raise their own complaints, about roles mostly
            raise EngineError("template_refused", str(error)[:300], line=line) from error
        pieces: list[_Piece] = []
        position = 0
        for slot in _SLOT.finditer(rendered):
            pieces.append(_Piece(rendered[position : slot.start()], written=False))
            message = messages[int(slot.group(1))]
            content = message["content"].strip() if self._trims else message["content"]
            pieces.append(_Piece(content, written=True, learned=_is_learned(message)))
            position = slot.end()
        pieces.append(_Piece(rendered[position:], written=False))
        if sum(piece.written for piece in pieces) < len(messages):
            raise EngineError("template_refused", "the template leaves a message out", line=line)
        return pieces

    def _plain_pieces(
        self, messages: list[Mapping[str, Any]], for_generation: bool
    ) -> list[_Piece]:
        pieces: list[_Piece] = []
        for message in messages:
            role = _TEMPLATE_ROLES[message["role"]]
            before, after = _PLAIN_TURNS[role].split("{}")
            if role == "assistant":
                # The space belongs to the answer: byte-level tokenizers glue it to the first word.
                before, content = before.rstrip(" "), " " + message["content"].strip()
                after = f"{self.tokenizer.eos_token or ''}\n"
            else:
                content = message["content"]
            pieces.append(_Piece(before, written=False))
            pieces.append(_Piece(content, written=True, learned=_is_learned(message)))
            pieces.append(_Piece(after, written=False))
        if for_generation:
            pieces.append(_Piece("Assistant:", written=False))
        return pieces

    def _completion_pieces(self, row: Mapping[str, Any], for_generation: bool) -> list[_Piece]:
        """A prompt and its continuation, with no turns at all: what a model without a template expects."""
        parts = _as_messages(row["prompt"], row.get("completion", ""), for_generation)
        _check_messages(parts, row.get("line"))
        pieces = [_Piece(row["prompt"], written=True)]
        if not for_generation:
            pieces.append(_Piece(row["completion"], written=True, learned=True))
            pieces.append(_Piece(self.tokenizer.eos_token or "", written=False))
        return pieces

    def _tokens(self, pieces: list[_Piece]) -> tuple[list[int], list[bool]]:
        ids: list[int] = []
        mask: list[bool] = []
        awaiting_end = False
        for piece in pieces:
            if piece.written:
                own = self.text_ids(piece.text)
                mask += [piece.learned] * len(own)
                # An answer of no words teaches nothing, not even to end.
                awaiting_end = piece.learned and bool(piece.text.strip())
                if piece.learned and not awaiting_end:
                    mask[len(mask) - len(own) :] = [False] * len(own)
            else:
                own = self._template_ids(piece.text)
                ends = awaiting_end and bool(own) and own[0] in self._control
                mask += [ends and position == 0 for position in range(len(own))]
                awaiting_end = False
            ids += own
        return ids, mask

    def _template_ids(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False) if text else []

    def _literal_ids(self, text: str) -> list[int]:
        if not self._strip_prefix:
            return self._literal.encode(text, add_special_tokens=False).ids
        ids = self._literal.encode("\n" + text, add_special_tokens=False).ids
        return ids[self._strip_prefix :]

    @staticmethod
    def _literal_tokenizer(backend: Any) -> tuple[Any, int]:
        """The same tokenizer with every added token taken out, and how many ids of a "\\n" put before to drop.

        Tokenizers of the SentencePiece family put a space before whatever they read; text in the middle of a
        conversation has none, hence the newline that goes in front and comes off again.
        """
        from tokenizers import Tokenizer

        document = parse_json(backend.to_str(), what="tokenizer.json")
        document["added_tokens"] = []
        document["post_processor"] = None
        literal = Tokenizer.from_str(_dump(document))
        alone = literal.encode("\n", add_special_tokens=False).ids
        behind = literal.encode("\nx", add_special_tokens=False).ids
        plain = literal.encode("x", add_special_tokens=False).ids
        return literal, 0 if behind[len(alone) :] == plain else len(alone)

    def _template_trims(self) -> bool:
        """Whether the template cuts the white space around what people wrote."""
        probe = [{"role": "user", "content": " \ue0f0 "}]
        try:
            rendered = self.tokenizer.apply_chat_template(probe, tokenize=False)
        except Exception:  # a template that wants more than one question says so at each row
            return False
        return " \ue0f0 " not in str(rendered)


_encoders: WeakKeyDictionary[Any, RowEncoder] = WeakKeyDictionary()


def encoder_of(tokenizer: PreTrainedTokenizerBase) -> RowEncoder:
    """The RowEncoder of a tokenizer, made once."""
    if tokenizer not in _encoders:
        _encoders[tokenizer] = RowEncoder(tokenizer)
    return _encoders[tokenizer]


def encode(
    row: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase, *, max_length: int
) -> Encoded:
    """A canonical row as token ids and the mask of what is learned.

    Learned are the assistant's words (of messages whose weight is not 0) and the token that ends the turn.
    Too long a row is cut on the right. Raises EngineError: row_without_labels, row_unknown_format, row_invalid,
    template_refused, each with the row's line.
    """
    return encoder_of(tokenizer).encode(row, max_length=max_length)


def render_prompt(row: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Token ids to generate from: the row without its last answer, and the words that open an answer."""
    return encoder_of(tokenizer).prompt(row)


def reference_of(row: Mapping[str, Any]) -> str:
    """The text that `render_prompt` leaves out: what the row's last answer says."""
    if "messages" in row:
        answer = _last_answer(row["messages"])
        return "" if answer is None else str(row["messages"][answer]["content"])
    if "prompt" in row:
        return str(row.get("completion", ""))
    return ", ".join(row.get("labels") or ())


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a canonical JSON Lines file; a bad line raises EngineError with its number."""
    with path.open("rb") as handle:
        for number, content in enumerate(handle, start=1):
            if not content.strip():
                continue
            try:
                row = parse_json(content, what=path.name)
            except EngineError as error:
                raise EngineError("invalid_json", error.detail, line=number) from error
            if not isinstance(row, dict):
                raise EngineError("row_invalid", "a row is a JSON object", line=number)
            if row.get("line") is None:
                row["line"] = number
            yield row


def _dump(document: Any) -> str:
    import json

    return json.dumps(document, ensure_ascii=False)


def _as_messages(question: str, answer: str, for_generation: bool) -> list[Mapping[str, Any]]:
    messages: list[Mapping[str, Any]] = [{"role": "user", "content": question}]
    return messages if for_generation else [*messages, {"role": "assistant", "content": answer}]


def _is_answer(message: Mapping[str, Any]) -> bool:
    return _TEMPLATE_ROLES.get(message["role"]) == "assistant"


def _is_learned(message: Mapping[str, Any]) -> bool:
    return _is_answer(message) and message.get("weight", 1) != 0


def _last_answer(messages: list[Mapping[str, Any]]) -> int | None:
    """The position of the last message by the assistant, or None."""
    answers = [position for position, message in enumerate(messages) if _is_answer(message)]
    return answers[-1] if answers else None


def _check_messages(messages: list[Any], line: int | None) -> None:
    if not messages:
        raise EngineError("row_invalid", "no messages", line=line, pointer="/messages")
    for position, message in enumerate(messages):
        pointer = f"/messages/{position}"
        if not isinstance(message, Mapping) or message.get("role") not in _TEMPLATE_ROLES:
            raise EngineError("row_invalid", "unknown role", line=line, pointer=f"{pointer}/role")
        content = message.get("content")
        if not isinstance(content, str) or not _is_encodable(content):
            raise EngineError(
                "row_invalid", "content is no text", line=line, pointer=f"{pointer}/content"
            )


def _is_encodable(text: str) -> bool:
    """False for lone surrogates, which no UTF-8 file holds but a JSON escape can."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _pointer(row: Mapping[str, Any]) -> str:
    return "/messages" if "messages" in row else "/completion" if "prompt" in row else "/labels"
