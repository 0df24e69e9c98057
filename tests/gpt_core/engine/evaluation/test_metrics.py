"""Metrics of one answer, in English and in Chinese."""

from __future__ import annotations

import pytest

from gpt_core.engine.evaluation.metrics import (
    METRICS,
    TrainingPhrases,
    chrf,
    distinct,
    exact_match,
    repetition,
    rouge_l,
    text_metrics,
)
from gpt_core.engine.evaluation.words import language_of, normalised, words_of

NOTHING = TrainingPhrases([])


def test_words_are_characters_where_no_spaces_are_written_and_words_elsewhere() -> None:
    assert words_of("请在 Router-X2 上按住10秒。") == [
        "请", "在", "router", "x2", "上", "按", "住", "10", "秒",
    ]  # fmt: skip
    assert words_of("Ｈｅｌｌｏ, Zürich!") == ["hello", "zürich"]
    assert words_of("…!?") == []


def test_rouge_l_is_one_for_the_same_words_and_zero_for_none_in_common() -> None:
    assert rouge_l("We open at nine.", "we open at nine") == 1.0
    assert rouge_l("We open at nine.", "refund") == 0.0


def test_rouge_l_counts_the_longest_common_subsequence_of_chinese_characters() -> None:
    # 退货需要五天 (6) and 退货要三到五天 (7) share 退货要五天 (5): 2 * 5/6 * 5/7 / (5/6 + 5/7)
    assert rouge_l("退货需要五天", "退货要三到五天") == pytest.approx(10 / 13)


@pytest.mark.parametrize("reference", ["We open at nine.", "退货需要五天。", ""])
def test_an_empty_answer_scores_zero_and_breaks_nothing(reference: str) -> None:
    values = text_metrics("", reference, "?", NOTHING, overlong=False)
    assert values["empty_share"] == 1.0
    assert values["rouge_l"] == values["chrf"] == values["distinct_1"] == 0.0
    assert values["repetition"] == values["copied_share"] == 0.0


def test_chrf_is_a_hundred_for_the_same_text_in_any_script() -> None:
    assert chrf("退货需要五天", "退货需要五天") == pytest.approx(100)
    assert 0 < chrf("We open at ten", "We open at nine") < 100


def test_exact_match_forgives_case_width_space_and_closing_punctuation_alone() -> None:
    assert exact_match("  Refund. ", "refund") == 1.0
    assert exact_match("退款。", "退款") == 1.0
    assert exact_match("ＯＫ！", "ok") == 1.0
    assert exact_match("no refund", "refund") == 0.0
    assert normalised("A \n B") == "a b"


def test_repetition_is_the_share_of_four_word_runs_said_before() -> None:
    assert repetition(words_of("one two three four five six")) == 0.0
    # 16 runs of four, 4 of them different
    assert repetition(words_of("go to the shop " * 4 + "go to the")) == pytest.approx(12 / 16)
    assert repetition(words_of("好的" * 20)) > 0.9
    assert repetition([]) == 0.0


def test_distinct_counts_different_n_grams_over_all() -> None:
    assert distinct(["a", "b", "a", "b"], 1) == 0.5
    assert distinct(["a", "b", "a", "b"], 2) == pytest.approx(2 / 3)
    assert distinct(["a"], 2) == 0.0


LETTER = (
    "Dear customer, your parcel was damaged by the carrier and we have sent a new one "
    "to the address that you gave us on the telephone."
)
CHINESE_LETTER = (
    "尊敬的客户，您的包裹在运输途中受到损坏，我们已经按照您在电话中提供的地址重新寄出一件新的商品。"
)


def test_a_long_phrase_of_the_training_answers_counts_as_copied() -> None:
    phrases = TrainingPhrases([LETTER])
    assert phrases.copied_share(LETTER, "Where is it?") == 1.0
    half = LETTER + " " + "Something of our own that nobody wrote before us, word by word, " * 2
    assert 0.3 < phrases.copied_share(half, "") < 0.7


def test_a_short_phrase_or_one_of_the_reference_is_no_copy() -> None:
    phrases = TrainingPhrases([LETTER])
    assert phrases.copied_share("Dear customer, your parcel was damaged.", "") == 0.0
    assert phrases.copied_share(LETTER, f"Where is it? {LETTER}") == 0.0
    assert phrases.copied_share("", LETTER) == 0.0


def test_a_chinese_phrase_is_copied_from_26_characters_on() -> None:
    phrases = TrainingPhrases([CHINESE_LETTER])
    words = "".join(words_of(CHINESE_LETTER))
    assert phrases.copied_share(words[:26], "") == 1.0
    assert phrases.copied_share(words[:25], "") == 0.0


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("When do you open?", "latin"),
        ("¿Cuándo abren?", "latin"),
        ("你们什么时候开门？", "zh"),
        ("请重启 RouterX2000 Professional", "zh"),
        ("いつ開きますか", "ja"),
        ("언제 열어요?", "ko"),
        ("Когда вы открываетесь?", "cyrillic"),
        ("متى تفتحون؟", "arabic"),
        ("123 !", "other"),
        ("", "other"),
    ],
)
def test_the_script_tells_the_language_as_far_as_it_can(text: str, language: str) -> None:
    assert language_of(text) == language


def test_every_text_metric_has_a_direction() -> None:
    values = text_metrics("a", "b", "c", NOTHING, overlong=True)
    assert set(values) <= set(METRICS)
    assert values["overlong_share"] == 1.0
