"""Files of visitors: what they are is judged by their bytes, and nobody is ever shown one as a page."""

from __future__ import annotations

import json
import os
import struct
import time
import uuid
import zlib
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client

from apps.chatbot import services
from apps.chatbot.file_types import fault_of, kind_of
from apps.chatbot.models import Attachment, Contact, Conversation, Inbox
from apps.chatbot.pictures import KINDS, without_metadata
from apps.chatbot.services import attachments
from tenancy.models import Tenant
from tenancy.scope import system_scope
from tests.apps.chatbot.photos import photo
from tests.apps.chatbot.test_widget import FOREIGN_ORIGINS
from tests.apps.chatbot.visitor import Browser
from tests.factories import make_member

pytestmark = pytest.mark.django_db


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


PNG = (
    b"\x89PNG\r\n\x1a\n"
    + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    + chunk(b"IDAT", zlib.compress(b"\x00\x00"))
    + chunk(b"IEND", b"")
)
GIF, JPEG, WEBP = photo("gif"), photo("jpeg"), photo("webp")
PDF = b"%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n"
SCRIPT = b"<script>alert(document.domain)</script>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'
GOOD = {
    "png": PNG, "gif": GIF, "jpeg": JPEG, "webp": WEBP, "pdf": PDF,
    "txt": "您好，附上说明。".encode(),
}  # fmt: skip
# Refused at once: what begins as nothing that is taken.
NOTHING_TAKEN = {
    "svg": SVG,
    "svg-behind-a-comment": b"<!-- -->" + SVG,
    "svg-behind-words": "说明\n".encode() + SVG,
    "svg-with-a-mark": b"\xef\xbb\xbf" + SVG,
    "html": b"<!doctype html>" + SCRIPT,
    "html-in-capitals": b"  <HTML><SCRIPT>alert(1)</SCRIPT>",
    "html-wide": ("<script>".encode("utf-16") + SCRIPT),
    "xml": b"<?xml version='1.0'?><x/>",
    "zip": b"PK\x03\x04" + b"\x00" * 40,
    "executable": b"MZ\x90\x00",
    "elf": b"\x7fELF\x02\x01",
    "gzip": b"\x1f\x8b\x08\x00",
    "nul": b"a\x00b",
    "blank": b" \n ",
    "escape": b"\x1b]0;x\x07",
}
# Taken, and refused by who looks at the whole.
NOT_WHAT_IT_SAYS = {
    "png-with-html-behind": PNG + SCRIPT,
    "png-with-zip-behind": PNG + b"PK\x03\x04",
    "png-cut": PNG[:-4],
    "png-with-a-long-chunk": PNG[:8] + struct.pack(">I", 0xFFFFFFFF) + PNG[12:],
    "png-name-alone": b"\x89PNG\r\n\x1a\n" + SCRIPT,
    "gif-with-script": b"GIF89a=1;" + SCRIPT,
    "jpeg-with-html-behind": JPEG + SCRIPT,
    "webp-with-more": WEBP + SCRIPT,
    "pdf-with-script": PDF.replace(b"<<>>", b"<</JS(app.alert(1))>>", 1),
    "pdf-that-launches": PDF.replace(b"<<>>", b"<</Launch 1>>", 1),
    "pdf-without-end": PDF[:20] + b"\n" * 2000,
}


@pytest.fixture(autouse=True)
def home(settings: Any, tmp_path: Any) -> None:
    settings.PARLEY_HOME = tmp_path


def upload(browser: Browser, data: bytes, name: str = "照片.png", **asked: Any) -> Any:
    known = {"conversation": asked.pop("conversation", None) or "", "name": name}
    known = {"client_id": str(uuid.uuid4())} | known | asked
    return browser.client.post(
        "/widget/v1/files/",
        data,
        content_type="application/octet-stream",
        HTTP_ORIGIN=browser.origin,
        HTTP_AUTHORIZATION=f"Bearer {browser.access}",
        HTTP_X_PARLEY_FILE=quote(json.dumps(known)),
        # The client leaves it out where there is no body.
        CONTENT_TYPE="application/octet-stream",
    )


@pytest.fixture
def conversation(browser: Browser) -> str:
    return str(browser.say().json()["conversation"])


def check() -> None:
    with system_scope("test"):
        services.check_attachments()


