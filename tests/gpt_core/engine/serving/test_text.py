"""Whole characters, whole stop strings."""

from __future__ import annotations

import pytest

from gpt_core.engine.bases import Base
from gpt_core.engine.serving.requests import Delta, SamplingParameters
from gpt_core.engine.serving.text import Detokenizer, StopStrings
from tests.tiny import tiny_tokenizer

from .bench import Bench

CHINESE = "请问退货需要多久？😀 thanks, 谢谢！"


def test_characters_come_whole_however_their_bytes_are_cut() -> None:
    tokenizer = tiny_tokenizer()
    ids = [
        token for letter in CHINESE for token in tokenizer.encode(letter, add_special_tokens=False)
    ]
    text = Detokenizer(tokenizer).start()
    pieces = [text.push(token) for token in ids]
    assert "".join(pieces) + text.finish() == CHINESE
    assert "" in pieces, "the test needs a character of several tokens"
    assert not any("�" in piece for piece in pieces)


def test_half_a_character_at_the_end_is_shown_as_missing() -> None:
    tokenizer = tiny_tokenizer()
    ids = tokenizer.encode("😀", add_special_tokens=False)
    text = Detokenizer(tokenizer).start()
    assert "".join(text.push(token) for token in ids[:-1]) == ""
    assert text.finish() == "�"


def test_nul_is_shown_as_missing() -> None:
    tokenizer = tiny_tokenizer()
    detokenizer = Detokenizer(tokenizer)
    ids = tokenizer.encode("a\0b", add_special_tokens=False)
    text = detokenizer.start()
    assert "".join(text.push(token) for token in ids) + text.finish() == "a�b"
    assert "\0" not in "".join(detokenizer.token(token)[0] for token in ids)


def test_control_tokens_have_no_text() -> None:
    tokenizer = tiny_tokenizer()
    text = Detokenizer(tokenizer).start()
    assert text.push(tokenizer.eos_token_id) == ""


def test_a_tokenizer_of_another_kind_streams_as_well() -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {"<unk>": 0, "▁hello": 1, "▁world": 2, "<0xE4>": 3, "<0xBD>": 4, "<0xA0>": 5}
    raw = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.Metaspace()
    raw.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    text = Detokenizer(PreTrainedTokenizerFast(tokenizer_object=raw, unk_token="<unk>")).start()
    pieces = [text.push(token) for token in (1, 2, 3, 4, 5)]
    assert "".join(pieces) + text.finish() == " hello world你"


@pytest.mark.parametrize("size", [1, 2, 3, 50])
@pytest.mark.parametrize(
    ("stops", "text", "shown"),
    [
        (("STOP",), "abc STOP def", "abc "),
        (("STOP",), "abc STO", "abc STO"),
        (("谢谢",), "好的谢好谢谢你", "好的谢好"),
        (("ab", "b"), "xxab", "xx"),
        (("aab",), "aaab", "a"),
        ((), "anything", "anything"),
    ],
)
def test_no_part_of_a_stop_string_is_ever_shown(
    size: int, stops: tuple[str, ...], text: str, shown: str
) -> None:
    finder, out = StopStrings(stops), ""
    for start in range(0, len(text), size):
        piece, stopped = finder.push(text[start : start + size])
        out += piece
        if stopped:
            break
    else:
        out += finder.finish()
    assert out == shown


def test_an_answer_ends_before_a_stop_string_that_crosses_tokens(llama: Base) -> None:
    bench = Bench(llama)
    whole = bench.alone(
        "退货", SamplingParameters(temperature=0, max_tokens=30, ignore_eos=True)
    ).text
    stop = whole[6:11]
    place = whole.find(stop)
    sampling = SamplingParameters(temperature=0, max_tokens=30, ignore_eos=True, stop=(stop,))
    for stream in (False, True):
        heard = bench.alone("退货", sampling, stream=stream)
        assert heard.text == whole[:place]
        last = [event for event in heard.events if isinstance(event, Delta)][-1]
        assert last.finish == "stop"


def test_streamed_pieces_add_up_to_the_whole_answer(bench: Bench) -> None:
    for seed in range(5):
        sampling = SamplingParameters(seed=seed, temperature=1.5, max_tokens=40, ignore_eos=True)
        whole = bench.alone("请提供", sampling)
        streamed = bench.alone("请提供", sampling, stream=True)
        assert streamed.text == whole.text
        assert streamed.tokens == whole.tokens
        assert len(streamed.events) > len(whole.events)
