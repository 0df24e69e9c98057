"""A body that came in chunks has a length once it is read.

Django and REST framework take a request without Content-Length for one without a body. Programs that
send a stream, as OpenAI's Node client does with a file, announce none: Transfer-Encoding is chunked.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import IO, Any

from django.core.handlers.asgi import ASGIHandler


class MeasuringHandler(ASGIHandler):
    """Django's own, which knows how long every body is."""

    def create_request(self, scope: Mapping[str, Any], body_file: IO[bytes]) -> Any:
        if not any(name == b"content-length" for name, _value in scope["headers"]):
            size = body_file.seek(0, os.SEEK_END)
            body_file.seek(0)
            length = (b"content-length", str(size).encode())
            scope = {**scope, "headers": [*scope["headers"], length]}
        return super().create_request(scope, body_file)
