"""The lists of words beside the rules: one file each, words with blanks between them."""

from pathlib import Path


def word_list(filename: str) -> frozenset[str]:
    folder = Path(__file__).with_name("lists")
    return frozenset((folder / filename).read_text(encoding="utf-8").split())
