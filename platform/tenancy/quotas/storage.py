"""Bytes that a tenant keeps: measured on the disk now and then, counted up in between, refused beyond.

Whoever keeps something asks `require_room` before it writes and says `keep` when it has. The
measurement that follows (gpt_core.storage) puts right what a killed process left uncounted.
"""

from django.db.models import F, Sum
from django.db.models.functions import Greatest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from common.errors import ApplicationError
from tenancy.models import StoredBytes
from tenancy.quotas.limits import limits_of

Kind = StoredBytes.Kind


def stored_bytes() -> int:
    """What the tenant in scope keeps now, as far as it is counted."""
    return StoredBytes.objects.aggregate(total=Sum("bytes"))["total"] or 0


def room_left() -> int:
    """How many bytes the tenant in scope may add; never less than none."""
    return max(0, (limits_of()[0].storage_bytes or 0) - stored_bytes())


def require_room(wanted: int = 1, *, status_hint: int = 413) -> None:
    """Refuse before anything is written. `wanted` is 1 where nobody knows the size yet."""
    left = room_left()
    if wanted > left:
        limit = limits_of()[0].storage_bytes or 0
        raise ApplicationError(
            "storage_quota_exceeded",
            _(
                "There is no room: %(used)s of %(limit)s MB are used. Delete files or checkpoints "
                "that nobody needs, or ask for a larger quota."
            )
            % {"used": (limit - left) >> 20, "limit": limit >> 20},
            status_hint=status_hint,
            extra={"limit": limit, "left": left},
        )


def keep(kind: str, added: int) -> None:
    """Count what was written, or with a minus what was deleted, until it is measured again."""
    row, _made = StoredBytes.objects.get_or_create(kind=kind)
    StoredBytes.objects.filter(pk=row.pk).update(bytes=Greatest(F("bytes") + added, 0))


def measured(kind: str, found: int) -> None:
    """What is on the disk, which is the truth."""
    StoredBytes.objects.update_or_create(
        kind=kind, defaults={"bytes": found, "measured_at": timezone.now()}
    )
