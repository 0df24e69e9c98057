"""The numbers of support as lines of a table, each with its definition, and the columns of the chart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.chatbot.models import Handoff, Inbox
from apps.chatbot.numbers import DAYS, Numbers, Range, Share, days_of, numbers_of
from apps.chatbot.numbers.counting import Wait
from apps.portal import words

USUAL = 30
# Below this a share says more about chance than about the bot.
FEW = 30


class RangeForm(forms.Form):
    """Which days of which inbox; what makes no sense is every inbox and the usual days."""

    days = forms.TypedChoiceField(choices=[(n, n) for n in DAYS], coerce=int, required=False)
    inbox: Any = forms.ModelChoiceField(
        label=gettext_lazy("Inbox"),
        queryset=None,
        required=False,
        empty_label=gettext_lazy("every inbox"),
        widget=forms.Select(attrs={"data-sends": True}),
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # Asked for now, in the scope of the request.
        self.fields["inbox"].queryset = Inbox.objects.order_by("name", "pk")  # type: ignore[attr-defined]

    @property
    def range(self) -> Range:
        self.is_valid()
        return Range.of(
            days=self.cleaned_data.get("days") or USUAL, inbox=self.cleaned_data.get("inbox")
        )


@dataclass(frozen=True)
class Line:
    """`around` is what the figure rests on: its sample and its interval."""

    name: str
    value: str
    around: str
    definition: str


class NumbersPage:
    """`given` are the parameters of the address."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.form = RangeForm(given)
        self.range = self.form.range
        self.numbers: Numbers = numbers_of(self.range)

    @property
    def days(self) -> tuple[int, ...]:
        return DAYS

    @property
    def lines(self) -> Iterator[Line]:
        yield from self._of_the_bot()
        yield from self._of_time_and_content()
        yield from self._of_truth()

    @property
    def reasons(self) -> list[tuple[str, int, Share]]:
        names = dict(Handoff.Reason.choices)
        whole = self.numbers.conversations
        return [(str(names.get(r, r)), n, Share(n, whole)) for r, n in self.numbers.reasons.items()]

    @property
    def table(self) -> list[tuple[Any, int, int, int]]:
        """Newest day first."""
        return [(day, *counts) for day, counts in reversed(self.numbers.days.items())]

    def _of_the_bot(self) -> Iterator[Line]:
        numbers = self.numbers
        yield _share(
            _("Handled by the bot"),
            numbers.handled,
            _("Of all conversations: the bot answered at least once."),
        )
        yield _share(
            _("Resolved without people"),
            numbers.auto_resolved,
            _(
                "Of those that are resolved or were given to people: the bot answered, no person was "
                "fetched, and the visitor said nothing more for a day or somebody resolved it."
            ),
        )
        yield _share(
            _("Resolved for good"),
            numbers.durable,
            _(
                "Of those resolved without people at least seven days ago: the visitor did not write "
                "again within seven days."
            ),
        )
        yield _share(
            _("Handed to people"),
            numbers.handed,
            _("Of all conversations: people had it at some time. The reasons stand below."),
        )
        yield _share(
            _("Opened again"),
            numbers.reopened,
            _("Of those resolved, by whomever: the visitor wrote again."),
        )

    def _of_time_and_content(self) -> Iterator[Line]:
        numbers = self.numbers
        yield _wait(
            _("First answer"),
            numbers.first_response,
            _("From the beginning of a conversation to the first answer, the bot's or a person's."),
        )
        yield _wait(
            _("First answer of a person"),
            numbers.people_response,
            _("From the moment a person was asked for to the first answer of one."),
        )
        for name, share, mean, definition in (
            (
                _("Content with the bot"),
                numbers.content_with_bot,
                numbers.csat_bot,
                _("Of visitors who rated and met the bot alone: 4 or 5 of 5."),
            ),
            (
                _("Content with people"),
                numbers.content_with_people,
                numbers.csat_people,
                _("Of visitors who rated and met people: 4 or 5 of 5."),
            ),
        ):
            line = _share(name, share, definition)
            if mean is None:
                yield line
                continue
            around = _("mean %(mean)s · %(around)s") % {
                "mean": number_format(round(mean, 1), 1),
                "around": line.around,
            }
            yield Line(line.name, line.value, around, line.definition)

    def _of_truth(self) -> Iterator[Line]:
        yield _share(
            _("Wrong answers"),
            self.numbers.wrong,
            _(
                "Of the bot's answers that lot drew as they were said, one in ten, and that people have "
                "reviewed."
            ),
        )


def chart(range: Range) -> dict[str, Any]:
    """The days as columns."""
    days = days_of(range)
    bot, people, neither = zip(*days.values(), strict=True)
    return {
        "days": [day.isoformat() for day in days],
        "bot": bot,
        "people": people,
        "neither": neither,
    }


def written(share: Share) -> tuple[str, str]:
    """A share in a few signs, and what it rests on."""
    if share.value is None or share.low is None or share.high is None:
        return "–", _("nothing to count yet")
    around = _("%(hits)s of %(of)s · %(low)s–%(high)s %%") % {
        "hits": number_format(share.hits, force_grouping=True),
        "of": number_format(share.of, force_grouping=True),
        "low": number_format(round(share.low * 100)),
        "high": number_format(round(share.high * 100)),
    }
    if share.of < FEW:
        around = _("%(around)s · still few") % {"around": around}
    return _("%(share)s %%") % {"share": number_format(round(share.value * 100))}, around


def _share(name: str, share: Share, definition: str) -> Line:
    return Line(name, *written(share), definition)


def _wait(name: str, wait: Wait, definition: str) -> Line:
    if wait.median is None or wait.p90 is None:
        return Line(name, "–", _("nothing to count yet"), definition)
    around = _("nine in ten within %(p90)s · of %(of)s") % {
        "p90": words.duration(wait.p90),
        "of": number_format(wait.of, force_grouping=True),
    }
    return Line(name, words.duration(wait.median), around, definition)
