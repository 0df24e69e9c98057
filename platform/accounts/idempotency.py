"""A POST that is sent again does its work once: the header `Idempotency-Key`.

The key is claimed in a row of its own before the work begins. The work and the keeping of its answer
are one transaction, so that there is never the one without the other; a worker that dies half-way
leaves a claim whose lease runs out, and the next to come does the work. A fencing token keeps one
that was only slow from finishing after it.

Kept are answers that made something (2xx), for a day. A refusal made nothing and frees its key.
An answer may hold a secret that is shown once: it is sealed with the caller's own key, of which
only a digest is stored, so that nobody but the caller can have it shown again.
"""

import hashlib
import json
import re
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from typing import Any, Self

from django.db import transaction
from django.db.models import F
from django.http import HttpResponse, HttpResponseBase
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response

from accounts.access import Credential
from accounts.models import OnceOnly
from common.errors import ApplicationError, ConflictError
from tenancy.sealing import SealError, seal, unseal

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
KEPT_FOR = timedelta(hours=24)
# How long a request may take before another takes it for dead.
LEASE = timedelta(seconds=60)
LONG_LEASE = timedelta(minutes=15)
KEY = re.compile(r"[\x21-\x7e]{1,255}")


class Claim:
    """A key that this request holds: to work on, or to be told again what was done.

    `with claim:` gives the key back where the work fails. Use it in the tenant's scope.
    """

    def __init__(self, row: OnceOnly, key: str) -> None:
        self._row, self._key = row, key
        self._held = OnceOnly.objects.filter(pk=row.pk, token=row.token, status=None)

    @property
    def is_done(self) -> bool:
        return self._row.status is not None

    def told_again(self) -> HttpResponse:
        """The answer as it was. Raises ConflictError `idempotency_answer_lost`."""
        return _told_again(self._row, self._key)

    def keep(self, response: HttpResponseBase) -> None:
        """From now on this is the answer. Raises ConflictError where another took over meanwhile."""
        if not self._held.update(
            status=response.status_code, sealed=_sealed(response, self._key, self._row)
        ):
            raise _in_progress()

    def free(self) -> None:
        """Give the key back; of an answer that was kept nothing is lost."""
        self._held.delete()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.free()


def claimed(request: Any, credential: Credential, *, lease: timedelta) -> Claim | None:
    """The key of this request, held for as long as `lease`; None where it has none.

    `request` is Django's or DRF's, and in the tenant's scope. Raises ApplicationError
    `idempotency_key_invalid`, `idempotency_key_reused`, `idempotency_in_progress`.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return None
    if not KEY.fullmatch(key):
        raise ApplicationError(
            "idempotency_key_invalid",
            _("Idempotency-Key takes 1 to 255 visible ASCII characters."),
            field=HEADER,
        )
    return Claim(_row_of(key, credential, _digest_of(request), lease), key)


def answered_once(
    request: Any,
    credential: Credential,
    act: Callable[[], HttpResponseBase],
    *,
    in_steps: bool = False,
) -> HttpResponseBase:
    """The answer of `act`, or the one that this key was given before. Without the header: `act()`.

    `in_steps` is for work that talks to other machines or commits by itself as it goes on; it must
    be harmless to do twice. Raises what `claimed` raises.
    """
    claim = claimed(request, credential, lease=LONG_LEASE if in_steps else LEASE)
    if claim is None:
        return act()
    if claim.is_done:
        return claim.told_again()
    with claim:
        with nullcontext() if in_steps else transaction.atomic():
            response = act()
            if 200 <= response.status_code < 300 and not response.streaming:
                claim.keep(response)
                return response
    claim.free()
    return response


def forget_old() -> int:
    """Remove the answers that are older than a day. Needs a system scope."""
    return OnceOnly.objects.filter(created_at__lt=timezone.now() - KEPT_FOR).delete()[0]


def _row_of(key: str, credential: Credential, request_digest: str, lease: timedelta) -> OnceOnly:
    """The row of this key: ours to work on, or with the answer that it was given before."""
    actor = f"{credential.actor.kind}:{credential.actor.id}"
    mine = OnceOnly.objects.filter(actor=actor, key_digest=_sha256(key.encode()))
    now = timezone.now()
    mine.filter(created_at__lt=now - KEPT_FOR).delete()
    claim, is_new = mine.get_or_create(
        actor=actor,
        key_digest=_sha256(key.encode()),
        defaults={"request_digest": request_digest, "lease_until": now + lease},
    )
    if claim.request_digest != request_digest:
        raise ApplicationError(
            "idempotency_key_reused",
            _("This Idempotency-Key belongs to another request. Take a new one."),
            field=HEADER,
            status_hint=422,
        )
    if is_new or claim.status is not None:
        return claim
    # One UPDATE decides who goes on where another has died.
    taken = mine.filter(token=claim.token, status=None, lease_until__lt=now).update(
        token=F("token") + 1, lease_until=now + lease
    )
    if not taken:
        raise _in_progress()
    claim.token += 1
    return claim


def _sealed(response: Any, key: str, claim: OnceOnly) -> str:
    if isinstance(response, Response):
        body = b"" if response.data is None else JSONRenderer().render(response.data)
        content_type = "application/json"
    else:
        body, content_type = response.content, response.headers.get("Content-Type", "")
    head = {"content_type": content_type, "location": response.headers.get("Location")}
    return seal(json.dumps(head).encode() + b"\n" + body, purpose=_purpose(key, claim))


def _told_again(claim: OnceOnly, key: str) -> HttpResponse:
    try:
        head, _newline, body = unseal(claim.sealed, purpose=_purpose(key, claim)).partition(b"\n")
    except SealError:
        # The site's key was changed since: nobody can read the answer, and the work is done.
        raise ConflictError(
            "idempotency_answer_lost",
            _("This was done already, and its answer can no longer be read."),
            field=HEADER,
        ) from None
    said = json.loads(head)
    response = HttpResponse(body, status=claim.status)
    del response.headers["Content-Type"]
    if body:
        response.headers["Content-Type"] = said["content_type"]
    if said["location"]:
        response.headers["Location"] = said["location"]
    response.headers[REPLAYED] = "true"
    return response


def _purpose(key: str, claim: OnceOnly) -> str:
    return f"idempotency:{claim.pk}:{key}"


def _digest_of(request: Any) -> str:
    """Of method, address and body. A form is told apart by what it holds, not by its boundary."""
    digest = hashlib.sha256()

    def add(*parts: bytes) -> None:
        for part in parts:
            digest.update(len(part).to_bytes(8, "big") + part)

    add(request.method.encode(), request.get_full_path().encode())
    if (request.content_type or "").partition(";")[0].strip() != "multipart/form-data":
        add(request.body)
        return digest.hexdigest()
    for name, values in sorted(request.POST.lists()):
        add(name.encode(), *(str(value).encode() for value in values))
    for name, files in sorted(request.FILES.lists()):
        for file in files:
            content = hashlib.sha256()
            for chunk in file.chunks():
                content.update(chunk)
            file.seek(0)
            add(name.encode(), (file.name or "").encode(), content.digest())
    return digest.hexdigest()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _in_progress() -> ConflictError:
    return ConflictError(
        "idempotency_in_progress",
        _("The same request is under way. Ask again in a moment."),
        field=HEADER,
    )
