"""GGUF: the merged model, its tokenizer, template and ends in one file for llama.cpp and its kin."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gguf
import numpy as np
import torch

from ..bases import load_tokenizer
from ..errors import EngineError
from ..files import read_json, sync_file
from .archives import Report, finite
from .source import Source

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# What llama.cpp computes as these architectures do. GPT-2 turns its weights the other way round and has
# learned positions; nobody here needs it, so it is refused rather than half done.
_ARCHITECTURES = {
    "llama": gguf.MODEL_ARCH.LLAMA,
    "mistral": gguf.MODEL_ARCH.LLAMA,
    "qwen2": gguf.MODEL_ARCH.QWEN2,
    "qwen3": gguf.MODEL_ARCH.QWEN3,
}
_FILE_TYPES = {
    "float32": gguf.LlamaFileType.ALL_F32,
    "float16": gguf.LlamaFileType.MOSTLY_F16,
    "bfloat16": gguf.LlamaFileType.MOSTLY_BF16,
}
# How a text is cut before byte pairs are joined, by the pattern that tokenizer.json names.
_GPT2_CUT = r"'s|'t|'re|'ve|'m|'ll|'d"
_QWEN2_CUT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
)
_LLAMA3_CUT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+"


def write_gguf(source: Source, path: Path, precision: str, report: Report) -> None:
    """One GGUF file. Raises EngineError: export_gguf_architecture, export_gguf_tokenizer,
    export_gguf_positions, export_out_of_range."""
    config = source.config
    architecture = _ARCHITECTURES.get(source.base.architecture)
    if architecture is None:
        raise EngineError("export_gguf_architecture", source.base.architecture)
    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[architecture])
    try:
        _write_settings(writer, source, config, precision)
        _write_tokenizer(writer, source, config)
        naming = _Naming(source, architecture, config)
        # First what comes, then the tensors themselves, one in memory at a time.
        for name, shape in naming.shapes():
            _announce(writer, name, shape, precision)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for done, (name, tensor) in enumerate(naming.tensors(), 1):
            writer.write_tensor_data(_stored(name, tensor, precision))
            report(done / naming.count)
    finally:
        writer.close()
    sync_file(path)


def _write_settings(
    writer: gguf.GGUFWriter, source: Source, config: dict[str, Any], precision: str
) -> None:
    heads = int(config["num_attention_heads"])
    size = int(config.get("head_dim") or config["hidden_size"] // heads)
    writer.add_name(source.checkpoint.name)
    writer.add_license(source.base.licence or "unknown")
    writer.add_file_type(_FILE_TYPES[precision])
    writer.add_context_length(int(config["max_position_embeddings"]))
    writer.add_embedding_length(int(config["hidden_size"]))
    writer.add_block_count(int(config["num_hidden_layers"]))
    writer.add_feed_forward_length(int(config["intermediate_size"]))
    writer.add_head_count(heads)
    writer.add_head_count_kv(int(config.get("num_key_value_heads") or heads))
    writer.add_key_length(size)
    writer.add_value_length(size)
    writer.add_rope_dimension_count(size)
    writer.add_rope_freq_base(_rope_base(config))
    writer.add_layer_norm_rms_eps(float(config["rms_norm_eps"]))
    writer.add_vocab_size(int(config["vocab_size"]))


def _rope_base(config: dict[str, Any]) -> float:
    """The base of the rotation; stretched positions need tensors of their own and are refused."""
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    if rope.get("rope_type", rope.get("type", "default")) != "default":
        raise EngineError("export_gguf_positions", f"rope type {rope.get('rope_type')!r}")
    window = config.get("sliding_window")
    used = config.get("use_sliding_window", config.get("model_type") == "mistral")
    if window and used and window < config["max_position_embeddings"]:
        raise EngineError("export_gguf_positions", f"a sliding window of {window}")
    return float(rope.get("rope_theta", config.get("rope_theta", 10_000.0)))


def _write_tokenizer(writer: gguf.GGUFWriter, source: Source, config: dict[str, Any]) -> None:
    tokenizer = load_tokenizer(source.base)
    document = read_json(source.base.folder / "tokenizer.json", limit=64 << 20)
    model = document["model"]
    if model.get("type") != "BPE" or model.get("byte_fallback"):
        raise EngineError("export_gguf_tokenizer", f"a {model.get('type')} vocabulary")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(_cut_of(document))
    words, kinds = _vocabulary(document, int(config["vocab_size"]))
    writer.add_token_list(words)
    writer.add_token_types(kinds)
    writer.add_token_merges(
        [pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"]]
    )
    for id_, add in (
        (tokenizer.bos_token_id, writer.add_bos_token_id),
        (tokenizer.eos_token_id, writer.add_eos_token_id),
        (tokenizer.unk_token_id, writer.add_unk_token_id),
        (tokenizer.pad_token_id, writer.add_pad_token_id),
    ):
        if id_ is not None:
            add(int(id_))
    writer.add_add_bos_token(_begins(tokenizer))
    writer.add_add_space_prefix(False)
    if tokenizer.chat_template:
        writer.add_chat_template(str(tokenizer.chat_template))


def _vocabulary(document: dict[str, Any], size: int) -> tuple[list[str], list[int]]:
    """Every id's word and kind; ids that the model has and the tokenizer has not are unused."""
    words = [f"[PAD{id_}]" for id_ in range(size)]
    kinds = [int(gguf.TokenType.UNUSED)] * size
    for word, id_ in document["model"]["vocab"].items():
        words[id_], kinds[id_] = word, int(gguf.TokenType.NORMAL)
    for added in document.get("added_tokens", []):
        kind = gguf.TokenType.CONTROL if added["special"] else gguf.TokenType.USER_DEFINED
        words[added["id"]], kinds[added["id"]] = added["content"], int(kind)
    return words, kinds


