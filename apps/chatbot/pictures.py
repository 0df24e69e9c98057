"""A picture without what its camera wrote beside it: where it was taken, when, by whom, with what.

Only a worker does this, for a picture has to be unpacked: hostile ones are bounded by their pixels
before that. What is drawn anew carries nothing that we did not write.
"""

from __future__ import annotations

import io
from typing import Any

from PIL import Image, ImageOps, JpegImagePlugin

KINDS = ("png", "jpeg", "gif", "webp")
# All frames together. The largest photos of phones have 48 million.
MOST_PIXELS = 50_000_000


class PictureError(Exception):
    """It cannot be drawn. `fault` says why."""

    def __init__(self, fault: str) -> None:
        super().__init__(fault)
        self.fault = fault


def without_metadata(kind: str, data: bytes) -> bytes:
    """The same picture, upright, in the same format: pixels, frames and the profile of its colours,
    which is part of how it looks. Raises PictureError."""
    try:
        with Image.open(io.BytesIO(data), formats=[kind.upper()]) as image:
            # Behind a phone's photo may stand others, of its depth or light. It is the first.
            frames = 1 if kind == "jpeg" else getattr(image, "n_frames", 1)
            if image.width * image.height * frames > MOST_PIXELS:
                raise PictureError("image_too_large")
            return _drawn(kind, image, animated=frames > 1, lossless=b"VP8L" in data)
    except PictureError:
        raise
    except Exception:
        # Whatever the decoder trips over: one file must not keep the others waiting.
        raise PictureError(f"{kind}_broken") from None


def _drawn(kind: str, image: Any, *, animated: bool, lossless: bool) -> bytes:
    options: dict[str, Any] = {"icc_profile": image.info.get("icc_profile"), "comment": b""}
    if animated:
        options["save_all"] = True
    else:
        ImageOps.exif_transpose(image, in_place=True)
    if kind == "jpeg":
        # With the tables that it had, so that it hardly loses anything.
        options["qtables"] = image.quantization
        options["subsampling"] = JpegImagePlugin.get_sampling(image)
    elif kind == "webp":
        options |= {"lossless": lossless, "quality": 90}
    drawn = io.BytesIO()
    image.save(drawn, kind.upper(), **options)
    return drawn.getvalue()
