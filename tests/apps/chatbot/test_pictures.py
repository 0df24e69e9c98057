"""A picture loses what its camera wrote into it before anybody else gets it, and looks as before."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from PIL import Image

from apps.chatbot import pictures, services
from apps.chatbot.file_types import fault_of, kind_of
from apps.chatbot.models import Attachment
from apps.chatbot.pictures import PictureError, without_metadata
from apps.chatbot.services import attachments
from tenancy.scope import system_scope
from tests.apps.chatbot.photos import (
    BLUE,
    GPS,
    RED,
    SECRET,
    film,
    is_near,
    opened,
    photo,
    saved,
)
from tests.apps.chatbot.test_attachments import PNG, check, conversation, home, upload
from tests.apps.chatbot.visitor import Browser

__all__ = ["conversation", "home"]
KEPT_OF_A_FORMAT = {
    "jfif", "jfif_version", "jfif_unit", "jfif_density", "version", "background", "duration",
    "timestamp", "loop", "icc_profile", "default_image", "extension", "transparency", "blend",
    "disposal", "bbox",
}  # fmt: skip


@pytest.mark.parametrize("kind", pictures.KINDS)
def test_nothing_is_left_of_place_time_camera_and_comments(kind: str) -> None:
    sent = photo(kind)
    assert SECRET in sent
    plain = without_metadata(kind, sent)
    assert SECRET not in plain
    for mark in (b"Exif", b"EXIF", b"eXIf", b"xmp", b"XMP", b"tEXt", b"iTXt", b"zTXt"):
        assert mark not in plain
    image = opened(plain)
    assert not dict(image.getexif())
    assert not image.getexif().get_ifd(GPS)
    assert set(image.info) <= KEPT_OF_A_FORMAT
    assert (kind_of(plain), fault_of(kind, plain)) == (kind, "")


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_it_stands_as_it_was_meant_to(kind: str, orientation: int) -> None:
    image = opened(without_metadata(kind, photo(kind, orientation=orientation))).convert("RGB")
    wide = orientation < 5
    assert image.size == ((40, 20) if wide else (20, 40))
    first = image.getpixel((3, 3))
    last = image.getpixel((image.width - 4, image.height - 4))
    turned = orientation in (2, 3, 7, 8)
    assert is_near(first, RED if turned else BLUE)
    assert is_near(last, BLUE if turned else RED)


@pytest.mark.parametrize("kind", ["png", "gif", "webp"])
def test_a_film_keeps_its_frames(kind: str) -> None:
    plain = without_metadata(kind, film(kind))
    assert SECRET not in plain
    image = opened(plain)
    assert image.n_frames == 3
    levels = []
    for number in range(3):
        image.seek(number)
        levels.append(image.convert("RGB").getpixel((5, 5))[0])
    assert is_near(levels, (10, 120, 250))


def test_the_colours_keep_their_profile_and_transparency_stays() -> None:
    profile = b"a profile of colours"
    image = Image.new("RGBA", (8, 8), (*RED, 0))
    plain = opened(without_metadata("png", saved(image, "png", icc_profile=profile)))
    assert plain.info["icc_profile"] == profile
    assert plain.getpixel((0, 0)) == (*RED, 0)
    jpeg = saved(image.convert("RGB"), "jpeg", icc_profile=profile)
    assert opened(without_metadata("jpeg", jpeg)).info["icc_profile"] == profile


def test_of_a_phones_photo_with_others_behind_it_the_first_is_kept() -> None:
    first, second = Image.new("RGB", (16, 16), RED), Image.new("RGB", (16, 16), BLUE)
    sent = saved(first, "mpo", save_all=True, append_images=[second])
    assert kind_of(sent) == "jpeg"
    image = opened(without_metadata("jpeg", sent))
    assert image.format == "JPEG"
    assert is_near(image.getpixel((8, 8)), RED)


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGB"])
def test_every_kind_of_jpeg_comes_out_as_it_went_in(mode: str) -> None:
    sent = saved(Image.new("RGB", (16, 16), RED).convert(mode), "jpeg", quality=60)
    image = opened(without_metadata("jpeg", sent))
    assert image.mode == mode
    assert image.quantization == opened(sent).quantization
    assert abs(len(saved(image, "jpeg", quality=60)) - len(sent)) < 64


@pytest.mark.parametrize("kind", pictures.KINDS)
def test_what_cannot_be_drawn_is_broken(kind: str) -> None:
    whole = photo(kind)
    for cut in (whole[: len(whole) // 2], whole[:16], b""):
        with pytest.raises(PictureError) as refused:
            without_metadata(kind, cut)
        assert refused.value.fault == f"{kind}_broken"


def test_a_picture_that_would_unpack_to_too_much_is_refused_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent, moving = photo("png"), film("gif")
    monkeypatch.setattr(pictures, "MOST_PIXELS", 40 * 20)
    assert without_metadata("png", sent)
    for kind, data in (("gif", moving), ("png", saved(Image.new("L", (801, 1)), "png"))):
        with pytest.raises(PictureError) as refused:
            without_metadata(kind, data)
        assert refused.value.fault == "image_too_large"


# --- On its way ----------------------------------------------------------------------------------


def kept() -> Attachment:
    with system_scope("test"):
        return Attachment.objects.get()


@pytest.mark.django_db
@pytest.mark.parametrize("kind", pictures.KINDS)
def test_nobody_is_given_the_metadata_of_a_picture(
    browser: Browser, conversation: str, kind: str
) -> None:
    data = photo(kind)
    file = upload(browser, data, "北京的照片.jpg", conversation=conversation).json()["file"]
    check()
    got = browser.post("file", file=file)
    assert got.status_code == 200
    assert SECRET not in got.content
    assert not dict(opened(got.content).getexif())
    assert kept().size == len(got.content)
    assert SECRET not in kept().path.read_bytes(), "and it does not lie there either"


@pytest.mark.django_db
def test_a_repeat_is_known_by_what_was_sent(browser: Browser, conversation: str) -> None:
    sent = {"conversation": conversation, "client_id": str(uuid.uuid4())}
    first = upload(browser, photo("jpeg"), **sent)
    check()
    assert upload(browser, photo("jpeg"), **sent).json() == first.json()
    plain = kept().path.read_bytes()
    assert upload(browser, plain, **sent).status_code == 409
    assert upload(browser, PNG, **sent).status_code == 409


@pytest.mark.django_db
@pytest.mark.parametrize("is_written", [True, False])
def test_who_looks_after_somebody_who_was_killed_ends_what_was_begun(
    browser: Browser, conversation: str, is_written: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(browser, photo("jpeg"), conversation=conversation)

    def killed(path: Any, data: bytes) -> None:
        if is_written:
            write(path, data)
        raise KeyboardInterrupt

    write = attachments._write
    monkeypatch.setattr(attachments, "_write", killed)
    with pytest.raises(KeyboardInterrupt):
        check()
    assert kept().state == Attachment.State.WAITING
    monkeypatch.undo()
    check()
    assert kept().state == Attachment.State.CLEAN
    assert SECRET not in kept().path.read_bytes()


@pytest.mark.django_db
def test_a_picture_that_is_none_keeps_no_other_waiting(browser: Browser, conversation: str) -> None:
    broken = b"\xff\xd8\xff\xe0" + b"\x00" * 20 + b"\xff\xd9"
    bad = upload(browser, broken, conversation=conversation).json()["file"]
    good = upload(browser, photo("jpeg"), conversation=conversation).json()["file"]
    with system_scope("test"):
        assert services.check_attachments() == 2
        faults = dict(Attachment.objects.values_list("pk", "fault"))
    assert {str(key): fault for key, fault in faults.items()} == {bad: "jpeg_broken", good: ""}
