"""Verbs that look: what goes to stdout, what to stderr, and the exit code."""

import json
import threading
import time

import pytest
import yaml

from rollout.core.phase import Cause, Phase
from tests.rollout.cli.conftest import Shell
from tests.rollout.core.worlds import state_of


def test_get_without_rollouts_says_how_to_begin(shell: Shell) -> None:
    code, out, err = shell("get")

    assert (code, out) == (0, "")
    assert "rollout start SERVICE --to VERSION" in err


def test_get_lists_rollouts_a_line_each(shell: Shell) -> None:
    rollout = shell.do(lambda d: d.started(step=3))

    code, out, _ = shell("get")

    assert code == 0
    header, line = out.splitlines()
    assert header.split() == ["ID", "SERVICE", "FROM", "TO", "STEP", "WEIGHT", "STATUS", "AGE", "BY"]
    assert line.split()[:6] == [rollout.id, "reviews", "v1", "v3", "4/7", "25%"]
    assert "reviews.bookinfo" in shell("get", "-o", "wide")[1]
    assert shell("get", "-o", "name")[1].strip() == rollout.id
    assert json.loads(shell("get", "-o", "json")[1])["items"][0]["id"] == rollout.id


def test_get_of_one_service_shows_traffic_steps_and_checks(shell: Shell) -> None:
    shell.do(lambda d: d.started(step=3))

    code, out, _ = shell("get", "reviews")

    assert code == 0
    for piece in ("reviews.bookinfo", "v1 → v3", "Progressing", "set 25%", "4 weight 25%", "errors", "latency.p99"):
        assert piece in out
    assert yaml.safe_load(shell("get", "reviews", "-o", "yaml")[1])["step"] == 4
    assert "\x1b" not in out


def test_watch_is_for_one_service_and_people(shell: Shell) -> None:
    assert shell("get", "-w")[0] == 2
    assert shell("get", "reviews", "-w", "-o", "json")[0] == 2


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"phase": Phase.SUCCEEDED, "step": 7}, 0),
        ({"phase": Phase.ROLLED_BACK, "decided": Cause.CHECK_FAILED, "detail": "errors: 5%"}, 3),
        ({"phase": Phase.ROLLED_BACK, "decided": Cause.ABORT_REQUESTED}, 7),
    ],
)
def test_status_says_by_its_exit_code_how_it_ended(shell: Shell, changes: dict[str, object], code: int) -> None:
    shell.do(lambda d: d.started(**changes))

    found, out, err = shell("status", "reviews")

    assert found == code
    assert len(out.splitlines()) == 2  # one line per transition
    assert ("rolled back: errors: 5%" in err) is (code == 3)


def test_status_waits_for_the_end(shell: Shell) -> None:
    rollout = shell.do(lambda d: d.started(step=1))

    def finish() -> None:
        time.sleep(0.4)
        shell.do(lambda d: d.put(rollout, state_of(rollout.spec, phase=Phase.SUCCEEDED, step=7)))

    thread = threading.Thread(target=finish)
    thread.start()
    code, out, _ = shell("status", "reviews")
    thread.join()

    assert code == 0
    assert out.splitlines()[-1].split()[4] == "phase=Succeeded" or "Succeeded" in out.splitlines()[-1]


def test_status_gives_up_waiting_but_the_rollout_goes_on(shell: Shell) -> None:
    shell.do(lambda d: d.started(step=1))

    assert shell("status", "reviews", "--no-watch")[0] == 5
    code, _, err = shell("status", "reviews", "--timeout", "1ms")
    assert code == 5
    assert "still running" in err
    assert shell("status", "reviews", "--timeout", "soon")[0] == 2


def test_start_can_wait_as_well(shell: Shell) -> None:
    code, _, err = shell("start", "reviews", "--to", "v3", "--wait=1ms")

    assert code == 5
    assert "started r-" in err


def test_events_and_history_are_lines(shell: Shell) -> None:
    rollout = shell.do(lambda d: d.started(phase=Phase.SUCCEEDED, step=7, cause=Cause.TRAFFIC_MOVED))

    _, out, _ = shell("events", "reviews")
    assert [line.split()[1] for line in out.splitlines()] == ["step=0", "step=7"]
    assert shell("events", "reviews", "-f")[1] == out
    assert len(json.loads(shell("events", "reviews", "-o", "json")[1])["items"]) == 2
    assert rollout.id in shell("history", "reviews")[1]
    assert shell("history", "ratings")[0] == 1


def test_explain_gives_every_check_its_sentence(shell: Shell) -> None:
    rollout = shell.do(lambda d: d.started(step=0, cause=Cause.PREFLIGHT_PASSED))
    shell.do(lambda d: d.put(rollout, state_of(rollout.spec, step=1, cause=Cause.STEP_PASSED)))

    code, out, _ = shell("explain", "reviews")
    assert code == 0
    assert "errors (load): inconclusive" in out
    only = shell("explain", "reviews", "--step", "2", "--check", "latency.p99")[1]
    assert [line.split()[0] for line in only.splitlines()[1:]] == ["latency.p99"]
    assert "has not been judged" in shell("explain", "reviews", "--step", "6")[2]
    assert json.loads(shell("explain", "reviews", "-o", "json")[1])["items"][0]["agrees"]
