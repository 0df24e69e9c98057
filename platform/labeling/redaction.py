"""Personal data taken out of a conversation before it is kept, each value behind one placeholder.

The same value is the same placeholder throughout, so that what was said still makes sense:
"[PHONE_1] does not answer". What stood there is in `Redactor.originals` and nowhere else.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from labeling.naming import find_names
from labeling.order_numbers import find_order_numbers
from labeling.personal_data import Found, find

NAME, ORDER = "name", "order"
PLACEHOLDER = re.compile(r"\[(?:EMAIL|PHONE|ID_CARD|BANK_CARD|ORDER|NAME)_[1-9]\d{0,4}\]")

_CJK = re.compile("[\u4e00-\u9fff]")
_FILLING = re.compile(r"[\s().\-]")


@dataclass(frozen=True, slots=True)
class Rules:
    """What a tenant adds: how its order numbers look, and what of its own is nobody's secret.

    `kept` are the company's own addresses, numbers and names, and "@example.com" for all mailboxes
    of a domain; they stay, for answers speak of them.
    """

    orders: tuple[re.Pattern[str], ...] = ()
    kept: frozenset[str] = frozenset()

    @classmethod
    def of(cls, orders: Iterable[re.Pattern[str]] = (), kept: Iterable[str] = ()) -> "Rules":
        return cls(tuple(orders), frozenset(_same("", value) for value in kept))

    def keep(self, kind: str, value: str) -> bool:
        plain = _same(kind, value)
        return plain in self.kept or ("@" + plain.rpartition("@")[2]) in self.kept


@dataclass
class Redactor:
    """One conversation's. `names` are people whom the source itself names."""

    rules: Rules = field(default_factory=Rules)
    names: Sequence[str] = ()
    # placeholder -> what it stands for, as it was written first
    originals: dict[str, str] = field(default_factory=dict)

    def redact(self, texts: Sequence[str]) -> list[str]:
        """The texts of a conversation in their order. A name that is told once is known in all."""
        self._placeholders: dict[tuple[str, str], str] = {}
        self._counts: dict[str, int] = {}
        # What somebody typed in our form stands for nothing.
        self._taken = {one for text in texts for one in PLACEHOLDER.findall(text)}
        return [
            self._without(text, found)
            for text, found in zip(texts, self.places(texts), strict=True)
        ]

    def places(self, texts: Sequence[str]) -> list[list[Found]]:
        """What is to be taken out of each text, from left to right."""
        found = [self._found(text) for text in texts]
        known = {
            text[one.start : one.end]
            for text, places in zip(texts, found, strict=True)
            for one in places
            if one.kind == NAME
        }
        told = _mentions((*self.names, *known))
        return [
            [
                one
                for one in sorted(_with_names(text, places, told), key=lambda place: place.start)
                if not self.rules.keep(one.kind, text[one.start : one.end])
            ]
            for text, places in zip(texts, found, strict=True)
        ]

    def _found(self, text: str) -> list[Found]:
        """The strictest form first: a card's number may look like an order's."""
        kept: list[Found] = []
        for places in (
            find(text),
            find_order_numbers(text, self.rules.orders),
            (Found(NAME, start, end) for start, end in find_names(text)),
        ):
            kept += [
                one
                for one in places
                if not any(one.start < other.end and other.start < one.end for other in kept)
            ]
        return kept

    def _without(self, text: str, places: Iterable[Found]) -> str:
        pieces, position = [], 0
        for one in places:
            value = text[one.start : one.end]
            pieces += [text[position : one.start], self._placeholder(one.kind, value)]
            position = one.end
        return "".join((*pieces, text[position:]))

    def _placeholder(self, kind: str, value: str) -> str:
        key = (kind, _same(kind, value))
        if key not in self._placeholders:
            while True:
                self._counts[kind] = self._counts.get(kind, 0) + 1
                made = f"[{kind.upper()}_{self._counts[kind]}]"
                if made not in self._taken:
                    break
            self._placeholders[key] = made
            self.originals[made] = value
        return self._placeholders[key]


def restored(text: str, originals: dict[str, str]) -> str:
    """The text as it was."""
    return PLACEHOLDER.sub(lambda match: originals.get(match.group(), match.group()), text)


def kinds_in(text: str) -> set[str]:
    """Which kinds of placeholder a redacted text holds."""
    return {
        match.group()[1:-1].rpartition("_")[0].casefold() for match in PLACEHOLDER.finditer(text)
    }


def _same(kind: str, value: str) -> str:
    """What two ways to write one value have in common."""
    plain = unicodedata.normalize("NFKC", value).casefold().strip()
    if kind == NAME or "@" in plain or _CJK.search(plain):
        return plain
    return _FILLING.sub("", plain).lstrip("+")


def _mentions(names: Iterable[str]) -> re.Pattern[str] | None:
    """All that may stand for these people: the whole names, and each Latin part of three letters on."""
    wanted: set[str] = set()
    for name in names:
        plain = name.strip()
        if _CJK.search(plain):
            if 2 <= len(plain) <= 6:
                wanted.add(plain)
        elif plain and plain[0].isalpha() and len(plain) <= 60:
            parts = [part for part in re.split(r"[ ,]+", plain) if len(part) >= 3]
            wanted |= {plain, *parts} if len(plain) >= 3 else set()
    if not wanted:
        return None
    ordered = sorted(wanted, key=lambda one: (-len(one), one))
    shapes = [
        re.escape(one) if _CJK.search(one) else rf"(?<![\w@.]){re.escape(one)}(?![\w@])"
        for one in ordered
    ]
    return re.compile("|".join(shapes))


def _with_names(text: str, places: list[Found], told: re.Pattern[str] | None) -> list[Found]:
    """The places and every mention of who is known; the whole name stands before a part of it."""
    spans = [match.span() for match in told.finditer(text)] if told is not None else []
    kept = [
        one
        for one in places
        if one.kind != NAME or not any(_is_inside(one, span) for span in spans)
    ]
    return kept + [
        Found(NAME, start, end)
        for start, end in spans
        if not any(start < one.end and one.start < end for one in kept)
    ]


def _is_inside(one: Found, span: tuple[int, int]) -> bool:
    return span[0] <= one.start and one.end <= span[1]
