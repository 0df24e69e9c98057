"""English names: capital letters and a reason to think so: an introduction, a title, a greeting, a
closing, a form's field, or a given name that nearly everybody knows."""

import re
from collections.abc import Iterator

from labeling.naming.lists import word_list

Span = tuple[int, int]

# Common given names that are no other English word.
_GIVEN = word_list("given_names.txt")
# Given names that are also words, places or months: alone they prove nothing.
_WORDS = word_list("given_names_that_are_words.txt")

_CAPITAL = r"(?:[A-Z][a-zà-öø-ÿ]+(?:['’\-][A-Z]?[a-zà-öø-ÿ]+)*|(?:Mc|Mac|O['’]|D['’]|De|La|Le|Van|Von|Di)[A-Z][a-zà-öø-ÿ]+)"
_SURNAME = rf"(?:(?:van|von|de|der|den|di|da|del|la|le|al|bin|ibn|el)[ ]){{0,2}}{_CAPITAL}"
_NAME = rf"(?P<name>{_CAPITAL}(?:[ ][A-Z]\.)?(?:[ ]{_SURNAME}){{0,2}})"
_FULL = rf"(?P<name>{_CAPITAL}(?:[ ][A-Z]\.)?(?:[ ]{_SURNAME}){{1,2}})"
_ANY_CASE = r"(?P<name>[A-Za-z][a-zà-öø-ÿ'’\-]+(?:[ ][A-Za-z][a-zà-öø-ÿ'’\-]+)?)"

_TITLE = r"(?<![A-Za-z])(?:Mr|Mrs|Ms|Miss|Mx|Dr|Prof|Professor|Sir|Madam|Mister|Mme|Herr|Frau|Señor|Señora)\.?[ ]"
_OPENING = r"(?:Dear|Hi|Hello|Hey|Hiya|Good (?:morning|afternoon|evening|day)|Greetings|Thanks|Thank you|Thx|Cheers|Welcome|Morning|Sorry)"
_CLOSING = (
    r"(?:(?:(?:Best|Kind|Kindest|Warm|Warmest|Many)[ ])?(?:[Rr]egards|[Ww]ishes|[Tt]hanks|[Ss]incerely)|Sincerely yours|Yours (?:sincerely|faithfully|"
    r"truly)|Best|Cheers|Thank you(?: (?:so|very) much)?(?: in advance)?|Thanks(?: (?:a lot|again|in advance|so much|for your help))?|Respectfully|"
    r"Cordially|Take care|Warmly|All the best|Yours|Love|BR|Rgds|Signed)"
)
_TELLS = re.compile(
    r"(?i:\b(?:my (?:full |real |first |last )?name(?:'s| is| was)|name(?:'s)? is|i am called|they call me|call me|this is|it's|it is|"
    r"speaking (?:with|to)|speak (?:with|to)|spoke (?:with|to)|talk(?:ed|ing)? (?:with|to)|chatt(?:ed|ing) with|"
    r"ask(?:ed)? for|on behalf of|attention(?: of)?|attn\.?:?|addressed to|deliver(?:ed)? to|sent to|ship(?:ped)? to|belongs to|"
    r"in the name of|under the name(?: of)?|registered (?:to|under|for)|booked (?:by|for|under)|signed (?:by|for by)|placed by|ordered by|"
    r"made by|paid by|account of|behalf of|colleague|manager|agent|technician|driver|contact|husband|wife|son|daughter|brother|"
    r"sister|mother|father|partner|friend|boss|assistant|doctor|cousin|roommate|neighbou?r|helped by|assisted by|handled by|"
    r"assigned to|transferred to|passed to|forwarded to|named|called|reach(?:ed)?|cc|from|by|for|to|with|and|call|ask|tell|told|asked|email|e-mail|text|message|meet|met|add|invite|remove|replace|thank|because|holder:|holder|passenger|guest|customer|user|owner))[ ]"
    + _FULL
)
_INTRODUCES = re.compile(
    r"(?i:\b(?:my (?:full |real |first |last )?name(?:'s| is| was)|(?:first |last |full |customer |contact |account |card ?holder |passenger |guest |recipient )?"
    r"name[ ]?:|call me|recipient[ ]?:|passenger[ ]?:|guest[ ]?:|customer[ ]?:|contact[ ]?:|attn\.?[ ]?:?|card ?holder[ ]?:|"
    r"addressee[ ]?:|agent[ ]?:|signed[ ]?:|from[ ]?:|to[ ]?:))[ ]{0,2}" + _NAME
)
_LOWER = re.compile(
    r"(?i:\bmy (?:full )?name(?:'s| is)[ ])" + _ANY_CASE + r"(?=[.,!;\n]|$| and | from )"
)
_I_AM = re.compile(
    r"\b(?:I am|I'm|I’m|This is|this is|it's|It's|here is)[ ]"
    + _NAME
    + r"(?=[ ]?(?:[.,!;\n]|$|from\b|with\b|and\b|speaking\b|here\b|in\b|at\b|,))"
)
_HERE = re.compile(_NAME + r"(?=[ ](?:here|speaking)\b)")
_TITLED = re.compile(_TITLE + _NAME)
_GREETS = re.compile(
    rf"(?:^|[\n.!?,]\s{{0,2}}|[ ]){_OPENING},?[ ](?:again,?[ ])?{_NAME}(?=[ ]?[,.!:;\n–—-]|[ ]*$)",
    re.M,
)
_ENDS = re.compile(
    rf"(?:^|[\n.!?]\s{{0,3}}){_CLOSING}[ ]?[,.!]?\s{{1,4}}[-–—~ ]{{0,3}}{_NAME}(?=\s*(?:$|\n|,|\|)|[ ]?\.?$)",
    re.M,
)
_DASHED = re.compile(rf"(?:^|[\s.!?])[-–—~]{{1,2}}[ ]?{_NAME}[ \t]*$", re.M)
_ALONE_AT_END = re.compile(rf"\n[ \t]*{_NAME}[ \t]*\s*$")
_GIVEN_AND_MORE = re.compile(
    rf"(?<![A-Za-z])(?P<name>(?P<first>{_CAPITAL})(?:[ ][A-Z]\.)?(?:[ ]{_SURNAME}){{1,2}})"
)
_GIVEN_ALONE = re.compile(rf"(?<![A-Za-z.@/-])(?P<name>{_CAPITAL})(?![A-Za-z@/]|\.[a-z])")
_POSSESSIVE = re.compile(r"['’]s$")

