"""A body is read whether or not its length was announced."""

from __future__ import annotations

import io
from typing import Any

import pytest

from config.body_length import MeasuringHandler

FORM = (
    '--b\r\nContent-Disposition: form-data; name="file"; filename="客服.jsonl"\r\n'
    'Content-Type: application/octet-stream\r\n\r\n{"问": "在吗"}\n\r\n'
    '--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n--b--\r\n'
).encode()
ANNOUNCED = (b"content-length", str(len(FORM)).encode())


def request_of(body: bytes, *headers: tuple[bytes, bytes]) -> Any:
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/files",
        "query_string": b"",
        "headers": [(b"content-type", b"multipart/form-data; boundary=b"), *headers],
    }
    request, refusal = MeasuringHandler().create_request(scope, io.BytesIO(body))
    assert refusal is None
    return request


@pytest.mark.parametrize("headers", [[], [(b"transfer-encoding", b"chunked")], [ANNOUNCED]])
def test_a_form_is_read_however_it_came(headers: list[tuple[bytes, bytes]]) -> None:
    request = request_of(FORM, *headers)
    assert request.POST.dict() == {"purpose": "fine-tune"}
    file = request.FILES["file"]
    assert (file.name, file.read().decode()) == ("客服.jsonl", '{"问": "在吗"}\n')


def test_nothing_is_no_body() -> None:
    request = request_of(b"")
    assert (request.META["CONTENT_LENGTH"], request.body) == ("0", b"")
