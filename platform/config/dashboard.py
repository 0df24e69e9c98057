"""The admin's first page: is everything well, and where to look if not."""

import shutil
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, Sum
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils import timezone
from django.utils.timesince import timesince
from django.utils.translation import gettext as _

from accounts.models import User
from common.errors import ApplicationError
from gpt_core import client, sightings
from gpt_core.admin import queues
from gpt_core.dispatch import KINDS
from gpt_core.models import FineTuningJob, State
from tenancy.models import AuditEntry, StoredBytes, Tenant
from tenancy.webhooks.models import WebhookDelivery

Card = dict[str, Any]
# A queue that waits longer than this wants a look.
LONG = timedelta(minutes=30)
NEARLY_FULL = 0.1


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """UNFOLD's DASHBOARD_CALLBACK. Runs in the admin's system scope."""
    may = request.user.has_perm
    cards = []
    if may("tenancy.view_tenant"):
        cards.append(_tenants())
    if may("gpt_core.view_finetuningjob"):
        cards += [_queue(), _processes()]
    if may("gpt_core.view_basemodel"):
        cards.append(_engines())
    if may("webhooks.view_webhookdelivery"):
        cards.append(_webhooks())
    cards.append(_disk())
    return context | {
        "title": _("Overview"),
        "cards": cards,
        "kinds": [kind._meta.verbose_name_plural for kind in KINDS],
        "states": queues.states() if may("gpt_core.view_finetuningjob") else [],
        "done": _done_by_staff() if may("tenancy.view_auditentry") else [],
    }


def _card(
    title: str, figure: Any, said: str, href: str = "", word: str = "", kind: str = ""
) -> Card:
    return {
        "title": title,
        "figure": figure,
        "said": said,
        "href": href,
        "word": word,
        "kind": kind,
    }


def _tenants() -> Card:
    found = dict(Tenant.objects.order_by().values_list("state").annotate(n=Count("pk")))
    others = ", ".join(
        f"{found[state.value]} {state.label}"
        for state in Tenant.State
        if state != Tenant.State.ACTIVE and found.get(state.value)
    )
    active = found.get(Tenant.State.ACTIVE, 0)
    return _card(_("Tenants"), active, others or _("active"), _list("tenancy_tenant"))


def _queue() -> Card:
    waiting = FineTuningJob.objects.filter(state=State.QUEUED)
    oldest = waiting.order_by("queued_at").values_list("queued_at", flat=True).first()
    count = sum(kind.objects.filter(state=State.QUEUED).count() for kind in KINDS)
    said = (
        _("the first training waits for %(time)s") % {"time": timesince(oldest, depth=1)}
        if oldest
        else _("nothing waits")
    )
    late = oldest is not None and timezone.now() - oldest > LONG
    word, kind = (_("long"), "warning") if late else ("", "")
    return _card(_("In the queue"), count, said, reverse("admin:parley_queues"), word, kind)


def _processes() -> Card:
    beat, seen = sightings.beat_seen_at(), sightings.workers()
    there = [one for one in seen if not sightings.is_late(one.seen_at)]
    well = not sightings.is_late(beat)
    said = (
        _("beat was seen %(time)s ago") % {"time": timesince(beat, depth=1)}
        if beat
        else _("beat was never seen")
    )
    word, kind = (_("well"), "success") if well else (_("late"), "danger")
    return _card(_("Workers"), len(there), said, reverse("admin:parley_queues"), word, kind)


def _engines() -> Card:
    away = []
    for base in settings.GPT_ENGINES:
        try:
            client.loaded_models(base=base)
        except ApplicationError:
            away.append(base)
    total = len(settings.GPT_ENGINES)
    word, kind = (_("away"), "danger") if away else (_("well"), "success")
    figure = f"{total - len(away)}/{total}"
    return _card(_("Engines"), figure, ", ".join(away), reverse("admin:parley_engines"), word, kind)


def _webhooks() -> Card:
    since = timezone.now() - timedelta(days=1)
    failed = WebhookDelivery.objects.filter(
        state=WebhookDelivery.State.FAILED, created_at__gte=since
    ).count()
    word, kind = (_("look"), "warning") if failed else ("", "")
    href = f"{_list('webhooks_webhookdelivery')}?state__exact=failed"
    return _card(_("Failed webhooks"), failed, _("in the last day"), href, word, kind)


def _disk() -> Card:
    disk = shutil.disk_usage(settings.PARLEY_HOME)
    stored = StoredBytes.objects.aggregate(total=Sum("bytes"))["total"] or 0
    full = disk.free < disk.total * NEARLY_FULL
    word, kind = (_("nearly full"), "danger") if full else ("", "")
    said = _("free; tenants keep %(size)s") % {"size": filesizeformat(stored)}
    return _card(_("Disk"), filesizeformat(disk.free), said, "", word, kind)


def _done_by_staff() -> list[AuditEntry]:
    staff = [str(pk) for pk in User.objects.filter(is_staff=True).values_list("pk", flat=True)]
    return list(
        AuditEntry.objects.filter(actor_kind="person", actor_id__in=staff)
        .select_related("tenant")
        .order_by("-created_at")[:10]
    )


def _list(name: str) -> str:
    return reverse(f"admin:{name}_changelist")
