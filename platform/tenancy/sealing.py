"""What must be read again and never lie open: sealed under a key that is made from the site's.

Whoever has the database alone reads nothing. `PARLEY_SECRET_KEY` must be kept with a backup; an
older one in `SECRET_KEY_FALLBACKS` still opens what it sealed.
"""

import base64
import hashlib
import hmac

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


class SealError(Exception):
    """Sealed under another key, for another purpose, or changed since."""


def seal(content: bytes, *, purpose: str) -> str:
    """The content, readable again by `unseal` with the same purpose alone."""
    return _box(purpose).encrypt(content).decode("ascii")


def unseal(sealed: str, *, purpose: str) -> bytes:
    """What was sealed. Raises SealError."""
    try:
        return _box(purpose).decrypt(sealed.encode("ascii"))
    except (InvalidToken, UnicodeEncodeError):
        raise SealError(purpose.partition(":")[0]) from None


def _box(purpose: str) -> MultiFernet:
    site_keys = [str(key) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)]
    return MultiFernet([Fernet(_key(site_key, purpose)) for site_key in site_keys])


def _key(site_key: str, purpose: str) -> bytes:
    made = hmac.digest(site_key.encode(), f"parley.sealing:{purpose}".encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(made)
