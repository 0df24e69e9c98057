"""Tiny random base models, made in memory and prepared as real ones are: seconds, not megabytes.

The tokenizer is byte-level BPE, so that it reads Chinese as well, with ChatML and, as in the default base, one
id that is both the padding and the end of a turn.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gpt_core.engine.bases import Base, prepare_base

ARCHITECTURES = ("llama", "gpt2", "qwen2", "qwen3", "mistral")
CHATML = (
    "{% for message in messages %}"
    "{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful assistant<|im_end|>\n' }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
_CORPUS = (
    "How do I reset the router? Hold the button for ten seconds, then wait for the green light.",
    "When do you open? We open at nine in the morning and close at six in the evening.",
    "退货需要多久？退货通常需要三到五个工作日。请提供您的订单号。",
    "negative neutral positive shipping refund invoice warranty delivery",
)


def tiny_base(
    folder: Path, architecture: str = "llama", *, seed: int = 0, chat_template: bool = True
) -> Base:
    """A prepared base of 2 layers, hidden size 32, context 256, random weights from `seed`."""
    import torch
    from transformers import AutoModelForCausalLM

    raw = folder / f"tiny-{architecture}-{seed}"
    raw.mkdir(parents=True)
    tokenizer = tiny_tokenizer(chat_template=chat_template)
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(_config(architecture, len(tokenizer)))
    model.save_pretrained(raw)
    tokenizer.save_pretrained(raw)
    return prepare_base(str(raw), folder / "bases")


def tiny_tokenizer(*, chat_template: bool = True) -> Any:
    """A byte-level BPE tokenizer of about 400 words with `<|im_end|>` both padding and end."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_CORPUS, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        unk_token="<|endoftext|>",
        chat_template=CHATML if chat_template else None,
    )


def _config(architecture: str, words: int) -> Any:
    from transformers import AutoConfig

    ends = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2}
    if architecture == "gpt2":
        return AutoConfig.for_model(
            "gpt2", vocab_size=words, n_embd=32, n_layer=2, n_head=4, n_positions=256, **ends
        )
    if architecture not in ARCHITECTURES:
        raise ValueError(architecture)
    more = {"head_dim": 8} if architecture == "qwen3" else {}
    return AutoConfig.for_model(
        architecture,
        vocab_size=words,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        tie_word_embeddings=architecture in ("llama", "qwen2", "qwen3"),
        **more,
        **ends,
    )
