"""Chance that can be drawn again: the same ids always draw the same lot."""

from __future__ import annotations

import hashlib

SIZE = 2**64


def lot(*ids: bytes) -> int:
    """Even over 0 .. SIZE - 1."""
    return int.from_bytes(hashlib.sha256(b"".join(ids)).digest()[:8], "big")
