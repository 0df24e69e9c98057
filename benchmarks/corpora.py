"""Real knowledge to measure on, from packages: fetched when it is wanted, never kept in the project."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import tempfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

QUESTIONS = Path(__file__).parent / "questions"
DEBIAN = {
    "en": ("debian-faq", "debian-faq.en.txt.gz"),
    "zh": ("debian-faq-zh-cn", "debian-faq.zh-cn.txt.gz"),
}
_SECTION = re.compile(r"^\s*(\d+\.\d+(?:\.\d+)?)\.\s+(\S.*)$")


@dataclass(frozen=True)
class Entry:
    """One article: the id that questions name, its title and its text."""

    id: str
    title: str
    body: str


class CorpusMissingError(Exception):
    """The package cannot be had here."""


def zaragoza() -> list[Entry]:
    """503 questions and answers of a construction company (CC BY 4.0)."""
    data = resources.files("zaragoza_construction_faq") / "data" / "faq-en.jsonl"
    rows = [json.loads(line) for line in data.read_text(encoding="utf-8").splitlines() if line]
    return [Entry(row["id"], row["q"], row["a"]) for row in rows]


def debian(language: str) -> list[Entry]:
    """The numbered sections of Debian's FAQ, parallel in English ("en") and Chinese ("zh")."""
    package, name = DEBIAN[language]
    with tempfile.TemporaryDirectory() as folder:
        try:
            subprocess.run(
                ["apt-get", "download", package],
                cwd=folder, check=True, capture_output=True, timeout=120,
            )  # fmt: skip
            archive = next(Path(folder).glob("*.deb"))
            subprocess.run(["dpkg-deb", "-x", str(archive), folder], check=True, timeout=60)
        except (OSError, StopIteration, subprocess.SubprocessError) as error:
            raise CorpusMissingError(f"{package} cannot be fetched: {error}") from error
        text = next(Path(folder).rglob(name))
        return _sections(gzip.decompress(text.read_bytes()).decode("utf-8"))


def _sections(text: str) -> list[Entry]:
    """The table of contents names each section first, indented; the text stands under the second."""
    found: dict[str, list[str]] = {}
    titles: dict[str, str] = {}
    current = ""
    in_title = False
    for line in text.splitlines():
        match = _SECTION.match(line)
        if match and not line.startswith(" "):
            current, in_title = match.group(1), True
            titles[current], found[current] = match.group(2).strip(), []
        elif current:
            if not line.strip():
                in_title = False
            elif in_title and not line.startswith(" "):
                # A title that goes on in the next line.
                titles[current] += (
                    "" if re.search(r"[\u4e00-\u9fff]$", titles[current]) else " "
                ) + line.strip()
                continue
            found[current].append(line.strip())
    return [
        Entry(number, titles[number], _paragraphs(lines))
        for number, lines in found.items()
        if any(lines)
    ]


def _paragraphs(lines: list[str]) -> str:
    blocks = "\n".join(lines).strip().split("\n\n")
    joined = []
    for block in blocks:
        glue = "" if re.search(r"[\u4e00-\u9fff]", block) else " "
        joined.append(glue.join(block.split("\n")))
    return "\n\n".join(joined)


def questions(name: str) -> list[tuple[str, str]]:
    """(id or language, question) of one of the sets that were written for measuring and for nothing
    else: no threshold and no weight was ever chosen on them."""
    lines = (QUESTIONS / f"{name}.tsv").read_text(encoding="utf-8").splitlines()
    return [tuple(line.split("\t", 1)) for line in lines if line]  # type: ignore[misc]
