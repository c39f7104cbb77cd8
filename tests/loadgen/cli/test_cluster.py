"""--kubernetes on the command line, with local processes as pods."""

import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from loadgen.cli.cluster import KUBERNETES_TYPE, fleet_of
from tests.loadgen.cluster.pods import ROOT, LocalJob
from tests.loadgen.servers import Answers, Server


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def test_a_run_in_pods_reports_like_any_other(tmp_path: Path) -> None:
    manifest, port = tmp_path / "job.json", free_port()
    wanted = f"workers=2,collector=http://127.0.0.1:{port},manifest={manifest},mesh=no"
    with Server(Answers()) as server:
        command = [sys.executable, "-m", "loadgen", "run", server.url, "--rate", "100/s", "-t", "500ms", "-q"]
        with subprocess.Popen(
            [*command, "--output", "json", "--kubernetes", wanted],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        ) as run:
            try:
                until = time.monotonic() + 10
                while not manifest.exists() or not manifest.read_text().endswith("}"):
                    assert time.monotonic() < until
                    time.sleep(0.02)
                assert manifest.stat().st_mode & 0o777 == 0o600, "the run's token is in it"
                with LocalJob(json.loads(manifest.read_text()), tmp_path):
                    out, err = run.communicate(timeout=30)
            finally:
                run.kill()
    assert run.returncode == 0, err
    report = json.loads(out)["report"]
    assert (report["workers"], report["sent"]) == (2, 50)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "expected KEY=VALUE"),
        ("workers", "expected KEY=VALUE"),
        ("worker=3", "expected KEY=VALUE"),
        ("workers=0", "1 to 64"),
        ("workers=65", "1 to 64"),
        ("namespace=x", "workers=N"),
        ("workers=2,mesh=maybe", "mesh"),
        ("workers=2,listen=8484", "listen"),
        ("workers=2,collector=10.0.0.5:8484", "collector"),
        ("workers=2,collector=http://x/path", "collector"),
    ],
)
def test_a_wrong_key_is_named(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        fleet_of(text)
    with pytest.raises(click.BadParameter, match=says):
        KUBERNETES_TYPE.convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "pod", "addresses"),
    [
        ("collector=http://10.0.0.5:9000", "", ("http://10.0.0.5:9000", "0.0.0.0", 9000)),
        ("collector=http://load.example", "", ("http://load.example", "0.0.0.0", 8484)),
        ("collector=http://127.0.0.1:9000", "", ("http://127.0.0.1:9000", "127.0.0.1", 9000)),
        ("collector=http://localhost:9000", "", ("http://localhost:9000", "127.0.0.1", 9000)),
        ("collector=https://out.side,listen=[::1]:7000", "", ("https://out.side", "::1", 7000)),
        ("namespace=x", "10.1.2.3", ("http://10.1.2.3:8484", "0.0.0.0", 8484)),
        ("namespace=x", "fd00::3", ("http://[fd00::3]:8484", "0.0.0.0", 8484)),
    ],
)
def test_pods_are_told_where_to_come(
    text: str, pod: str, addresses: tuple[str, str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POD_IP", pod)

    assert fleet_of(f"workers=2,{text}")._addresses() == addresses


def test_somebody_has_to_say_where_pods_come_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POD_IP", raising=False)
    fleet = fleet_of("workers=2")
    assert KUBERNETES_TYPE.convert(fleet, None, None) is fleet
    with pytest.raises(ValueError, match="collector=http://HOST:PORT"):
        fleet._addresses()


@pytest.mark.parametrize(("token", "code", "says"), [("x", 104, "401"), (None, 1, "No such file")])
def test_a_pod_that_is_refused_says_so(token: str | None, code: int, says: str, tmp_path: Path) -> None:
    unauthorised = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n"
    if token is not None:
        (tmp_path / "token").write_text(token)
    with Server(Answers(unauthorised)) as server:
        command = [sys.executable, "-m", "loadgen", "pod", "--collector", server.url, "--index", "0"]
        done = subprocess.run(
            [*command, "--token-file", str(tmp_path / "token")],
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
            cwd=ROOT,
        )
    assert done.returncode == code
    assert says in done.stderr
