"""Where a text names a person by something with a form: an e-mail address, a telephone number, an
identity card of the People's Republic, a bank card.

Names, addresses and stories have no form, and are not looked for. What has a check digit must pass
it, so that order numbers are left alone; the rest is judged by its shape, and may be wrong.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from labeling.rows import whole_text

EMAIL, PHONE, ID_CARD, BANK_CARD = "email", "phone", "id_card", "bank_card"
KINDS = (EMAIL, PHONE, ID_CARD, BANK_CARD)


@dataclass(frozen=True, slots=True)
class Found:
    """One place: `text[start:end]` is of this kind."""

    kind: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Place:
    """The same inside a row; `pointer` leads to the text."""

    pointer: str
    found: Found


def personal_kinds(content: Mapping[str, Any]) -> set[str]:
    """Which kinds a row holds."""
    return {place.found.kind for place in personal_places(content)}


def personal_places(content: Mapping[str, Any]) -> Iterator[Place]:
    """Every place in a row, text by text."""
    for pointer, text in whole_text(content):
        for found in find(text):
            yield Place(pointer, found)


def find(text: str) -> list[Found]:
    """Every place in a text, from left to right; none overlaps another."""
    has_digits = _FEWEST_DIGITS.search(text) is not None
    if "@" not in text and "＠" not in text and not has_digits:
        return []
    # Full-width forms, one character for one, so that places stay where they are.
    plain = text.translate(_HALF_WIDTH)
    found = list(_emails(plain))
    if has_digits:
        # An identity card holds digits that look like a telephone; the stricter form comes first.
        for look in (_id_cards, _bank_cards, _phones):
            found += [one for one in look(plain) if not any(_touch(one, other) for other in found)]
    return sorted(found, key=lambda one: one.start)


_HALF_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}
_FEWEST_DIGITS = re.compile(r"\d(?:[ ().\-]{0,2}\d){6}")


def _touch(one: Found, other: Found) -> bool:
    return one.start < other.end and other.start < one.end


# --- E-mail addresses --------------------------------------------------------------------------

_LOCAL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._%+\-]*[A-Za-z0-9_%+\-])?$")
_DOMAIN = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,24}(?![A-Za-z])"
)


def _emails(text: str) -> Iterator[Found]:
    """Around each @, so that a long text without one costs nothing."""
    at = text.find("@")
    while at >= 0:
        local = _LOCAL.search(text, max(0, at - 64), at)
        domain = _DOMAIN.match(text, at + 1, at + 255)
        if local and domain and ".." not in local.group():
            yield Found(EMAIL, local.start(), domain.end())
        at = text.find("@", at + 1)


# --- Telephone numbers --------------------------------------------------------------------------

# An extension belongs to the number: x3890, ext. 12, 转 8.
_END = r"(?:[ ]?(?:x|ext\.?|extension|转|轉)[ ]?\d{1,6})?(?![\d\-]|\.\d)"
_PHONES = tuple(
    re.compile(shape + _END)
    for shape in (
        # Mainland China, mobile: 138 1234 5678, +86-138-1234-5678.
        r"(?<![\d.\-])(?:(?:\+|00)?86[ \-]?)?1[3-9]\d[ \-]?\d{4}[ \-]?\d{4}",
        # Anywhere, written as the world writes it: +49 30 1234567.
        r"(?<![\d+])\+[1-9](?:[ ().\-]{0,2}\d){7,14}",
        # Mainland China, landline: 021-12345678, (0755) 81234567.
        r"(?<![\d.\-])\(?0[1-9]\d{1,2}\)?[ \-]\d{7,8}",
        # North America: (415) 555-0134, 415-555-0134.
        r"(?<![\d.\-+])(?:(?:\+|00)?1[ .\-]?)?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[ .\-])\d{3}[ .\-]\d{4}",
        # Ten digits in a row, where a word says what they are.
        r"(?<=[a-zA-Z :#])(?<![\d.\-])(?:(?<=phone )|(?<=phone: )|(?<=number )|(?<=number is )|(?<=number to )|(?<=number: )"
        r"|(?<=call )|(?<=call me at )|(?<=call me on )|(?<=me at )|(?<=me on )|(?<= on )|(?<=tel )|(?<=tel: )|(?<=tel\. )|(?<=mobile )|(?<=mobile: )"
        r"|(?<=cell )|(?<=cell: )|(?<=text )|(?<=contact: )|(?<=from )|(?<=whatsapp ))[2-9]\d{9}",
        # Great Britain: 020 7946 0958, 07700 900123.
        r"(?<![\d.\-])0[1-37-8]\d{1,3}[ \-]\d{3,4}[ \-]?\d{3,4}",
    )
)


def _phones(text: str) -> Iterator[Found]:
    kept: list[Found] = []
    for shape in _PHONES:
        matches = (Found(PHONE, *match.span()) for match in shape.finditer(text))
        kept += [one for one in matches if not any(_touch(one, other) for other in kept)]
    yield from kept


# --- Identity cards ------------------------------------------------------------------------------

_ID_CARD = re.compile(r"(?<![0-9A-Za-z])[1-9]\d{16}[\dXx](?![0-9A-Za-z])")
_PROVINCES = {
    *range(11, 16), *range(21, 24), *range(31, 38), *range(41, 47), *range(50, 55),
    *range(61, 66), 71, 81, 82, 83,
}  # fmt: skip
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def _id_cards(text: str) -> Iterator[Found]:
    for match in _ID_CARD.finditer(text):
        if is_id_card(match.group()):
            yield Found(ID_CARD, match.start(), match.end())


def is_id_card(number: str) -> bool:
    """Province, birthday and the check digit of GB 11643 (ISO 7064, MOD 11-2) are right."""
    if int(number[:2]) not in _PROVINCES:
        return False
    try:
        born = date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return False
    total = sum(int(digit) * weight for digit, weight in zip(number, _WEIGHTS, strict=False))
    return 1900 <= born.year <= 2100 and "10X98765432"[total % 11] == number[17].upper()


# --- Bank cards ----------------------------------------------------------------------------------

_CARD = re.compile(r"(?<![0-9A-Za-z.\-])[1-69](?:[ \-]?\d){11,18}(?![0-9A-Za-z]|[.\-]\d)")
# How each issuer's numbers begin and how long they are.
_ISSUERS = (
    (re.compile(r"4"), {13, 16, 19}),
    (re.compile(r"5[1-5]|2[2-7]"), {16}),
    (re.compile(r"3[47]"), {15}),
    (re.compile(r"62|60|64|65|9558"), {16, 17, 18, 19}),
    (re.compile(r"35"), {16}),
    (re.compile(r"2131|1800"), {15}),
    (re.compile(r"30[0-5]|36|38|39"), {14}),
    (re.compile(r"50|5[6-9]|6[37]"), set(range(12, 20))),
)


def _bank_cards(text: str) -> Iterator[Found]:
    for match in _CARD.finditer(text):
        digits = re.sub(r"[ \-]", "", match.group())
        issued = any(start.match(digits) and len(digits) in sizes for start, sizes in _ISSUERS)
        if issued and passes_luhn(digits):
            yield Found(BANK_CARD, match.start(), match.end())


def passes_luhn(digits: str) -> bool:
    """ISO/IEC 7812: every second digit from the right doubled, the sum a multiple of ten."""
    total = 0
    for index, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + index % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
