"""Who is at work: beat rings every queue now and then, and whoever hears it is written down.

A worker that is busy hears nothing meanwhile; the job that it holds says that it is alive.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone

from .models import Sighting

QUEUES = ("default", "long", "answers", "training")
BEAT = "beat"
EVERY_SECONDS = 30
# Longer than this and nobody is there: three bells missed.
LATE = timedelta(seconds=3 * EVERY_SECONDS + 10)
FORGOTTEN = timedelta(days=1)


def note(name: str, queue: str) -> None:
    """This worker took a message of this queue, and so beat is alive as well."""
    now = timezone.now()
    for who, where in ((name[:200], queue), (BEAT, "")):
        Sighting.objects.update_or_create(name=who, queue=where, defaults={"seen_at": now})
    Sighting.objects.filter(seen_at__lt=now - FORGOTTEN).delete()


def beat_seen_at() -> datetime | None:
    seen = Sighting.objects.filter(name=BEAT).first()
    return seen.seen_at if seen else None


def workers() -> list[Sighting]:
    """Whoever was seen in the last day, by name."""
    return list(Sighting.objects.exclude(name=BEAT))


def is_late(seen_at: datetime | None) -> bool:
    return seen_at is None or seen_at < timezone.now() - LATE
