"""The widget speaks traditional Chinese too: each of its words, and what it refuses with."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.utils import translation
from django.utils.translation import gettext, pgettext

from apps.chatbot.models import Inbox
from apps.chatbot.widget.languages import language_for
from apps.chatbot.widget.pages import words
from tests.apps.chatbot.visitor import SITE, Browser

ROOT = Path(__file__).resolve().parents[3]
SOURCES = [
    *(ROOT / "apps" / "chatbot").rglob("*.py"),
    *(ROOT / "templates" / "chatbot" / "widget").glob("panel.html"),
]
SAID = re.compile(r'pgettext\(\s*"widget",\s*"([^"]+)"|translate "([^"]+)" context "widget"')
# The door's own refusals, and the reasons that a visitor chooses from.
WITHOUT_CONTEXT = re.compile(r'(?<!_)\b_\(\s*"([^"]+)"')


def test_every_word_of_the_widget_is_said_in_traditional_chinese() -> None:
    said = {
        one or other
        for path in SOURCES
        for one, other in SAID.findall(path.read_text(encoding="utf-8"))
    }
    assert len(said) > 40
    with translation.override("zh-hant"):
        assert [one for one in sorted(said) if pgettext("widget", one) == one] == []


def test_every_refusal_of_the_door_is_said_in_traditional_chinese() -> None:
    door = ROOT / "apps" / "chatbot" / "widget"
    files = [door / name for name in ("door.py", "errors.py", "views.py")]
    said = {one for path in files for one in WITHOUT_CONTEXT.findall(path.read_text())}
    with translation.override("zh-hant"):
        assert [one for one in sorted(said) if gettext(one) == one] == []


def test_the_words_are_three_languages_and_not_two() -> None:
    told = []
    for language in ("en", "zh-hans", "zh-hant"):
        with translation.override(language):
            told.append(words())
    assert told[0]["person"] == "I would like to talk to a person."
    assert told[2]["person"] == "我想和真人客服對話。"
    assert told[1]["person"] != told[2]["person"]
    assert told[2]["reasons"]["wrong"] == "內容有誤"


@pytest.mark.parametrize(
    ("wanted", "spoken"),
    [
        ("zh-TW", "zh-hant"), ("zh-HK", "zh-hant"), ("zh-Hant", "zh-hant"), ("zh-CN", "zh-hans"),
        ("zh", "zh-hans"), ("en-GB", "en"), ("de", "en"), ("", "en"), ("\u0000", "en"),
    ],
)  # fmt: skip
def test_the_nearest_language_is_spoken(wanted: str, spoken: str) -> None:
    assert language_for(wanted) == spoken


@pytest.mark.django_db
def test_panel_and_refusals_are_in_the_language_of_the_page(browser: Browser, inbox: Inbox) -> None:
    page = browser.client.get(
        "/widget/panel/", {"key": inbox.key, "language": "zh-TW"}, HTTP_ORIGIN=SITE
    ).content.decode()
    assert '<html lang="zh-TW">' in page
    assert "轉接真人" in page
    browser.client.defaults["HTTP_ACCEPT_LANGUAGE"] = "zh-TW,zh;q=0.9"
    assert browser.say("  ").json()["detail"] == "請先輸入內容。"
