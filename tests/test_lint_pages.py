"""What our templates, scripts and catalogues may not hold: a second HTML sink, inline script or style,
words that no translator sees, a catalogue that is not whole."""

from __future__ import annotations

import ast
import contextlib
import gettext
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.utils.translation import templatize

ROOT = Path(__file__).resolve().parents[1]
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
SCRIPTS = sorted((ROOT / "static" / "js").rglob("*.js"))
CODE = sorted(path for shelf in ("platform", "apps") for path in (ROOT / shelf).rglob("*.py"))
LOCALE = ROOT / "platform" / "config" / "locale"
CATALOGUE = LOCALE / "zh_Hans" / "LC_MESSAGES" / "django.po"

# What `templatize` leaves of a template: calls of gettext among crossed-out markup.
CALLS = re.compile(
    r"\b(?:_|gettext|ngettext|pgettext|npgettext)\((?:\s*u?(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")\s*,?)+[^()]*\)"
)
COMMENTS = re.compile(r"{% comment %}.*?{% endcomment %}|{#.*?#}|<!--.*?-->", re.DOTALL)


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def source(path: Path) -> str:
    return COMMENTS.sub("", path.read_text())


def at_import(tree: ast.AST) -> Iterator[ast.AST]:
    """What is worked out when the module is read, before anybody's language is known."""
    for one in ast.iter_child_nodes(tree):
        yield one
        if not isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from at_import(one)


@pytest.mark.parametrize("path", CODE, ids=named)
def test_a_sentence_is_filled_in_for_its_reader_and_not_at_import(path: Path) -> None:
    """`_(...) % ...` of a lazy sentence is a plain string at once, in the language of the process."""
    filled = [
        one.lineno
        for one in at_import(ast.parse(path.read_text()))
        if isinstance(one, ast.BinOp)
        and isinstance(one.op, ast.Mod)
        and isinstance(one.left, ast.Call)
        and getattr(one.left.func, "id", "") in ("_", "gettext", "gettext_lazy", "ngettext")
    ]
    assert filled == []


@pytest.mark.parametrize("path", TEMPLATES, ids=named)
def test_a_template_trusts_no_markup(path: Path) -> None:
    forbidden = re.compile(
        r"\|\s*safe\b|\|\s*safeseq\b|autoescape\s+off|mark_safe|\|\s*json_script"
    )
    assert not forbidden.findall(source(path))


@pytest.mark.parametrize("path", TEMPLATES, ids=named)
def test_a_template_has_no_inline_script_or_style(path: Path) -> None:
    text = source(path)
    assert not re.findall(r"<script(?![^>]*\bsrc=)", text), "a script without src"
    assert not re.findall(r"<style\b", text), "a style element"
    assert not re.findall(r"\sstyle\s*=", text), "a style attribute"
    assert not re.findall(r"\son[a-z]+\s*=\s*[\"']", text), "an event attribute"
    assert not re.findall(r"\shx-on|javascript:", text), "script in an attribute"


@pytest.mark.parametrize("path", TEMPLATES, ids=named)
def test_a_template_loads_nothing_from_elsewhere(path: Path) -> None:
    assert not re.findall(r"(?:src|href)\s*=\s*[\"'](?:https?:)?//", source(path))


@pytest.mark.parametrize("path", SCRIPTS, ids=named)
def test_a_script_has_no_html_sink(path: Path) -> None:
    sinks = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function\(|"
        r"createContextualFragment|setHTMLUnsafe|DOMParser|srcdoc"
    )
    assert not sinks.findall(path.read_text())


