"""Articles out of files: Markdown, HTML, plain text and PDF hold one each, a table one a row."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePath

from django.utils.translation import gettext as _
from markdownify import markdownify
from pypdf import PdfReader
from pypdf.errors import PyPdfError

from common.errors import ApplicationError
from common.html import plain_html
from labeling.readers.encodings import EncodingError, sniff

MOST_BYTES = 5_000_000
MOST_ROWS = 2_000
MOST_PAGES = 300
KINDS = (".md", ".markdown", ".html", ".htm", ".txt", ".csv", ".tsv", ".pdf")

# What a column is called that holds this, in lower case.
_COLUMNS = {
    "title": {"title", "question", "subject", "q", "标题", "问题", "问", "主题"},
    "body": {"body", "answer", "text", "content", "a", "正文", "内容", "答案", "回答", "答"},
    "language": {"language", "lang", "locale", "语言"},
}
_HEADING = re.compile(r"\A\s*#\s+(.+?)\s*#*\s*(?:\n|\Z)")
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,5})?\Z")
# Tabs and line ends aside, no text holds these; a file full of them is none.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f]")


@dataclass(frozen=True)
class Text:
    """An article before it is written. `line` is where it begins in a table, 0 elsewhere; without a
    `language` it is in the one that was named for the file."""

    title: str
    body: str
    language: str = ""
    line: int = 0


@dataclass
class FileTexts:
    """What a file holds, and what is wrong with which of its lines."""

    texts: list[Text] = field(default_factory=list)
    faults: list[tuple[int, str]] = field(default_factory=list)


def read_articles(*, name: str, data: bytes) -> FileTexts:
    """Every article of a file. Raises ApplicationError where the file as a whole cannot be read:
    file_too_large, file_kind_unknown, file_not_text, pdf_unreadable, pdf_without_text,
    too_many_pages, columns_unknown, too_many_rows."""
    kind = PurePath(name).suffix.lower()
    if len(data) > MOST_BYTES:
        raise ApplicationError(
            "file_too_large", _("At most %(most)d MB a file.") % {"most": MOST_BYTES // 1_000_000}
        )
    if kind not in KINDS:
        raise ApplicationError(
            "file_kind_unknown",
            _("Only these are read: %(kinds)s.") % {"kinds": ", ".join(KINDS)},
        )
    usual = PurePath(name).stem.strip() or name
    if kind == ".pdf":
        return FileTexts([_pdf(data, usual)])
    text = _decoded(data)
    if kind in {".csv", ".tsv"}:
        return _table(text)
    if kind in {".html", ".htm"}:
        return FileTexts([_html(text, usual)])
    return FileTexts([_markdown(text, usual) if kind != ".txt" else Text(usual, text.strip())])


def _decoded(data: bytes) -> str:
    """UTF-8, UTF-16 or GB18030, as a whole or not at all."""
    try:
        encoding = sniff(io.BytesIO(data))
        text = data[encoding.mark :].decode(encoding.name)
    except (EncodingError, UnicodeDecodeError):
        text = "\x00"
    if _CONTROL.search(text):
        raise ApplicationError(
            "file_not_text",
            _("This is no text. Save it as UTF-8; UTF-16 and GB18030 are read too."),
        )
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _markdown(text: str, usual: str) -> Text:
    """The first heading is the title, where the text begins with one."""
    match = _HEADING.match(text)
    if match is None:
        return Text(usual, text.strip())
    return Text(match[1], text[match.end() :].strip())


def _html(text: str, usual: str) -> Text:
    """Cleaned first, so that nothing in it but words and their order comes through."""
    named = _TITLE.search(text)
    body = _TITLE.sub("", text)
    markdown = markdownify(plain_html(body), heading_style="ATX", bullets="-").strip()
    found = _markdown(re.sub(r"\n{3,}", "\n\n", markdown), "")
    title = found.title or (markdownify(plain_html(named[1])).strip() if named else "")
    return Text(" ".join(title.split()) or usual, found.body)


def _pdf(data: bytes, usual: str) -> Text:
    broken = ApplicationError(
        "pdf_unreadable", _("This PDF cannot be read, or asks for a password.")
    )
    try:
        reader = PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise broken
        if len(reader.pages) > MOST_PAGES:
            raise ApplicationError(
                "too_many_pages", _("At most %(most)d pages a PDF.") % {"most": MOST_PAGES}
            )
        pages = [page.extract_text().strip() for page in reader.pages]
        title = str(reader.metadata.title or "") if reader.metadata else ""
    except ApplicationError:
        raise
    # A damaged file makes the library fail in every way there is.
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError,
            OSError, NotImplementedError, ZeroDivisionError, OverflowError) as error:  # fmt: skip
        raise broken from error
    body = _CONTROL.sub("", "\n\n".join(page for page in pages if page))
    if not body.strip():
        raise ApplicationError(
            "pdf_without_text",
            _("This PDF holds pictures and no text. Have its text recognised first."),
        )
    return Text(" ".join(_CONTROL.sub("", title).split()) or usual, body)


def _table(text: str) -> FileTexts:
    lines = text.splitlines(keepends=True)
    rows = csv.reader(lines, delimiter=_delimiter(lines[0] if lines else ""))
    found = FileTexts()
    try:
        places = _places(next(rows, []))
        for line, cells in _numbered(rows):
            if not any(cell.strip() for cell in cells):
                continue
            if len(found.texts) == MOST_ROWS:
                raise ApplicationError(
                    "too_many_rows", _("At most %(most)d rows a table.") % {"most": MOST_ROWS}
                )
            _take(found, line, {name: _cell(cells, at) for name, at in places.items()})
    except csv.Error:
        found.faults.append((rows.line_num, _("A cell is longer than any text, or has no end.")))
    return found


def _take(found: FileTexts, line: int, row: dict[str, str]) -> None:
    language = row.get("language", "")
    if not row["title"] or not row["body"]:
        found.faults.append((line, _("The title or the text is empty.")))
    elif language and not _LANGUAGE.match(language):
        found.faults.append((line, _("The language is no code such as en or zh.")))
    else:
        found.texts.append(Text(row["title"], row["body"], language, line))


def _numbered(rows: Iterable[list[str]]) -> Iterator[tuple[int, list[str]]]:
    """Each record with the line that it begins on; a cell may go over several."""
    before = rows.line_num  # type: ignore[attr-defined]
    for cells in rows:
        yield before + 1, cells
        before = rows.line_num  # type: ignore[attr-defined]


def _places(header: list[str]) -> dict[str, int]:
    names = [cell.strip().lower() for cell in header]
    places = {
        meaning: at
        for meaning, known in _COLUMNS.items()
        for at, name in enumerate(names)
        if name in known
    }
    if not {"title", "body"} <= set(places):
        raise ApplicationError(
            "columns_unknown",
            _(
                "The first line must name the columns: title and body, question and answer, 问题 and 答案."
            ),
        )
    return places


def _delimiter(header: str) -> str:
    return max(",\t;", key=header.count)


def _cell(cells: list[str], at: int) -> str:
    return cells[at].strip() if at < len(cells) else ""
