"""What comes out of the one JSON reader can be stored, hashed and sent on."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.strict_json import StrictJsonError, loads

DATA = Path(os.environ.get("PARLEY_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
SUITE = DATA / "badinput" / "jsontestsuite" / "test_parsing"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "json_malformed"),
        ("[1,]", "json_malformed"),
        ("{'a': 1}", "json_malformed"),
        ("[1] 2", "json_malformed"),
        ("NaN", "json_number"),
        ("[-Infinity]", "json_number"),
        ("1e999", "json_number"),
        ("[" + "9" * 5000 + "]", "json_number"),
        ('{"甲": 1, "甲": 2}', "json_duplicate_key"),
        ('{"a": {"b": 1, "b": 1}}', "json_duplicate_key"),
        ('"\\ud800"', "json_surrogate"),
        ('{"\\udfff": 1}', "json_surrogate"),
        ('["a\\u0000b"]', "json_nul"),
        ('"a\x00b"', "json_malformed"),
        (b'"\xff"', "json_encoding"),
        ('{"a":1}'.encode("utf-16"), "json_encoding"),
        ("[" * 65 + "]" * 65, "json_too_deep"),
        ("[" * 100_000 + "]" * 100_000, "json_too_deep"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "json_too_deep"),
        ('"\ud800"', "json_surrogate"),
    ],
)
def test_doubtful_json_is_refused_with_its_code(text: str | bytes, code: str) -> None:
    with pytest.raises(StrictJsonError) as caught:
        loads(text)
    assert caught.value.code == code


def test_a_fault_names_its_line_and_column() -> None:
    with pytest.raises(StrictJsonError) as caught:
        loads('{\n  "问": "在吗",\n  "答": }\n')
    assert (caught.value.line, caught.value.column) == (3, 8)
    with pytest.raises(StrictJsonError) as caught:
        loads(b'{\n\n"a": "\xff"}')
    assert caught.value.line == 3


@pytest.mark.parametrize(
    "value",
    [None, 0, -1.5, "你好 🎉", [], {}, {"a": [1, {"b": None}]}, "\U0001f600", "[[[[" * 100],
)
def test_sound_json_is_read_as_it_is(value: object) -> None:
    for ascii_only in (True, False):
        text = json.dumps(value, ensure_ascii=ascii_only)
        assert loads(text) == value
        assert loads(text.encode()) == value
        assert loads(b"\xef\xbb\xbf" + text.encode()) == value


def test_sixty_four_levels_are_deep_enough() -> None:
    assert loads("[" * 64 + "]" * 64)
    with pytest.raises(StrictJsonError, match="json_too_deep"):
        loads("[[[1]]]", max_depth=2)


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_no_input_raises_another_error(text: str | bytes) -> None:
    try:
        value = loads(text)
    except StrictJsonError:
        return
    # What was accepted goes to UTF-8 and comes back the same.
    assert loads(json.dumps(value, ensure_ascii=False, allow_nan=False).encode()) == value


def test_the_public_suite_is_judged_as_its_file_names_say() -> None:
    if not SUITE.exists():
        pytest.skip(f"no JSON test suite at {SUITE}; set PARLEY_DATA")
    files = sorted(SUITE.glob("[yn]_*.json"))
    assert files
    wrong = []
    for file in files:
        try:
            loads(file.read_bytes())
            accepted = True
        except StrictJsonError:
            accepted = False
        kind = file.name[0]
        if (kind == "n" and accepted) or (
            kind == "y" and not accepted and not _refused_on_purpose(file)
        ):
            wrong.append(file.name)
    assert wrong == []


def _refused_on_purpose(file: Path) -> bool:
    """Sound by the standard, and still nothing that we store: keys given twice, and NUL."""
    return any(
        word in file.name for word in ("duplicated_key", "null_escape", "escaped_null", "u0000")
    )