@pytest.mark.parametrize("path", CODE, ids=named)
def test_code_marks_no_text_as_safe(path: Path) -> None:
    """`format_html` escapes what it is given; everything that does not is refused."""
    tree = ast.parse(path.read_text())
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    names |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    names |= {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    if path == ROOT / "platform/common/html.py":
        # The one sink: it cleans what it marks.
        assert {"mark_safe", "nh3"} <= names
        return
    assert not names & {"mark_safe", "SafeText", "html_safe"}


# --- Every word through gettext --------------------------------------------------------------

# The name of the product, keys of a keyboard, units and names of file forms are the same everywhere.
SAME_EVERYWHERE = {"Parley", "BM", "manage", "py", "openapi", "yaml"}
BLOCKS = re.compile(
    r"{%-?\s*blocktrans(?:late)?\b.*?{%\s*endblocktrans(?:late)?\s*%}|<pre\b.*?</pre>|<kbd>.*?</kbd>"
    r"|{% block code %}.*?{% endblock code %}",
    re.DOTALL,
)
SPOKEN_ATTRIBUTES = re.compile(r"\s(?:aria-label|placeholder|alt|title)=\"([^\"]*)\"")


@pytest.mark.parametrize("path", TEMPLATES, ids=named)
def test_every_word_of_a_template_is_translated(path: Path) -> None:
    text = BLOCKS.sub(" ", source(path))
    spoken = SPOKEN_ATTRIBUTES.findall(re.sub(r"{%.*?%}|{{.*?}}", "", text, flags=re.DOTALL))
    text = re.sub(r"{%.*?%}|{{.*?}}", " ", text, flags=re.DOTALL)
    text = re.sub(r"<!DOCTYPE[^>]*>|<[^>]*>", " ", text)
    bare = [word for word in re.findall(r"[^\W\d_]{2,}", text) if word not in SAME_EVERYWHERE]
    assert not bare
    assert not [word for word in spoken if re.search(r"[^\W\d_]{2,}", word)]


@pytest.mark.parametrize("path", SCRIPTS, ids=named)
def test_a_script_speaks_no_language_of_its_own(path: Path) -> None:
    """A script's words come from data attributes, so a sentence in it is a mistake."""
    code = re.sub(r"/\*.*?\*/|^\s*//.*?$", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)
    quoted = re.findall(r"\"([^\"\n]*)\"|'([^'\n]*)'", code)
    assert not [
        one for pair in quoted for one in pair if re.search(r"[A-Z][a-z]+ [a-z]+ [a-z]", one)
    ]


# --- The catalogue ---------------------------------------------------------------------------


PLURALS: set[str] = set()


def entries() -> list[tuple[str, str, list[str], bool]]:
    """(context, message, translations, fuzzy) of the Chinese catalogue."""
    found = []
    for block in CATALOGUE.read_text().split("\n\n"):
        lines = [line for line in block.splitlines() if not line.startswith("#~")]
        fields: dict[str, str] = {}
        current = ""
        for line in lines:
            if match := re.match(r'(msgctxt|msgid_plural|msgid|msgstr(?:\[\d\])?) "(.*)"$', line):
                current = match[1]
                fields[current] = match[2]
            elif line.startswith('"') and current:
                fields[current] += line[1:-1]
        if fields.get("msgid"):
            said = [value for name, value in fields.items() if name.startswith("msgstr")]
            fuzzy = any(line.startswith("#,") and "fuzzy" in line for line in lines)
            texts = [_unquoted(one) for one in said]
            context, message = _unquoted(fields.get("msgctxt", "")), _unquoted(fields["msgid"])
            if "msgid_plural" in fields:
                PLURALS.add(f"{context}\x04{message}" if context else message)
            found.append((context, message, texts, fuzzy))
    return found


def _unquoted(text: str) -> str:
    return str(ast.literal_eval(f'"{text}"'))


def test_the_chinese_catalogue_is_whole_and_certain() -> None:
    assert len(entries()) > 200
    assert not [message for _context, message, said, _fuzzy in entries() if not all(said)]
    assert not [message for _context, message, _said, fuzzy in entries() if fuzzy]


def test_a_translation_keeps_every_placeholder() -> None:
    placeholder = re.compile(r"%\([a-z_]+\)[sd]|(?<!%)%[sd]|%%")
    for _context, message, said, _fuzzy in entries():
        wanted = sorted(placeholder.findall(message))
        for text in said:
            found = sorted(placeholder.findall(text))
            # A plural may say "one" without its figure, in either language.
            assert set(found) <= set(wanted) or set(wanted) <= set(found), message
            assert set(wanted) - set(found) <= {"%(counter)s"}, message


def test_the_compiled_catalogue_is_that_of_the_source() -> None:
    """Read with Python's own gettext: a newcomer has no msgfmt."""
    with CATALOGUE.with_suffix(".mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
    wanted = {}
    for context, message, said, _fuzzy in entries():
        key = f"{context}\x04{message}" if context else message
        plural = key in PLURALS
        for number, text in enumerate(said):
            wanted[(key, number) if plural else key] = text
    kept = {key: text for key, text in compiled.items() if key != ""}
    assert kept == wanted, "run `make messages`"


def test_the_catalogue_knows_every_message_of_the_source() -> None:
    known = {(context, message) for context, message, _said, _fuzzy in entries()}
    assert not sorted(set(spoken()) - known), "run `make messages` and translate"


def test_the_catalogue_holds_nothing_that_nobody_says() -> None:
    known = {(context, message) for context, message, _said, _fuzzy in entries()}
    assert not sorted(known - set(spoken()))


def spoken() -> Iterator[tuple[str, str]]:
    """(context, message) of everything that the code and the templates give to gettext."""
    for path in CODE:
        yield from _spoken_by(ast.parse(path.read_text()))
    for path in TEMPLATES:
        for call in CALLS.findall(templatize(path.read_text(), origin=str(path))):
            with contextlib.suppress(SyntaxError):
                yield from _spoken_by(ast.parse(call))


def _spoken_by(tree: ast.AST) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        name = node.func.id.removesuffix("_lazy")
        texts = [one.value for one in node.args if isinstance(one, ast.Constant)]
        if (
            name in {"_", "gettext", "gettext_noop", "ngettext"}
            and texts
            and isinstance(texts[0], str)
        ):
            yield "", texts[0]
        elif name in {"pgettext", "npgettext"} and len(texts) > 1:
            yield str(texts[0]), str(texts[1])


# --- Vendored files --------------------------------------------------------------------------


def test_vendored_files_are_those_that_the_readme_names() -> None:
    folder = ROOT / "static" / "vendor"
    table = re.findall(
        r"^\| (\S+) \| \S+ \| [\d.]+ \| \S+ \| ([0-9a-f]{64}) \|$",
        (folder / "README.md").read_text(),
        re.MULTILINE,
    )
    assert {name for name, _sum in table} == {
        str(path.relative_to(folder)) for path in folder.rglob("*.js")
    }
    for name, expected in table:
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == expected
