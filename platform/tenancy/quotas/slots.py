"""How many answers may be written at once, held by slots in the database that end by themselves."""

import random
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self
from uuid import UUID, uuid4

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tenancy import counting
from tenancy.models import NO_KEY, GenerationSlot
from tenancy.quotas.limits import QuotaError, limits_of

# A slot outlives the longest answer that the client of the engines waits for, and not by much.
SLOT_MARGIN = timedelta(seconds=15)
# Nobody knows when the next answer ends.
SLOT_WAIT = 1.0


def longest_answer() -> timedelta:
    """After this time nobody writes on an answer any more."""
    return timedelta(seconds=settings.ENGINE_TIMEOUT_SECONDS) + SLOT_MARGIN


class generating:
    """`with generating(key_id=...)`, or `async with`: one of the answers that may be written at once.

    Raises QuotaError at its beginning where as many are being written as may be.
    """

    def __init__(self, key_id: UUID | None = None) -> None:
        self.key_id = key_id
        self.holder = uuid4()

    def __enter__(self) -> Self:
        tenant, key = limits_of(self.key_id)
        ceilings = {NO_KEY: tenant.concurrent_generations or 0}
        if self.key_id is not None and key.concurrent_generations is not None:
            ceilings[self.key_id] = key.concurrent_generations
        # Whoever loses a slot lost it to somebody who has it now, so this ends: with ours, or with none free.
        while True:
            now = timezone.now()
            slots = self._free_slots(ceilings, now)
            if self._occupied(slots, now):
                return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._release()

    async def __aenter__(self) -> Self:
        await sync_to_async(self.__enter__)()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await sync_to_async(self._release)()

    def _free_slots(self, ceilings: dict[UUID, int], now: datetime) -> list[GenerationSlot]:
        taken: dict[UUID, set[int]] = {key: set() for key in ceilings}
        live = GenerationSlot.objects.filter(key_id__in=ceilings, until__gt=now)
        for key, number in live.values_list("key_id", "number"):
            taken[key].add(number)
        until = now + longest_answer()
        slots = []
        for key, ceiling in ceilings.items():
            # A limit may have been lowered below what is being written.
            free = [number for number in range(ceiling) if number not in taken[key]]
            if len(taken[key]) >= ceiling or not free:
                raise _too_many_answers(ceiling)
            number = random.choice(free)
            slots.append(GenerationSlot(key_id=key, number=number, holder=self.holder, until=until))
        return slots

    def _occupied(self, slots: list[GenerationSlot], now: datetime) -> bool:
        """All of them or none: one of two, held for a moment, would have others refused for nothing."""
        with transaction.atomic():
            has_all = counting.occupy(slots, now=now) == len(slots)
            if not has_all:
                transaction.set_rollback(True)
        return has_all

    def _release(self) -> None:
        GenerationSlot.objects.filter(holder=self.holder).delete()


def _too_many_answers(limit: int) -> QuotaError:
    return QuotaError(
        "rate_limit_exceeded",
        _("More than %(limit)d answers at once are not allowed. Try again when one has ended.")
        % {"limit": limit},
        limit=limit,
        wait=SLOT_WAIT,
    )
