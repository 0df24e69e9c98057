"""Prometheus. Counters are this process's own; what the database knows is read when asked.

Several web processes on one machine share their counters where PROMETHEUS_MULTIPROC_DIR names a
folder (prometheus-client's own way); without it a scrape sees the process that answers it. No label
is ever a tenant: their number has no bound, and their names are nobody's business.
"""

import time
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.db.models import Count, Min, Sum
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector

from config.internal import holds_token
from gpt_core import sightings
from gpt_core.dispatch import KINDS
from gpt_core.models import State
from tenancy.models import StoredBytes, Tenant
from tenancy.scope import system_scope
from tenancy.webhooks.models import WebhookDelivery

METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

REQUESTS = Histogram(
    "parley_request_seconds",
    "Seconds from a request to the last byte of its answer",
    ["method", "route", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120),
)


@never_cache
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """Unknown to everybody but the token's holder."""
    if not settings.METRICS_TOKEN:
        return HttpResponse(status=404)
    if not holds_token(request):
        return HttpResponse(status=401, headers={"WWW-Authenticate": "Bearer"})
    registry = CollectorRegistry()
    if settings.METRICS_FOLDER:
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    else:
        registry.register(REQUESTS)
    registry.register(DatabaseCollector())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


class DatabaseCollector:
    """The platform's figures at this moment, the same from whichever process answers."""

    def collect(self) -> Iterator[Metric]:
        began = time.perf_counter()
        with system_scope("figures for Prometheus"):
            yield from self._jobs()
            yield self._tenants()
            yield from self._processes()
            yield from self._deliveries()
            yield self._storage()
        yield gauge("parley_collect_seconds", "This scrape", time.perf_counter() - began)

    def _jobs(self) -> Iterator[Metric]:
        states = GaugeMetricFamily("parley_jobs", "Jobs by state", labels=["kind", "state"])
        depth = GaugeMetricFamily("parley_queue_depth", "Jobs that wait", labels=["kind"])
        age = GaugeMetricFamily(
            "parley_queue_oldest_seconds", "How long the first in the queue waits", labels=["kind"]
        )
        leases = GaugeMetricFamily("parley_leases", "Jobs held by a worker", labels=["kind"])
        expired = GaugeMetricFamily(
            "parley_leases_expired", "Leases that ran out and were not taken back", labels=["kind"]
        )
        for kind in KINDS:
            rows: Any = kind.objects.order_by()
            found = dict(rows.values_list("state").annotate(n=Count("pk")))
            for state in State.values:
                states.add_metric([kind.KIND, state], found.get(state, 0))
            depth.add_metric([kind.KIND], found.get(State.QUEUED, 0))
            oldest = rows.filter(state=State.QUEUED).aggregate(at=Min("queued_at"))["at"]
            waited = (timezone.now() - oldest).total_seconds() if oldest else 0.0
            age.add_metric([kind.KIND], max(0.0, waited))
            leases.add_metric([kind.KIND], found.get(State.RUNNING, 0))
            expired.add_metric([kind.KIND], rows.expired().count())
        yield from (states, depth, age, leases, expired)

    def _tenants(self) -> Metric:
        family = GaugeMetricFamily("parley_tenants", "Tenants by state", labels=["state"])
        found = dict(Tenant.objects.order_by().values_list("state").annotate(n=Count("pk")))
        for state in Tenant.State.values:
            family.add_metric([state], found.get(state, 0))
        return family

    def _processes(self) -> Iterator[Metric]:
        seen = sightings.beat_seen_at()
        age = (timezone.now() - seen).total_seconds() if seen else float("inf")
        yield gauge("parley_beat_age_seconds", "Since beat was last heard", age)
        workers = GaugeMetricFamily("parley_workers", "Workers heard lately", labels=["queue"])
        heard = [one.queue for one in sightings.workers() if not sightings.is_late(one.seen_at)]
        for queue in sightings.QUEUES:
            workers.add_metric([queue], heard.count(queue))
        yield workers

    def _deliveries(self) -> Iterator[Metric]:
        family = GaugeMetricFamily("parley_webhooks", "Webhooks by state", labels=["state"])
        rows = WebhookDelivery.objects.order_by()
        found = dict(rows.values_list("state").annotate(n=Count("pk")))
        for state in WebhookDelivery.State.values:
            family.add_metric([state], found.get(state, 0))
        yield family

    def _storage(self) -> Metric:
        family = GaugeMetricFamily("parley_stored_bytes", "Bytes tenants keep", labels=["kind"])
        rows = StoredBytes.objects.order_by()
        found = dict(rows.values_list("kind").annotate(total=Sum("bytes")))
        for kind in StoredBytes.Kind.values:
            family.add_metric([kind], found.get(kind, 0))
        return family


def gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)
