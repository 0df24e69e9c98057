"""Have the passages that are published read by the model that retrieval compares by."""

from __future__ import annotations

import uuid

from apps.chatbot.models import Passage
from apps.chatbot.retrieval import meaning
from gpt_core import client

from .knowledge import raise_revision

# Passages of one request to the engine, and those after which what is read so far is put to use.
AT_ONCE = 8
MOST = 512


def tenants_with_unread_passages() -> list[uuid.UUID]:
    """Whose knowledge waits for the configured model. Needs the system's scope."""
    name = client.embedder_name()
    if not name:
        return []
    waiting = Passage.objects.waiting_for(name).order_by()
    return list(waiting.values_list("tenant_id", flat=True).distinct())


def read_passages() -> int:
    """Read passages of the tenant in scope that wait, MOST of them, and renew its index. Returns
    how many were read.

    Until then they are found by their words. Raises what `client.embed` raises; what was read
    before that is kept.
    """
    waiting = Passage.objects.waiting_for(client.embedder_name())
    rows = list(waiting.select_related("version__article")[:MOST])
    done = 0
    try:
        for at in range(0, len(rows), AT_ONCE):
            some = rows[at : at + AT_ONCE]
            meaning.read(some)
            Passage.objects.bulk_update(some, ["vectors", "embedded_by"])
            done += len(some)
    finally:
        if done:
            raise_revision()
    return done
