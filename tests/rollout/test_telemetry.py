"""Logs and metrics: the contract with those who read them."""

import io
import json
import re
from pathlib import Path

import pytest
import structlog
from prometheus_client import CollectorRegistry, generate_latest

from rollout.telemetry import Metrics, configure_logs
from tests.rollout.core.worlds import state_of
from tests.rollout.test_board import SPEC, live

DOCS = Path(__file__).parent.parent.parent / "docs" / "reference"
SOURCES = Path(__file__).parent.parent.parent / "rollout"


def test_a_log_line_is_json_and_cannot_be_forged() -> None:
    stream = io.StringIO()
    configure_logs(stream)

    structlog.get_logger().info("webhook.received", reason='x\n{"event":"forged"}\x1b[2J')

    (line,) = stream.getvalue().splitlines()
    assert json.loads(line)["event"] == "webhook.received"
    assert "\x1b" not in line


def test_levels_are_heeded() -> None:
    stream = io.StringIO()
    configure_logs(stream, level="warning")
    structlog.get_logger().info("x.y")

    assert stream.getvalue() == ""


def shown() -> tuple[Metrics, str]:
    metrics = Metrics(CollectorRegistry())
    metrics.show(live())
    return metrics, generate_latest(metrics.registry).decode()


def test_a_rollouts_metrics_are_named_by_service_not_by_run() -> None:
    _, text = shown()

    assert 'rollout_release_info{from_version="v1",namespace="bookinfo",service="reviews",to_version="v3"} 1.0' in text
    assert 'rollout_weight_ratio{namespace="bookinfo",service="reviews",version="v3"} 0.5' in text
    assert 'rollout_check_verdict{check="errors",namespace="bookinfo",service="reviews"} 0.0' in text
    assert "r-1" not in text


def test_the_end_is_counted_and_the_active_mark_goes() -> None:
    from dataclasses import replace

    metrics, _ = shown()
    metrics.end(replace(live(), state=state_of(SPEC, waited_s=7.0)), "promoted")
    text = generate_latest(metrics.registry).decode()

    assert 'rollout_releases_total{namespace="bookinfo",result="promoted",service="reviews"} 1.0' in text
    assert "rollout_release_info{" not in text
    assert 'rollout_release_waiting_seconds_sum{result="promoted"} 7.0' in text


def test_every_metric_is_documented_and_every_documented_one_exists() -> None:
    _, text = shown()
    exported = {
        name for name in re.findall(r"^# TYPE (rollout_\w+) ", text, re.MULTILINE) if not name.endswith("_created")
    }
    documented = set(re.findall(r"`(rollout_\w+)`", (DOCS / "metrics.md").read_text()))

    assert exported == documented


def test_every_log_event_is_documented_and_every_documented_one_is_logged() -> None:
    logged = {
        event
        for path in SOURCES.rglob("*.py")
        for event in re.findall(r"log\.(?:info|warning|exception|error)\(\s*\"([\w.]+)\"", path.read_text())
    }
    documented = set(re.findall(r"^\| `([\w]+\.[\w.]+)`", (DOCS / "events.md").read_text(), re.MULTILINE))

    assert logged == documented
    assert all(re.fullmatch(r"[a-z]+(\.[a-z_]+)+", event) for event in logged)


@pytest.fixture(autouse=True)
def restored_logs() -> object:
    yield
    structlog.reset_defaults()
    return None
