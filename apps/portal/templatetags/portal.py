"""How the pages write icons, moments, figures and states."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import template
from django.http import HttpRequest
from django.templatetags.static import static
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language, get_language_info
from django.utils.translation import gettext as _

from accounts.access import memberships_of
from accounts.permissions import can_manage
from apps.chatbot.models import Handoff
from apps.portal import comparison, rail, version_rows, words
from tenancy.models import Membership

register = template.Library()

THEMES = ("light", "dark", "auto")

# The tag of an HTML document; Django's own names are in lower case.
_LANGUAGE_TAGS = {"zh-hans": "zh-Hans"}

_NOTICE_TONES = {"success": "good", "warning": "warn", "error": "bad"}
_NOTICE_ICONS = {"success": "check", "warning": "alert", "error": "alert"}


# --- The frame -----------------------------------------------------------------------------------


@register.simple_tag
def page_language() -> str:
    """The language of the page as HTML names it."""
    language = get_language() or "en"
    return _LANGUAGE_TAGS.get(language, language)


@register.simple_tag
def language_name(code: str) -> str:
    """A language in its own words, so that whoever reads only that one finds it."""
    return str(get_language_info(code)["name_local"])


@register.simple_tag(takes_context=True)
def theme(context: template.Context) -> str:
    """What the reader chose: light, dark, or as the system has it."""
    request = context.get("request")
    chosen = request.COOKIES.get("theme") if request is not None else None
    return chosen if chosen in THEMES else "auto"


@register.simple_tag(takes_context=True)
def memberships(context: template.Context) -> list[Membership]:
    """The tenants that the person belongs to, for the switcher."""
    return memberships_of(context["request"].user)


@register.filter
def rail_groups(request: HttpRequest) -> list[rail.Group]:
    return rail.groups_for(request)


@register.filter
def monogram(name: str | None) -> str:
    return (name or "·")[:1].upper()


@register.filter
def notice_tone(level: str) -> str:
    return _NOTICE_TONES.get(level, "")


@register.filter
def notice_icon(level: str) -> str:
    return _NOTICE_ICONS.get(level, "arrow")


@register.simple_tag
def icon(name: str) -> SafeString:
    """A sign of the one sprite; a decoration, for a word always stands beside it."""
    return format_html(
        '<svg class="icon" aria-hidden="true"><use href="{}#{}"></use></svg>',
        static("img/icons.svg"),
        name,
    )


# --- Moments and figures -------------------------------------------------------------------------


@register.simple_tag
def when(moment: datetime | None) -> SafeString | str:
    """How long ago, with the exact moment on hover (in the reader's zone where scripts run)."""
    if moment is None:
        return "–"
    return format_html(
        '<time datetime="{}" title="{} UTC">{}</time>',
        moment.isoformat(timespec="seconds"),
        date_format(moment, "DATETIME_FORMAT"),
        words.ago(moment, timezone.now()),
    )


@register.simple_tag
def at_clock(moment: datetime) -> SafeString:
    """The time of day, for a list in which "3 hours ago" would stand on every line."""
    return format_html(
        '<time datetime="{}" title="{} UTC" data-clock>{}</time>',
        moment.isoformat(timespec="seconds"),
        date_format(moment, "DATETIME_FORMAT"),
        moment.strftime("%H:%M:%S"),
    )


@register.filter
def duration(seconds: float | None) -> str:
    return "–" if seconds is None else words.duration(seconds)


@register.filter
def number(value: Any) -> str:
    """A count, grouped as the language groups it."""
    return "–" if value is None else str(number_format(value, use_l10n=True, force_grouping=True))


@register.filter
def figure(value: Any) -> str:
    """A measured value: enough digits to tell two apart and no more."""
    return comparison.written(value)


@register.filter
def share(value: float | None) -> str:
    """0.312 -> 31 %."""
    return (
        "–"
        if value is None
        else _("%(share)s %%") % {"share": number_format(round(value * 100), 0)}
    )


@register.filter
def parameters(value: int) -> str:
    """134515008 -> 135 M."""
    return words.magnitude(value)


# --- States --------------------------------------------------------------------------------------


@register.inclusion_tag("portal/_state.html")
def state(work: Any) -> dict[str, Any]:
    """The state of a job or an evaluation: a word, an icon and a colour."""
    return {
        "word": words.state(work),
        "tone": words.state_tone(work),
        "icon": words.state_icon(work),
    }


@register.filter
def event_sentence(event: Any) -> str:
    return words.event(event)


@register.filter
def failure_sentence(work: Any) -> str:
    return words.failure(work)


@register.filter
def proof_sentence(export: Any) -> str:
    return words.proof(export.proof or {})


@register.filter
def manages(membership: Membership) -> bool:
    return can_manage(membership)


@register.filter
def work_sentence(work: Any) -> str:
    return words.long_work(work)


@register.filter
def attempt_sentence(attempt: Any) -> str:
    return words.no_answer(attempt.error)


@register.filter
def work_failure(work: Any) -> str:
    return words.work_failure(work)


@register.filter
def handoff_reason(conversation: Any) -> str:
    """Why people have it, as `desk_queue` has annotated it."""
    return str(dict(Handoff.Reason.choices).get(conversation.reason, conversation.reason))


@register.filter
def at_index(values: Any, index: int) -> Any:
    return values[index]


@register.filter
def took(work: Any) -> str:
    """How long a job ran, from its start to its end."""
    if work.started_at is None or work.finished_at is None:
        return "–"
    return words.duration((work.finished_at - work.started_at).total_seconds())


@register.filter
def signed(value: float | None) -> str:
    """A difference with its sign, a true minus."""
    if value is None:
        return "–"
    sign = "+" if value > 0 else "−" if value < 0 else "±"
    return sign + comparison.written(abs(float(value)))


@register.filter
def signed_share(value: float | None) -> str:
    """-0.312 -> −31 %."""
    if value is None:
        return "–"
    sign = "+" if value > 0 else "−" if value < 0 else "±"
    return sign + share(abs(value))


@register.filter
def whole(value: float | None) -> str:
    return "–" if value is None else number(round(value))


# --- Texts ---------------------------------------------------------------------------------------


@register.filter
def speaker(role: str) -> str:
    """Who says it, or which part of an example it is."""
    return version_rows.speaker_of(role)


@register.filter
def text_rows(text: str) -> int:
    """How high a field must be for its text, within reason."""
    return min(14, max(2, text.count("\n") + len(text) // 48 + 1))
