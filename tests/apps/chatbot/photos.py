"""Pictures as visitors send them: with a place, a time, a name and a comment in them."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

SECRET = b"Wang Fang, Beijing"
RED, BLUE = (200, 30, 30), (30, 30, 200)
MAKER, ORIENTATION, GPS = 0x010F, 0x0112, 0x8825


def photo(kind: str, *, orientation: int = 6, **options: Any) -> bytes:
    """40 by 20, its left half blue; turned as `orientation` says, it is 20 by 40 and its top is blue."""
    image = Image.new("RGB", (40, 20), RED)
    image.paste(BLUE, (0, 0, 20, 20))
    if kind == "gif":
        options["comment"] = SECRET
    else:
        exif = Image.Exif()
        exif[MAKER], exif[ORIENTATION] = SECRET.decode(), orientation
        exif.get_ifd(GPS).update({1: "N", 2: (39.0, 54.0, 20.0), 3: "E", 4: (116.0, 23.0, 29.0)})
        options["exif"] = exif
    if kind in ("jpeg", "webp"):
        options["xmp"] = b"<x:xmpmeta>" + SECRET + b"</x:xmpmeta>"
    if kind == "jpeg":
        options |= {"comment": SECRET, "quality": 92}
    if kind == "png":
        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_text("Author", SECRET.decode())
    return saved(image, kind, **options)


def film(kind: str) -> bytes:
    """Three frames of another colour each."""
    first, *others = (Image.new("RGB", (20, 20), (level, 0, 0)) for level in (10, 120, 250))
    more = {"comment": SECRET} if kind == "gif" else {}
    return saved(first, kind, save_all=True, append_images=others, duration=100, loop=0, **more)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    data = io.BytesIO()
    image.save(data, kind.upper(), **options)
    return data.getvalue()


def opened(data: bytes) -> Any:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def is_near(one: Any, other: Any) -> bool:
    return all(abs(a - b) < 12 for a, b in zip(one, other, strict=True))