# Capitalised words that open sentences, name days, months, places and things: no names of people.
_NO_NAME = word_list("no_names.txt")


# Words that are family names as well, behind a given name or a title.
_SURNAMES_TOO = word_list("surnames_that_are_words.txt")
# Places, months and machines: even before another capital they prove nothing.
_PLACES = word_list("given_names_that_are_places.txt")


def english_names(text: str) -> Iterator[Span]:
    """Where English names stand."""
    if not _HAS_LETTERS.search(text):
        return
    for shape in _WITH_A_REASON:
        for match in shape.finditer(text):
            yield from _trimmed(text, *match.span("name"), is_titled=shape is _TITLED)
    for match in _LOWER.finditer(text):
        if match["name"].split()[0].casefold() not in _NO_NAME:
            yield match.span("name")
    for match in _GIVEN_AND_MORE.finditer(text):
        if match["first"].casefold() in _BEFORE_A_SURNAME and not _AFTER_A_PLACE.search(
            text, max(0, match.start() - 8), match.start()
        ):
            yield from _trimmed(text, *match.span("name"))
    for match in _GIVEN_ALONE.finditer(text):
        if match["name"].casefold() in _ALONE and not _AFTER_A_PLACE.search(
            text, max(0, match.start() - 8), match.start()
        ):
            yield match.span("name")


_ALONE = _GIVEN - _WORDS
_BEFORE_A_SURNAME = _GIVEN - _PLACES
_AFTER_A_PLACE = re.compile(r"(?:San|Santa|Los|Las|St\.?|Saint|New|Fort|Port|Mount|Lake|Cape) $")
_HAS_LETTERS = re.compile(r"[A-Za-z]{2}")
_WITH_A_REASON = (
    _TELLS, _INTRODUCES, _I_AM, _HERE, _TITLED, _GREETS, _ENDS, _DASHED, _ALONE_AT_END,
)  # fmt: skip
_WORD = re.compile(r"[^ ]+")


def _trimmed(text: str, start: int, end: int, *, is_titled: bool = False) -> Iterator[Span]:
    """The name up to the first word that is none; nothing where it begins with such a word."""
    words = [
        (word.start(), _POSSESSIVE.sub("", word.group()))
        for word in _WORD.finditer(text, start, end)
    ]
    last = start
    for number, (at, word) in enumerate(words):
        plain = word.strip(".").casefold()
        # "April Morrison" is one, "April" alone is none.
        may_begin = is_titled or (plain in _GIVEN and len(words) > 1)
        may_follow = number > 0 and plain in _SURNAMES_TOO
        if (
            plain in _NO_NAME
            and not may_follow
            and not (number == 0 and may_begin and plain in _SURNAMES_TOO | _GIVEN)
        ):
            break
        last = at + len(word)
    # A month or a day alone was let in for what should have followed.
    if last > start and (is_titled or text[start:last].casefold() not in _NO_NAME):
        yield start, last