@pytest.mark.parametrize("kind", GOOD)
def test_a_file_is_kept_checked_and_handed_out_as_a_download(
    browser: Browser, conversation: str, kind: str, tenant: Tenant
) -> None:
    sent = upload(browser, GOOD[kind], "../../照片\u202egnp.exe", conversation=conversation)
    assert sent.status_code == 202
    file = sent.json()["file"]
    assert browser.post("file", file=file).json()["code"] == "file_waiting"
    check()
    got = browser.post("file", file=file)
    given = without_metadata(kind, GOOD[kind]) if kind in KINDS else GOOD[kind]
    assert got.content == given
    member = Client()
    member.force_login(make_member(tenant, "viewer"))
    seen = member.post(f"/t/{tenant.slug}/desk/files/{file}/")
    assert seen.content == given
    for response in (got, seen):
        assert response["Content-Disposition"].startswith("attachment; ")
        assert response["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in response["Content-Security-Policy"]
        assert "default-src 'none'" in response["Content-Security-Policy"]
        assert not response["Content-Type"].startswith(("text/html", "image/svg"))
    with system_scope("test"):
        kept = Attachment.objects.get()
        assert Conversation.objects.get().owner == "people"
    assert kept.name == "照片gnp.exe"
    assert kept.path.parent.name == str(tenant.pk)
    heard = browser.post("events", conversation=conversation, after=0, wait=0).json()["events"]
    files = [one["message"]["file"] for one in heard if "file" in one.get("message", {})]
    assert files == [{"id": file, "name": kept.name, "size": len(given)}]
    page = member.get(f"/t/{tenant.slug}/desk/{conversation}/").content.decode()
    assert f"/desk/files/{file}/" in page


@pytest.mark.parametrize("name", NOTHING_TAKEN)
def test_what_is_no_image_pdf_or_text_is_refused_whatever_it_is_called(
    browser: Browser, conversation: str, name: str
) -> None:
    refused = upload(browser, NOTHING_TAKEN[name], "照片.png", conversation=conversation)
    assert (refused.status_code, refused.json()["code"]) == (415, "file_type_refused")
    with system_scope("test"):
        assert not Attachment.objects.exists()


@pytest.mark.parametrize("name", NOT_WHAT_IT_SAYS)
def test_a_file_with_a_second_face_is_given_to_nobody(
    browser: Browser, conversation: str, name: str, tenant: Tenant
) -> None:
    data = NOT_WHAT_IT_SAYS[name]
    kind = kind_of(data)
    assert kind
    assert fault_of(kind, data)
    file = upload(browser, data, conversation=conversation).json()["file"]
    check()
    assert browser.post("file", file=file).status_code == 404
    member = Client()
    member.force_login(make_member(tenant, "owner"))
    assert member.post(f"/t/{tenant.slug}/desk/files/{file}/").status_code == 404
    with system_scope("test"):
        assert not Attachment.objects.get().path.exists()


def test_size_and_number_are_limited(
    browser: Browser, conversation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert upload(browser, b"", conversation=conversation).json()["code"] == "file_empty"
    monkeypatch.setattr(attachments, "MOST_BYTES", 40)
    large = upload(browser, PNG, conversation=conversation)
    assert (large.status_code, large.json()["code"]) == (413, "file_too_large")
    monkeypatch.setattr(attachments, "MOST_FILES", 2)
    text = "您好".encode()
    codes = [upload(browser, text, conversation=conversation).status_code for _number in range(3)]
    assert codes == [202, 202, 400]


def test_the_same_send_is_the_same_file(browser: Browser, conversation: str) -> None:
    sent = {"conversation": conversation, "client_id": str(uuid.uuid4())}
    first, again = upload(browser, PNG, **sent), upload(browser, PNG, **sent)
    assert first.json() == again.json()
    assert upload(browser, GIF, **sent).status_code == 409


def test_nobody_else_sends_or_fetches(browser: Browser, conversation: str, inbox: Inbox) -> None:
    file = upload(browser, PNG, conversation=conversation).json()["file"]
    check()
    other = Browser(inbox)
    other.enter()
    other.say()
    assert other.post("file", file=file).status_code == 404
    assert upload(other, PNG, conversation=conversation).status_code == 404
    for origin in FOREIGN_ORIGINS:
        stranger = Browser(inbox, origin, browser.access)
        assert upload(stranger, PNG, conversation=conversation).status_code == 403
        assert stranger.post("file", file=file).status_code == 403
    forged = Browser(inbox, access="x")
    assert upload(forged, PNG, conversation=conversation).status_code == 401


def test_what_is_erased_leaves_no_file_behind(browser: Browser, conversation: str) -> None:
    upload(browser, PNG, conversation=conversation)
    with system_scope("test"):
        path = Attachment.objects.get().path
        assert services.forget_attachments() == 0
        Contact.objects.all().delete()
        assert services.forget_attachments() == 0, "it may be new, and its row not yet committed"
        os.utime(path, (time.time() - 120, time.time() - 120))
        assert services.forget_attachments() == 1
    assert not path.exists()


@pytest.mark.parametrize("header", ["", "x", "[]", "1", "%00", "{", quote('{"name": {}}')])
def test_an_odd_header_is_refused(browser: Browser, header: str) -> None:
    response = browser.client.post(
        "/widget/v1/files/", PNG, content_type="application/octet-stream", HTTP_X_PARLEY_FILE=header,
        HTTP_ORIGIN=browser.origin, HTTP_AUTHORIZATION=f"Bearer {browser.access}",
    )  # fmt: skip
    assert 400 <= response.status_code < 500
    assert browser.post("files", file="x").status_code == 415
