"""Personal data that has a form is found in English and Chinese; what only looks like it is not."""

import time

import pytest

from labeling.personal_data import find, is_id_card, passes_luhn, personal_kinds, personal_places

PRESENT = [
    ("Write to ada.lovelace+orders@example.co.uk today.", "email", "ada.lovelace+orders@example.co.uk"),
    ("请发到wang_wei@example.com，谢谢", "email", "wang_wei@example.com"),
    ("邮箱是ｌｉ＠ｅｘａｍｐｌｅ．ｃｏｍ。", "email", "ｌｉ＠ｅｘａｍｐｌｅ．ｃｏｍ"),
    ("我的手机是13812345678，请回电", "phone", "13812345678"),
    ("电话：138 1234 5678。", "phone", "138 1234 5678"),
    ("+86-138-1234-5678", "phone", "+86-138-1234-5678"),
    ("手机号１３８１２３４５６７８", "phone", "１３８１２３４５６７８"),
    ("座机 021-61234567 转 8", "phone", "021-61234567 转 8"),
    ("Call 415-555-0134 ext. 22 today.", "phone", "415-555-0134 ext. 22"),
    ("Call me at 4155550134.", "phone", "4155550134"),
    ("Call (415) 555-0134 after six.", "phone", "(415) 555-0134"),
    ("Call 415-555-0134.", "phone", "415-555-0134"),
    ("My number is 020 7946 0958.", "phone", "020 7946 0958"),
    ("or 07700 900123", "phone", "07700 900123"),
    ("Büro: +49 30 1234567", "phone", "+49 30 1234567"),
    ("身份证号：11010519491231002X，请核实", "id_card", "11010519491231002X"),
    ("440308199901101512", "id_card", "440308199901101512"),
    ("卡号4111 1111 1111 1111。", "bank_card", "4111 1111 1111 1111"),
    ("card 5555-5555-5555-4444 expired", "bank_card", "5555-5555-5555-4444"),
    ("378282246310005", "bank_card", "378282246310005"),
    ("银行卡6222021234567890128", "bank_card", "6222021234567890128"),
]  # fmt: skip

ABSENT = [
    "Order 20240506 was sent on 2024-05-06 at 12:30:15.",
    "订单号 202405061234567 已发货",
    "Write @ada on the forum, or a@b.",
    "user@localhost",
    "The price rose from 1,299.00 to 1,399.00.",
    "IP 192.168.100.200, version 3.11.2",
    "11010519491231002X1",
    "身份证 110105194912310021",  # the check digit is wrong
    "990105194912310029",  # no such province
    "卡号 4111 1111 1111 1112",  # fails the Luhn sum
    "ISBN 978-3-16-148410-0",
    "3.14159265358979323846",
    "快递单号 SF1381234567890",
    "UUID 123e4567-e89b-12d3-a456-426614174000",
    "12345678901234567890123456789",
    "合同编号 8888-0001-0002",
]


@pytest.mark.parametrize(("text", "kind", "piece"), PRESENT)
def test_what_has_the_form_is_found_where_it_stands(text: str, kind: str, piece: str) -> None:
    found = find(text)
    assert [(one.kind, text[one.start : one.end]) for one in found] == [(kind, piece)]


@pytest.mark.parametrize("text", ABSENT)
def test_what_only_looks_like_it_is_left_alone(text: str) -> None:
    assert find(text) == []


def test_several_kinds_stand_in_their_order_and_none_is_counted_twice() -> None:
    text = "王先生 13812345678，身份证11010519491231002X，wang@example.com，卡 4111111111111111"
    assert [one.kind for one in find(text)] == ["phone", "id_card", "email", "bank_card"]


def test_a_row_says_which_kinds_it_holds_and_where() -> None:
    content = {
        "messages": [
            {"role": "user", "content": "我是 li@example.com"},
            {"role": "assistant", "content": "好的，13812345678"},
        ]
    }
    assert personal_kinds(content) == {"email", "phone"}
    assert [place.pointer for place in personal_places(content)] == [
        "/messages/0/content",
        "/messages/1/content",
    ]
    assert personal_kinds({"prompt": "a", "completion": "b"}) == set()


@pytest.mark.parametrize(
    "text",
    ["@" * 50_000, "a" * 100_000, "1 " * 50_000, "+1" * 50_000, "a." * 50_000 + "@", "1-" * 50_000],
)
def test_a_hostile_text_costs_no_more_than_its_length(text: str) -> None:
    started = time.process_time()
    find(text)
    assert time.process_time() - started < 2


def test_check_digits_are_computed() -> None:
    assert is_id_card("11010519491231002X")
    assert not is_id_card("110105194913310028")  # a thirteenth month
    assert passes_luhn("4111111111111111")
    assert not passes_luhn("4111111111111121")
