"""Cells that a spreadsheet would run as a formula, made into text, and made back.

Excel, LibreOffice and Google Sheets calculate a cell that begins with = + - or @ (their full-width
forms as well, in Chinese and Japanese editions) or hides such a beginning behind a tab or a line
end. An apostrophe in front makes it text. So that reading returns exactly what was written, cells
that already begin with apostrophes and then a trigger get one more.
"""

import re

_TRIGGERED = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
_GUARDED = re.compile(r"'+[=+\-@\t\r\n＝＋－＠]")


def guarded(cell: str) -> str:
    return f"'{cell}" if _TRIGGERED.match(cell) else cell


def unguarded(cell: str) -> str:
    return cell[1:] if _GUARDED.match(cell) else cell
