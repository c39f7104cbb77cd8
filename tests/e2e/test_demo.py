"""`rollout demo` as a stranger runs it: a process of its own, its stdout, its exit code, and nothing left behind."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(300),
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="Prometheus is missing: apt-get install prometheus"),
]


def demo(directory: Path, *flags: str) -> tuple[dict[str, Any], str]:
    command = [sys.executable, "-m", "rollout", "demo", "--output", "json", "--directory", str(directory), *flags]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=280, env={**os.environ, "CI": "1"}
    )
    assert done.returncode == 0, done.stderr
    *others, last = done.stdout.splitlines()
    assert others == []
    assert not still_running(directory), "it leaves nothing running"
    document: dict[str, Any] = json.loads(last)
    return {scenario["name"]: scenario for scenario in document["scenarios"]}, done.stderr


def still_running(directory: Path) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = process.read_bytes().decode(errors="replace").replace("\0", " ")
        except OSError:
            continue
        if str(directory) in command:
            found.append(command)
    return found


def test_a_good_release_is_promoted_and_a_bad_one_costs_users_nothing(tmp_path: Path) -> None:
    acts, told = demo(tmp_path / "demo")

    good, bad = acts["healthy"], acts["errors-100"]
    assert (good["result"], good["failed_user_requests"], good["final_weights"]) == ("promoted", 0, {"v3": 100})
    assert good["user_requests"] > 1000
    assert good["failed_page_views"] == 0
    assert (bad["result"], bad["failed_user_requests"], bad["final_weights"]) == ("rolled_back", 0, {"v1": 100})
    assert bad["weight_max"] == 0.0  # probes found it before any user did
    weights = [int(weight) for weight in re.findall(r"weight (\d+)%", told.partition("scenario errors-100")[0])]
    assert list(dict.fromkeys(weights)) == [0, 5, 25, 50, 100]
    assert "10 calls of the canary in a row failed" in told


def test_probes_find_it_before_users_do(tmp_path: Path) -> None:
    names = ("errors-20", "slow", "hang", "crash")
    acts, _ = demo(tmp_path / "demo", *(flag for name in names for flag in ("--scenario", name)))

    ends = {(act["result"], act["failed_user_requests"], act["weight_max"]) for act in acts.values()}
    assert set(acts) == set(names)
    assert ends == {("rolled_back", 0, 0.0)}


def test_without_probes_a_dead_canary_costs_twenty_requests_at_most(tmp_path: Path) -> None:
    acts, _ = demo(tmp_path / "demo", "--no-probe", "--scenario", "errors-100")

    act = acts["errors-100"]
    assert (act["result"], act["weight_max"], act["final_weights"]) == ("rolled_back", 10.0, {"v1": 100})
    assert act["failed_user_requests"] <= 20
    assert act["time_to_rollback_s"] <= 2.0


def test_an_unknown_scenario_is_named_and_the_known_ones_listed() -> None:
    command = [sys.executable, "-m", "rollout", "demo", "--scenario", "errors-101"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)

    assert done.returncode == 2
    assert "no scenario is named 'errors-101'; there are healthy, errors-100" in done.stderr
