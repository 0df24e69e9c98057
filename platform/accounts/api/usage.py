"""`/api/v1/usage/`, and the same of one key with the limits that it has of its own."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.native import NativeViewSet
from accounts.models import ApiKey
from accounts.permissions import VIEW
from common.api import StrictSerializer, WholeNumberField
from tenancy import quotas
from tenancy.models import Tenant

_SAYS_OF_LIMITS = {
    "requests_per_minute": "Requests a minute, refused ones among them.",
    "tokens_per_minute": "Tokens a minute, of questions and answers together.",
    "tokens_per_month": "Tokens a calendar month (UTC).",
    "concurrent_generations": "Answers that are written at once.",
}

# --- In ------------------------------------------------------------------------------------------


class UsageQuery(StrictSerializer):
    days = WholeNumberField(
        min_value=1, max_value=400, default=30, help_text="How many days, today among them (UTC)."
    )


class NewLimitsSerializer(StrictSerializer):
    """All limits of a key. What is null or left out it has no longer: the tenant's alone hold."""

    def get_fields(self) -> dict[str, serializers.Field]:
        return {
            name: serializers.IntegerField(
                min_value=0,
                max_value=quotas.MOST_OF_KEYS[name],
                allow_null=True,
                default=None,
                help_text=says,
            )
            for name, says in _SAYS_OF_LIMITS.items()
        }


# --- Out -----------------------------------------------------------------------------------------


class LimitsSerializer(serializers.Serializer[quotas.Limits]):
    """The limits that a key has of its own, beside the tenant's; null where it has none."""

    def get_fields(self) -> dict[str, serializers.Field]:
        return {
            name: serializers.IntegerField(allow_null=True, read_only=True, help_text=says)
            for name, says in _SAYS_OF_LIMITS.items()
        }


class MeterSerializer(serializers.Serializer[quotas.Meter]):
    name = serializers.ChoiceField(choices=quotas.NAMES)
    used = serializers.IntegerField(
        allow_null=True, help_text="Null where it is not counted, for nothing limits it."
    )
    limit = serializers.IntegerField(
        allow_null=True, help_text="Null for a key without a limit of its own."
    )
    resets_at = serializers.DateTimeField(
        allow_null=True, help_text="When it begins anew; null for what does not."
    )


class DaySerializer(serializers.Serializer[quotas.Day]):
    date = serializers.DateField(help_text="Of UTC.")
    requests = serializers.IntegerField()
    prompt_tokens = serializers.IntegerField()
    completion_tokens = serializers.IntegerField()
    training_tokens = serializers.IntegerField()


class KeyUsageSerializer(serializers.Serializer[quotas.UsageReport]):
    meters: Any = MeterSerializer(many=True, help_text="Every limit, and what is used of it now.")
    days: Any = DaySerializer(many=True, help_text="Up to today, oldest first, none left out.")


class ShareSerializer(serializers.Serializer[Any]):
    """What one key used in these days."""

    id = serializers.UUIDField(read_only=True)
    name = serializers.CharField()
    requests = serializers.IntegerField()
    prompt_tokens = serializers.IntegerField()
    completion_tokens = serializers.IntegerField()


class UsageSerializer(KeyUsageSerializer):
    keys: Any = ShareSerializer(
        many=True,
        help_text="Keys that did anything, the busiest first. What people did on the pages is "
        "counted in the days and is no key's.",
    )


# --- View ----------------------------------------------------------------------------------------


class UsageViewSet(NativeViewSet):
    model = Tenant
    serializer_class = UsageSerializer
    needs = {"retrieve": VIEW}
    queries = {"retrieve": UsageQuery}

    def retrieve(self, request: Request) -> Response:
        """What the tenant used against what it may use."""
        days = self.query["days"]
        report = quotas.usage_of(self.tenant, days=days)
        return self.answer({"meters": report.meters, "days": report.days, "keys": _shares(days)})


def _shares(days: int) -> list[dict[str, Any]]:
    used = quotas.usage_by_key(days=days)
    kinds = ("requests", "prompt_tokens", "completion_tokens")
    rows = [
        {"id": key.pk, "name": key.name} | {kind: used[key.pk].get(kind, 0) for kind in kinds}
        for key in ApiKey.objects.filter(pk__in=used)
    ]
    return sorted(rows, key=lambda row: (-row["requests"], row["name"], str(row["id"])))
