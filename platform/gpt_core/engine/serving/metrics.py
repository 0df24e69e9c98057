"""What Prometheus reads: gauges and counters taken from the engine when asked, at no cost to a step."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from .engine import Engine


class EngineCollector:
    """The engine's figures as Prometheus metrics. Adapter names are tenants' names and stay out of it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.refused: dict[str, int] = {}

    def refuse(self, code: str) -> None:
        """One more request refused before it reached the batch."""
        self.refused[code] = self.refused.get(code, 0) + 1

    def collect(self) -> Iterator[Metric]:
        """All metrics at this moment."""
        engine, scheduler = self._engine, self._engine.scheduler
        tally = scheduler.tally
        gauges: dict[str, tuple[str, float]] = {
            "gpt_engine_requests_running": ("Requests in the batch", scheduler.running),
            "gpt_engine_requests_waiting": ("Requests that wait", engine.waiting),
            "gpt_engine_rows": ("Sequences being written", scheduler.store.used),
            "gpt_engine_adapters": ("Adapters loaded", len(engine.adapters())),
            "gpt_engine_up": ("1 while the engine's thread runs", int(engine.healthy)),
        }
        for name, (text, value) in gauges.items():
            yield GaugeMetricFamily(name, text, value=value)
        counters: dict[str, tuple[str, float]] = {
            "gpt_engine_steps": ("Passes of the model", tally.steps),
            "gpt_engine_step_seconds": ("Seconds spent in passes", engine.step_seconds),
            "gpt_engine_prompt_tokens": ("Tokens read", tally.read),
            "gpt_engine_completion_tokens": ("Tokens written", tally.written),
        }
        for name, (text, value) in counters.items():
            yield CounterMetricFamily(name, text, value=value)
        yield _by_label("gpt_engine_requests", "Requests by outcome", "outcome", tally.finished)
        yield _by_label("gpt_engine_refused", "Requests refused", "code", self.refused)


class Metrics:
    """The page of /metrics."""

    def __init__(self, engine: Engine) -> None:
        self.collector = EngineCollector(engine)
        self._registry = CollectorRegistry()
        self._registry.register(self.collector)

    def page(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self._registry)


def _by_label(name: str, text: str, label: str, values: dict[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=[label])
    for key, value in sorted(values.items()):
        family.add_metric([key], value)
    return family
