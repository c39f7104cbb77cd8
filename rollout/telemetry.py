"""What Rollout tells of itself: structured logs, and the Prometheus metrics with their names, units and labels.

Logs are JSON lines (key=value on a terminal): a constant dotted event in the past tense, and keys. Metrics carry no
rollout id, URL or user, so that the number of series is bounded by services and checks. The registry is passed in.
"""

import logging
import platform
import sys
from typing import Any, TextIO

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

from rollout import __version__
from rollout.board import Live
from rollout.core.convergence import wanted_percent
from rollout.core.judge import Finding
from rollout.core.phase import Phase

RELEASE_BUCKETS_S = (30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800)
CALL_BUCKETS_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


def configure_logs(stream: TextIO = sys.stderr, *, level: str = "info") -> None:
    """Send every log line to *stream*: JSON, or key=value when it is a terminal."""
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=False)
        if stream.isatty()
        else structlog.processors.JSONRenderer(ensure_ascii=True)  # escapes what could forge a line
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )


class Metrics:
    """All metrics of the daemon. Every name is documented in docs/reference/metrics.md, or a test fails."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        service = ("namespace", "service")
        check = (*service, "check")

        def gauge(name: str, text: str, labels: tuple[str, ...] = service) -> Gauge:
            return Gauge(name, text, labels, registry=registry)

        info = Info("rollout_build", "Version of the daemon", registry=registry)
        info.info({"version": __version__, "python": platform.python_version()})
        self.phase = gauge("rollout_release_phase", "1 for the phase a service's rollout is in", (*service, "phase"))
        self.release = gauge(
            "rollout_release_info", "1 while a rollout is active", (*service, "from_version", "to_version")
        )
        self.weight = gauge("rollout_weight_ratio", "Wanted share of users' requests", (*service, "version"))
        self.observed = gauge("rollout_observed_weight_ratio", "Share that was answered", (*service, "version"))
        self.step = gauge("rollout_step_index", "The current step, from 1")
        self.steps = gauge("rollout_steps", "How many steps the rollout has")
        self.step_started = gauge("rollout_step_started_timestamp_seconds", "When the current step began")
        self.blind = gauge("rollout_evidence_blind", "1 while evidence that the step needs cannot be had")
        self.check_value = gauge("rollout_check_value", "What a check measured", (*check, "version"))
        self.check_limit = gauge("rollout_check_limit", "The limit that the canary's value is held to", check)
        self.check_verdict = gauge("rollout_check_verdict", "-1 fail, 0 inconclusive, 1 pass", check)
        self.evaluations = Counter(
            "rollout_check_evaluations", "Verdicts given", (*check, "verdict"), registry=registry
        )
        self.releases = Counter("rollout_releases", "Rollouts that ended", (*service, "result"), registry=registry)
        self.duration = Histogram(
            "rollout_release_duration_seconds",
            "From start to end, waiting included",
            ("result",),
            buckets=RELEASE_BUCKETS_S,
            registry=registry,
        )
        self.waiting = Histogram(
            "rollout_release_waiting_seconds",
            "Time spent paused and at gates",
            ("result",),
            buckets=RELEASE_BUCKETS_S,
            registry=registry,
        )
        self.reconcile = Histogram(
            "rollout_reconcile_duration_seconds", "One pass of the loop", buckets=CALL_BUCKETS_S, registry=registry
        )
        self.upstream = Histogram(
            "rollout_upstream_request_duration_seconds",
            "Calls to the world",
            ("upstream",),
            buckets=CALL_BUCKETS_S,
            registry=registry,
        )
        self.upstream_errors = Counter(
            "rollout_upstream_errors", "Calls that failed", ("upstream", "kind"), registry=registry
        )
        self.deliveries = Counter(
            "rollout_webhook_deliveries", "Webhooks received", ("source", "result"), registry=registry
        )

    def show(self, live: Live) -> None:
        """Set the gauges of one service from its rollout's latest decision."""
        spec, state = live.rollout.spec, live.state
        where = (spec.namespace, spec.service)
        for phase in Phase:
            self.phase.labels(*where, phase.value).set(phase is state.phase)
        self.release.labels(*where, spec.stable, spec.canary).set(1)
        wanted = wanted_percent(spec, state)
        self.weight.labels(*where, spec.canary).set(wanted / 100)
        self.weight.labels(*where, spec.stable).set(1 - wanted / 100)
        if live.outlook.observed_percent is not None:
            self.observed.labels(*where, spec.canary).set(live.outlook.observed_percent / 100)
            self.observed.labels(*where, spec.stable).set(1 - live.outlook.observed_percent / 100)
        self.step.labels(*where).set(min(state.step + 1, state.steps))
        self.steps.labels(*where).set(state.steps)
        self.step_started.labels(*where).set(state.since)
        self.blind.labels(*where).set(live.outlook.is_blind)
        for finding in live.judgement.findings:
            self._show_finding(where, finding)

    def _show_finding(self, where: tuple[str, str], finding: Finding) -> None:
        labels = (*where, finding.check)
        self.check_verdict.labels(*labels).set(1 - finding.verdict)
        self.evaluations.labels(*labels, finding.verdict.name.lower()).inc()
        for version, value in (("stable", finding.stable), ("canary", finding.canary)):
            if value is not None:
                self.check_value.labels(*labels, version).set(value)
        if finding.limit is not None:
            self.check_limit.labels(*labels).set(finding.limit)

    def end(self, live: Live, result: str) -> None:
        """Count a rollout that has ended; its weights stay, for they are still what traffic follows."""
        spec, state = live.rollout.spec, live.state
        self.releases.labels(spec.namespace, spec.service, result).inc()
        self.duration.labels(result).observe(max(0.0, state.since - live.rollout.created))
        self.waiting.labels(result).observe(state.waited_s)
        self.release.remove(spec.namespace, spec.service, spec.stable, spec.canary)
        self.blind.labels(spec.namespace, spec.service).set(0)
