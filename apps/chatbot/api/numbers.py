"""`/api/v1/support-numbers/`: the figures of the page, with the same definitions."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import NativeViewSet
from accounts.permissions import VIEW
from apps.chatbot.api.base import named
from apps.chatbot.models import Handoff, Inbox
from apps.chatbot.numbers import DAYS, Numbers, Range, Share, numbers_of
from common.api import StrictSerializer


class NumbersQuery(StrictSerializer):
    inbox = serializers.UUIDField(required=False, help_text="Every inbox where none is named.")
    days = serializers.ChoiceField(
        choices=DAYS,
        default=30,
        help_text="Conversations that began in so many days, today included.",
    )


class ShareOfSampleSerializer(serializers.Serializer[Share]):
    """`value` is `hits` of `of`; `low` and `high` are its 95 % interval (Wilson). Null of nothing."""

    hits = serializers.IntegerField()
    of = serializers.IntegerField()
    value = serializers.FloatField(allow_null=True)
    low = serializers.FloatField(allow_null=True)
    high = serializers.FloatField(allow_null=True)


class WaitSerializer(serializers.Serializer[Any]):
    """Seconds until the first answer."""

    of = serializers.IntegerField()
    median = serializers.FloatField(allow_null=True)
    p90 = serializers.FloatField(allow_null=True)


class ReasonCountSerializer(serializers.Serializer[Any]):
    reason = serializers.ChoiceField(choices=Handoff.Reason.values)
    conversations = serializers.IntegerField()


class SupportDaySerializer(serializers.Serializer[Any]):
    date = serializers.DateField()
    bot = serializers.IntegerField(help_text="Answered by the bot, without people.")
    people = serializers.IntegerField(help_text="Given to people.")
    neither = serializers.IntegerField(help_text="Without an answer so far.")


class NumbersSerializer(serializers.Serializer[Any]):
    """A conversation counts on the day on which it began, with all that became of it since."""

    first_day = serializers.DateField()
    zone = serializers.CharField(help_text="Whose days: the inbox's business hours', else UTC.")
    conversations = serializers.IntegerField(help_text="In which something was said.")
    handled = ShareOfSampleSerializer(help_text="The bot answered at least once.")
    auto_resolved = ShareOfSampleSerializer(
        help_text="Of those that are resolved or were given to people: the bot answered and resolved it "
        "without people."
    )
    durable = ShareOfSampleSerializer(
        help_text="Of those resolved without people at least seven days ago: not written to again "
        "within seven days."
    )
    handed = ShareOfSampleSerializer(help_text="Given to people at any time.")
    reasons = ReasonCountSerializer(many=True, help_text="Why, the most frequent first.")
    reopened = ShareOfSampleSerializer(help_text="Of those resolved: written to again.")
    first_response = WaitSerializer(help_text="From the beginning to the first answer, whoever's.")
    people_response = WaitSerializer(help_text="From the handoff to an agent's first answer.")
    content_with_bot = ShareOfSampleSerializer(
        help_text="Of visitors who rated and met the bot alone: 4 or 5 of 5."
    )
    content_with_people = ShareOfSampleSerializer(help_text="The same where people had it.")
    csat_bot = serializers.FloatField(allow_null=True, help_text="Mean of 1 to 5.")
    csat_people = serializers.FloatField(allow_null=True, help_text="Mean of 1 to 5.")
    wrong = ShareOfSampleSerializer(
        help_text="Of the bot's answers in these days that lot drew and people reviewed."
    )
    to_review = serializers.IntegerField(help_text="Drawn and not reviewed yet.")
    days = SupportDaySerializer(many=True, help_text="Oldest first, none left out.")


class NumbersViewSet(NativeViewSet):
    model = Inbox
    serializer_class = NumbersSerializer
    needs = {"retrieve": VIEW}
    queries = {"retrieve": NumbersQuery}

    def retrieve(self, request: Request) -> Response:
        """What the bot and the people behind it achieve."""
        asked = self.query
        inbox = named(Inbox, "inbox", pk=asked["inbox"]) if "inbox" in asked else None
        return self.answer(_told(numbers_of(Range.of(days=int(asked["days"]), inbox=inbox))))


def _told(numbers: Numbers) -> dict[str, Any]:
    names = [str(name) for name in NumbersSerializer().fields]
    told = {name: getattr(numbers, name) for name in names if hasattr(numbers, name)}
    return told | {
        "first_day": numbers.range.first,
        "zone": str(numbers.range.zone),
        "reasons": [
            {"reason": reason, "conversations": n} for reason, n in numbers.reasons.items()
        ],
        "days": [
            {"date": day, "bot": bot, "people": people, "neither": neither}
            for day, (bot, people, neither) in numbers.days.items()
        ],
    }
