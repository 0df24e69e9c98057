"""Personal data is taken out of a conversation, the same value always behind the same placeholder."""

import time

import pytest

from benchmarks.redaction import STRUCTURED, measured
from benchmarks.redaction_sentences import sentences
from common.errors import ApplicationError
from labeling.order_numbers import compiled_form, find_order_numbers
from labeling.redaction import Redactor, Rules, kinds_in, restored


def redacted(*texts: str, rules: Rules | None = None, names: tuple[str, ...] = ()) -> list[str]:
    return Redactor(rules or Rules(), names).redact(list(texts))


def test_a_value_has_one_placeholder_however_it_is_written() -> None:
    assert redacted(
        "Call 415-555-0134.", "(415) 555-0134 or Ada@Example.com", "ada@example.com"
    ) == [
        "Call [PHONE_1].",
        "[PHONE_1] or [EMAIL_1]",
        "[EMAIL_1]",
    ]


def test_a_name_that_is_told_once_is_known_everywhere() -> None:
    texts = redacted("Wenn is on holiday", "my name is Wenn Tarkovsson", "ask Tarkovsson about it")
    assert texts == ["[NAME_1] is on holiday", "my name is [NAME_2]", "ask [NAME_3] about it"]
    assert redacted("麻烦告诉苗圃阳一声", "我叫苗圃阳") == ["麻烦告诉[NAME_1]一声", "我叫[NAME_1]"]


def test_a_name_that_the_source_gives_is_known() -> None:
    assert redacted("Xochitl's box is open", names=("Xochitl Quetzal",)) == [
        "[NAME_1]'s box is open"
    ]


def test_what_stood_there_can_be_put_back() -> None:
    redactor = Redactor()
    said = ["我叫王小明，手机13812345678，身份证11010519491231002X，订单号20240506123。"]
    (text,) = redactor.redact(said)
    assert text == "我叫[NAME_1]，手机[PHONE_1]，身份证[ID_CARD_1]，订单号[ORDER_1]。"
    assert restored(text, redactor.originals) == said[0]
    assert kinds_in(text) == {"name", "phone", "id_card", "order"}


def test_a_placeholder_that_somebody_typed_stands_for_nothing() -> None:
    redactor = Redactor()
    text = redactor.redact(["[PHONE_1] 13812345678"])[0]
    assert text == "[PHONE_1] [PHONE_2]"
    assert restored(text, redactor.originals) == "[PHONE_1] 13812345678"


def test_what_is_the_companys_own_stays() -> None:
    rules = Rules.of(kept=["@acme.example", "400-820-8820", "Ada Lovelace"])
    text = "Write to help@acme.example or Ada Lovelace, not to ada@other.example"
    assert redacted(text, rules=rules) == [
        "Write to help@acme.example or Ada Lovelace, not to [EMAIL_1]"
    ]


# --- Order numbers ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("my order number is A-20445-X", "A-20445-X"),
        ("Order #1002345 never came", "1002345"),
        ("tracking no. 1Z999AA10123456784", "1Z999AA10123456784"),
        ("订单号：202405061234567", "202405061234567"),
        ("快递单号SF1381234567890没更新", "SF1381234567890"),
    ],
)
def test_a_word_announces_an_order_number(text: str, number: str) -> None:
    assert [text[one.start : one.end] for one in find_order_numbers(text)] == [number]


@pytest.mark.parametrize(
    "text", ["in order to 2 win", "the order of 1234", "单号是多少", "booking for 2 nights"]
)
def test_a_word_alone_announces_nothing(text: str) -> None:
    assert list(find_order_numbers(text)) == []


@pytest.mark.parametrize(
    ("form", "text", "number"),
    [
        (r"SO-\d{8}", "where is SO-20240101?", "SO-20240101"),
        (r"[A-Z]{2}\d{6,10}", "货物 AB1234567 到了吗", "AB1234567"),
        (r"单\d{6}", "单123456在哪", "单123456"),
        (r"\d{4}/\d{4}", "it is 2024/1234", "2024/1234"),
    ],
)
def test_a_tenant_says_how_its_numbers_look(form: str, text: str, number: str) -> None:
    found = find_order_numbers(text, [compiled_form(form)])
    assert [text[one.start : one.end] for one in found] == [number]


@pytest.mark.parametrize(
    "form",
    ["", r"\d{3}", r"(a+)+", r"\d*", r"a|b", r"\d{9,2}", r"[^a]{5}", r"\d{999}", r"[z-a]\d{5}", "x" * 101, r".{5}", r"\w{5}", r"\d" * 40],
)  # fmt: skip
def test_what_is_no_form_is_refused(form: str) -> None:
    with pytest.raises(ApplicationError) as refused:
        compiled_form(form)
    assert refused.value.code == "order_form_invalid"


def test_no_form_takes_long_whatever_it_meets() -> None:
    forms = [compiled_form(r"\d{1,40}" * 12 + "X"), compiled_form(r"[0-9a]{1,40}" * 8 + "-")]
    started = time.process_time()
    Redactor(Rules.of(forms)).redact(["0" * 20_000, "1a" * 10_000])
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    "sign", ["A", "我", "王", "Mr ", "Aa ", "订单号", "@", "1", "\n", "张伟，", "A. "]
)
def test_no_text_takes_long(sign: str) -> None:
    started = time.process_time()
    Redactor().redact([(sign * 20_000)[:20_000]])
    assert time.process_time() - started < 2


def test_a_share_of_the_benchmark_finds_as_much_as_is_promised() -> None:
    score = measured(sentences(150, seed=7)) + measured(sentences(150, seed=8, unseen=True))
    assert score.recall(STRUCTURED) >= 0.97
    assert score.recall(["name"]) >= 0.85
    assert score.precision((*STRUCTURED, "name")) >= 0.95
