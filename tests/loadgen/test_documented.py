"""What people can ask for and what they are told is in the docs, or this fails."""

from pathlib import Path

import pytest

from loadgen.cli import VERBS
from loadgen.cli.metrics import Meter
from loadgen.cli.run import Exit
from loadgen.core.outcome import Outcome
from loadgen.fortio.options import UNSUPPORTED
from loadgen.server.behaviour import Fault

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "loadgen.md").read_text() + (DOCS / "reference" / "loadgen.md").read_text()


def test_every_metric_is_documented() -> None:
    names = {metric.name for metric in Meter("127.0.0.1:0").registry.collect()}
    assert names
    missing = {name for name in names if f"`{name}`" not in TEXT and f"`{name}_total`" not in TEXT}
    assert not missing


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "worker"])
def test_every_verb_is_documented(verb: str) -> None:
    assert f"loadgen {verb}" in TEXT


def test_every_exit_code_outcome_and_fault_is_documented() -> None:
    assert all(f"| {int(code)} | " in TEXT for code in Exit)
    assert all(f"`{outcome}`" in TEXT for outcome in Outcome)
    assert all(fault in TEXT for fault in Fault if fault is not Fault.NONE)


@pytest.mark.parametrize("flag", ["grpc", "h2", "L", "http1.0", "halfclose"])
def test_what_fortio_has_and_we_have_not_is_said(flag: str) -> None:
    assert flag in UNSUPPORTED
    assert f"`-{flag}`" in TEXT
