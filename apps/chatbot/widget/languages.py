"""The languages that the widget speaks: one more than the portal, zh-hant.

Its words stand in the locale folder as others do; it is no choice of the site's own (LANGUAGES),
because nothing but the widget is said in it.
"""

from __future__ import annotations

from django.http import HttpRequest

# What a visitor's browser may ask for -> the language that the panel speaks.
LANGUAGES = {
    "zh-tw": "zh-hant",
    "zh-hk": "zh-hant",
    "zh-hant": "zh-hant",
    "zh": "zh-hans",
    "en": "en",
}


def language_for(wanted: str, otherwise: str = "en") -> str:
    """The nearest language that the panel speaks: zh-TW is Hant, any other Chinese Hans."""
    for one in (wanted.lower(), wanted.lower().partition("-")[0], otherwise.lower()):
        if one in LANGUAGES:
            return LANGUAGES[one]
    return "zh-hans" if otherwise.lower().startswith("zh") else "en"


def language_of(request: HttpRequest) -> str:
    """What the panel says that it speaks, in the first language of Accept-Language."""
    wanted = request.META.get("HTTP_ACCEPT_LANGUAGE", "")[:100]
    return language_for(wanted.partition(",")[0].partition(";")[0].strip())
