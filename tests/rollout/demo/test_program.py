"""The programs as processes: the ready line, signals, exit codes, and a scenario that outlives a crash."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest

BOOKINFO = "rollout.demo.bookinfo"
HTTPBIN = "rollout.demo.httpbin"
WAIT_S = 20  # a start takes half a second; this much only where the machine is busy


@contextmanager
def program(module: str, *flags: str) -> Iterator["subprocess.Popen[str]"]:
    """A child process that is gone when the block ends, come what may."""
    command = [sys.executable, "-W", "error", "-m", module, *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        try:
            yield child
        finally:
            child.kill()


def ready(child: "subprocess.Popen[str]") -> dict[str, Any]:
    assert child.stdout is not None
    line = child.stdout.readline()
    assert line, child.communicate(timeout=WAIT_S)[1]
    said: dict[str, Any] = json.loads(line)
    return said


def fetch(port: int, path: str, *, body: str | None = None) -> tuple[int, str]:
    request = Request(
        f"http://127.0.0.1:{port}{path}", data=body.encode() if body else None, method="PUT" if body else "GET"
    )
    with urlopen(request, timeout=WAIT_S) as response:
        return response.status, response.read().decode()


def ended(child: "subprocess.Popen[str]") -> tuple[int, str, str]:
    out, err = child.communicate(timeout=WAIT_S)
    return child.returncode, out, err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_httpbin_says_where_it_listens_and_ends_well_when_told(number: signal.Signals) -> None:
    with program(HTTPBIN) as child:
        said = ready(child)
        assert set(said) == {"ports", "admin_port", "pods", "pid"}
        assert said["pid"] == child.pid
        assert said["pods"]["httpbin-v1"].startswith("httpbin-v1-")
        assert fetch(said["ports"]["httpbin-v1"], "/get?a=1")[0] == 200
        assert '"httpbin-v1": "healthy"' in fetch(said["admin_port"], "/__scenario")[1]

        child.send_signal(number)
        assert ended(child) == (0, "", "")


def test_bookinfo_serves_the_whole_shop_from_one_process() -> None:
    with program(BOOKINFO, "--all") as child:
        said = ready(child)
        assert len(said["ports"]) == len(said["pods"]) == 6
        pages = [fetch(said["ports"]["productpage-v1"], "/productpage?u=normal") for _ in range(3)]
        assert [status for status, _ in pages] == [200, 200, 200]
        assert ["stars red" in text for _, text in pages] == [False, False, True]

        child.send_signal(signal.SIGTERM)
        assert ended(child) == (0, "", "")


def test_a_crash_is_remembered_so_that_every_start_crashes_again(tmp_path: Path) -> None:
    flags = ["--service", "details", "--scenario-file", str(tmp_path / "scenario.json")]
    with program(BOOKINFO, *flags) as child:
        said = ready(child)
        assert fetch(said["admin_port"], "/__scenario", body='{"name": "crash"}')[0] == 200
        with pytest.raises((URLError, ConnectionError)):
            fetch(said["ports"]["details-v1"], "/details/0")
        assert ended(child)[0] == 3

    with program(BOOKINFO, *flags, "--scenario", "healthy") as child:
        said = ready(child)
        assert '"details-v1": "crash"' in fetch(said["admin_port"], "/__scenario")[1]


def test_a_taken_port_is_an_exit_with_1_and_its_number() -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        with program(HTTPBIN, "--port", str(port)) as child:
            code, out, err = ended(child)
    assert (code, out) == (1, "")
    assert f"cannot listen on 127.0.0.1 port {port}" in err
    assert "Traceback" not in err


def test_a_port_that_the_parent_holds_may_be_shared() -> None:
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        with program(HTTPBIN, "--port", str(port), "--reuse-port") as child:
            assert ready(child)["ports"] == {"httpbin-v1": port}
            assert fetch(port, "/get")[0] == 200


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--service", "reviews", "--version", "v3"], "reviews-v3 calls ratings: give --outbound, or --ratings-url"),
        (["--all", "--scenario", "crash"], "a crash would end all workloads"),
        (["--service", "details", "--work-ms", "-1"], "between 0 and 60 seconds"),
        (["--service", "details", "--no-such-flag"], "unrecognized arguments"),
    ],
)
def test_wrong_flags_are_an_exit_with_2_and_the_reason(flags: list[str], says: str) -> None:
    with program(BOOKINFO, *flags) as child:
        code, out, err = ended(child)
    assert (code, out) == (2, "")
    assert says in err
    assert "Traceback" not in err


def test_a_scenario_file_that_makes_no_sense_is_an_exit_with_2(tmp_path: Path) -> None:
    kept = tmp_path / "scenario.json"
    kept.write_text('{"name": "sad"}')
    with program(HTTPBIN, "--scenario-file", str(kept)) as child:
        code, _, err = ended(child)
    assert code == 2
    assert f"{kept}: no scenario is named 'sad'" in err


def test_a_scenario_file_that_cannot_be_written_is_an_exit_with_1(tmp_path: Path) -> None:
    kept = tmp_path / "no-such-directory" / "scenario.json"
    with program(HTTPBIN, "--scenario-file", str(kept)) as child:
        code, _, err = ended(child)
    assert code == 1
    assert "no-such-directory" in err
    assert "Traceback" not in err
