"""An import that is killed goes on where another takes it up, and counts each conversation once."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from django.utils import timezone

from apps.chatbot.history import importing
from apps.chatbot.mining import harvest
from apps.chatbot.models import HistoryRun, MinedPair, PastConversation
from apps.chatbot.services import history
from labeling import work
from labeling.models import Example
from tenancy.models import Tenant
from tenancy.scope import system_scope
from tests.apps.chatbot.history.files import ANSWER_ZH, received, ticket, zendesk


class Killed(BaseException):
    pass


def question(number: int) -> str:
    """Like no other."""
    chance = random.Random(number)
    words = ("".join(chance.choices("bdfgklmnprstaeiou", k=7)) for _word in range(6))
    return f"how do {' '.join(words)} work?"


@pytest.mark.parametrize("after", [2, 7])
def test_a_killed_import_goes_on(
    after: int, in_tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "AT_ONCE_BYTES", 10)
    monkeypatch.setattr(importing, "BATCH", 10)
    monkeypatch.setattr(harvest, "PAGE", 10)
    monkeypatch.setattr(work, "ring", lambda queue="default": None)
    file = zendesk(*(ticket(at, (1, question(at)), (10, ANSWER_ZH)) for at in range(1, 51)))
    run = received(file)
    HistoryRun.objects.filter(pk=run.pk).update(is_check=False)
    run.refresh_from_db()
    hold = work.Hold.of(run)
    assert hold is not None
    told: list[float] = []

    def die(self: work.Hold, share: float, done: int | None = None) -> None:
        told.append(share)
        if len(told) == after:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(work.Hold, "progress", die)
        with pytest.raises(Killed):
            importing.carry_out(hold)
    assert PastConversation.objects.count() == min(after, 5) * 10
    HistoryRun.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    with system_scope("test: a worker"):
        assert work.next_waiting() is None, "it waits for the workers of another queue"
        assert work.next_waiting("long") == run
    assert work.carry_out(HistoryRun.objects.get())
    run.refresh_from_db()
    assert (run.state, run.counts["created"], run.counts.get("unchanged", 0)) == (
        "done",
        50,
        0,
    )
    assert run.mined["counts"] == {"pairs": 50, "examples": 50}
    assert PastConversation.objects.count() == Example.objects.count() == 50
    assert MinedPair.objects.count() == 50
