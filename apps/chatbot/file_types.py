"""What a file is, by its bytes: what people call it, and what a browser says of it, counts for nothing.

Nothing is unpacked and nothing drawn here, so that no file can make us work more than it is long.
"""

from __future__ import annotations

TYPES = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "pdf": "application/pdf",
    "txt": "text/plain; charset=utf-8",
}
_MARKUP = (b"<!", b"<?", b"<html", b"<svg", b"<script", b"<head", b"<body", b"<iframe", b"<math")
# What a PDF does by itself when it is opened, or carries along.
_ACTIVE = (b"/JavaScript", b"/JS", b"/Launch", b"/EmbeddedFile", b"/OpenAction", b"/XFA")
_PNG = b"\x89PNG\r\n\x1a\n"


def kind_of(data: bytes) -> str | None:
    """One of TYPES by how it begins; None for anything else."""
    if data.startswith(_PNG):
        return "png"
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data.startswith(b"%PDF-"):
        return "pdf"
    return "txt" if _is_text(data) else None


def fault_of(kind: str, data: bytes) -> str:
    """Why it is not what it says, by the whole of it; "" where it is. A second file behind or in the
    first is the trick of most that are hostile."""
    match kind:
        case "png":
            return "" if _png_ends(data) else "png_broken"
        case "jpeg":
            return "" if data.endswith(b"\xff\xd9") else "jpeg_broken"
        case "gif":
            return "" if data.endswith(b"\x3b") else "gif_broken"
        case "webp":
            size = int.from_bytes(data[4:8], "little")
            return "" if len(data) == size + 8 + size % 2 else "webp_broken"
        case "pdf":
            if b"%%EOF" not in data[-1024:]:
                return "pdf_broken"
            return "pdf_active" if any(one in data for one in _ACTIVE) else ""
        case "txt":
            return "" if _is_text(data) else "text_broken"
    return "unknown"


def _png_ends(data: bytes) -> bool:
    """Chunk by chunk from the first to IEND, with nothing behind it."""
    at = len(_PNG)
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        name = data[at + 4 : at + 8]
        at += 12 + length
        if name == b"IEND":
            return at == len(data)
    return False


def _is_text(data: bytes) -> bool:
    """UTF-8 or GB18030 without control characters, and no markup, however it is called."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        try:
            text = data.decode("gb18030")
        except UnicodeDecodeError:
            return False
    if not text.strip() or any(ord(one) < 32 and one not in "\t\r\n\f" for one in text):
        return False
    start = text[:4096].lower().encode("utf-8", "replace")
    return not any(one in start for one in _MARKUP)
