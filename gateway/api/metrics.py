"""Figures in Prometheus' text form: those of the state, and the latencies of this process."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from gateway.service.watch import Watch

Asgi = Callable[[Any, Any, Any], Awaitable[None]]

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 5, 30)


class StateCollector(Collector):
    """Counts of the state, read when they are asked for."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def collect(self) -> Iterator[Metric]:
        """Yield all families."""
        figures, now = self._watch.figures(), self._watch.now
        workflows = GaugeMetricFamily("gateway_workflows", "Workflows", labels=["status"])
        for status, number in figures.workflows.items():
            workflows.add_metric([status], number)
        jobs = GaugeMetricFamily("gateway_jobs", "Jobs", labels=["cluster", "state"])
        for labels, number in figures.jobs.items():
            jobs.add_metric(labels, number)
        open_attempts = GaugeMetricFamily(
            "gateway_open_attempts", "Attempts that have not ended", labels=["cluster", "state"]
        )
        oldest = GaugeMetricFamily(
            "gateway_oldest_attempt_seconds",
            "Time since the oldest open attempt became ready, was sent or started",
            labels=["cluster", "state"],
        )
        for queue in figures.queues:
            open_attempts.add_metric([queue.cluster, queue.state], queue.number)
            oldest.add_metric([queue.cluster, queue.state], max(0.0, now - queue.oldest))
        outcomes = CounterMetricFamily(
            "gateway_attempts_ended", "Ended attempts by class", labels=["cluster", "outcome"]
        )
        for labels, number in figures.outcomes.items():
            outcomes.add_metric(labels, number)
        yield from (workflows, jobs, open_attempts, oldest, outcomes)
        yield from self._calls()
        yield from self._health()

    def _calls(self) -> Iterator[Metric]:
        labels = ["cluster", "kind"]
        made = CounterMetricFamily(
            "gateway_scheduler_calls", "Commands given to schedulers", labels=labels
        )
        failed = CounterMetricFamily(
            "gateway_scheduler_call_failures", "Commands without a good answer", labels=labels
        )
        took = CounterMetricFamily(
            "gateway_scheduler_call_seconds", "Time spent in commands", labels=labels
        )
        for call in self._watch.figures().calls:
            made.add_metric([call.cluster, call.kind], call.number)
            failed.add_metric([call.cluster, call.kind], call.failures)
            took.add_metric([call.cluster, call.kind], call.seconds)
        yield from (made, failed, took)

    def _health(self) -> Iterator[Metric]:
        health = self._watch.health()
        yield GaugeMetricFamily(
            "gateway_driver_up", "Whether something drives", value=int(health.ready)
        )
        if health.heartbeat_age_s is not None:
            yield GaugeMetricFamily(
                "gateway_driver_heartbeat_age_seconds",
                "Time since the driver's last sign of life",
                value=health.heartbeat_age_s,
            )
        blocked = GaugeMetricFamily(
            "gateway_cluster_blocked", "Clusters to which nothing is sent now", labels=["cluster"]
        )
        for name in health.blocked:
            blocked.add_metric([name], 1)
        yield blocked


class Metrics:
    """The registry of one application."""

    def __init__(self, watch: Watch) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(StateCollector(watch))
        ProcessCollector(registry=self._registry)
        self._latency = Histogram(
            "gateway_api_request_seconds",
            "Time from a request to the begin of its answer",
            ["method", "route", "status"],
            buckets=_BUCKETS,
            registry=self._registry,
        )

    def text(self) -> bytes:
        """Return everything in the text format of Prometheus."""
        return generate_latest(self._registry)

    def measured(self, api: Asgi) -> Asgi:
        """Wrap an application so that its latencies are counted, by route and not by path."""

        async def timed(scope: Any, receive: Any, send: Any) -> None:
            began = time.perf_counter()

            async def noting(message: Any) -> None:
                if message["type"] == "http.response.start":
                    route = getattr(scope.get("route"), "path", "none")
                    status = str(message["status"])
                    took = time.perf_counter() - began
                    self._latency.labels(_method(scope), route, status).observe(took)
                await send(message)

            await api(scope, receive, noting if scope["type"] == "http" else send)

        return timed


def _method(scope: Any) -> str:
    """Return the method, or one word for all that nobody knows: labels must be few."""
    known = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"}
    return scope["method"] if scope["method"] in known else "OTHER"