def _cut_of(document: dict[str, Any]) -> str:
    """llama.cpp's name for how this tokenizer cuts a text; one it does not know is refused."""
    if document.get("normalizer") not in (None, {"type": "NFC"}):
        raise EngineError("export_gguf_tokenizer", "a normalizer that GGUF cannot name")
    before = document.get("pre_tokenizer") or {}
    steps = before.get("pretokenizers", [before])
    kinds = [step.get("type") for step in steps]
    if kinds == ["ByteLevel"] and steps[0].get("use_regex", True):
        return "gpt-2"
    if kinds == ["Digits", "ByteLevel"] and steps[0].get("individual_digits"):
        return "smollm"
    if kinds == ["Split", "ByteLevel"]:
        pattern = str(steps[0].get("pattern", {}).get("Regex", ""))
        if pattern.startswith(_LLAMA3_CUT):
            return "llama-bpe"
        if pattern.startswith(_QWEN2_CUT):
            return "qwen2"
        if pattern.startswith(_GPT2_CUT):
            return "gpt-2"
    raise EngineError("export_gguf_tokenizer", f"it cuts texts by {kinds}")


def _begins(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether the tokenizer itself puts a beginning before a text."""
    ids = tokenizer("a")["input_ids"]
    return bool(ids) and tokenizer.bos_token_id is not None and ids[0] == tokenizer.bos_token_id


class _Naming:
    """The tensors under GGUF's names. A tied head has no tensor of its own, here as there."""

    def __init__(
        self, source: Source, architecture: gguf.MODEL_ARCH, config: dict[str, Any]
    ) -> None:
        self.source = source
        self.names = gguf.get_tensor_name_map(architecture, int(config["num_hidden_layers"]))
        self.tied = bool(config.get("tie_word_embeddings"))
        heads = int(config["num_attention_heads"])
        # llama.cpp turns queries and keys of this architecture by neighbours, not by halves.
        self.turned = (
            {"q_proj": heads, "k_proj": int(config.get("num_key_value_heads") or heads)}
            if architecture == gguf.MODEL_ARCH.LLAMA
            else {}
        )
        self.count = sum(1 for _ in self.shapes())

    def shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        for name, shape in self.source.shapes():
            if not self._is_left_out(name):
                yield self._name(name), shape

    def tensors(self) -> Iterator[tuple[str, torch.Tensor]]:
        for name, tensor in self.source.tensors():
            if not self._is_left_out(name):
                heads = self.turned.get(name.split(".")[-2])
                yield self._name(name), _turned(tensor, heads) if heads else tensor

    def _is_left_out(self, name: str) -> bool:
        return self.tied and name == "lm_head.weight"

    def _name(self, name: str) -> str:
        stem, _dot, suffix = name.rpartition(".")
        known = self.names.get_name(stem)
        if known is None:
            raise EngineError("export_gguf_architecture", f"GGUF has no name for {name}")
        return f"{known}.{suffix}"


def _turned(tensor: torch.Tensor, heads: int) -> torch.Tensor:
    """Each head's rows re-ordered, so that what is turned by halves is turned by neighbours."""
    half = tensor.shape[0] // heads // 2
    rest = tensor.shape[1:]
    return tensor.reshape(heads, 2, half, *rest).transpose(1, 2).reshape(tensor.shape)


def _type_of(dimensions: int, precision: str) -> str:
    """llama.cpp wants norms and biases in float32."""
    return "float32" if dimensions == 1 else precision


def _announce(writer: gguf.GGUFWriter, name: str, shape: tuple[int, ...], precision: str) -> None:
    stored = _type_of(len(shape), precision)
    count = math.prod(shape)
    if stored == "bfloat16":
        # numpy has no such type: the shape is told in bytes.
        shape = (*shape[:-1], shape[-1] * 2)
        raw = gguf.GGMLQuantizationType.BF16
        writer.add_tensor_info(name, shape, np.dtype(np.uint8), count * 2, raw_dtype=raw)
    else:
        dtype = np.dtype(stored)
        writer.add_tensor_info(name, shape, dtype, count * dtype.itemsize)


def _stored(name: str, tensor: torch.Tensor, precision: str) -> np.ndarray[Any, Any]:
    checked = finite(name, tensor, getattr(torch, _type_of(tensor.dim(), precision)))
    return checked.view(torch.uint8).numpy() if checked.dtype == torch.bfloat16 else checked.numpy()
