"""The two ends of one call, as commands."""

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from loadgen.cli import run
from loadgen.cli.curl import command as curl
from loadgen.cli.serve import command as serve
from tests.loadgen.servers import Answers, Server


@contextlib.contextmanager
def served(*arguments: str) -> Iterator[tuple[str, list[str]]]:
    """Give a server's URL; after the block, what it said at its end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "loadgen", "serve", "--port", "0", *arguments], stdout=subprocess.PIPE, text=True
    )
    said: list[str] = []
    try:
        assert process.stdout is not None
        yield process.stdout.readline().removeprefix("serving on ").strip(), said
        process.send_signal(signal.SIGTERM)
        said.extend(process.stdout.read().splitlines())
        assert process.wait(timeout=5) == 0
    finally:
        process.kill()
        process.communicate()


def test_a_run_against_the_echo_server_agrees_with_its_own_count() -> None:
    with served("--version", "v3", "--default", "status=503:30") as (url, said):
        done = CliRunner().invoke(run.command, [url, "--rate", "200", "-n", "100", "-q", "--no-breaker"])
    assert "  v3  100  " in done.output
    assert said[0] == "100 requests on 64 connections"
    assert said[1].startswith("200 ×")
    assert said[2].startswith("503 ×")
    failed = int(said[2].removeprefix("503 ×"))
    assert f"errors  503 ×{failed}" in done.output
    assert 15 <= failed <= 45


def test_an_incident_has_a_beginning_and_an_end() -> None:
    with served("--window", "0s..60s:status=500", "--window", "60s..61s:status=501") as (url, _):
        assert CliRunner().invoke(curl, [url]).exit_code == 1


def test_a_port_that_is_taken_is_an_error() -> None:
    with Server(Answers()) as server:
        done = CliRunner().invoke(serve, ["--port", str(server.port)])
    assert done.exit_code == 1
    assert "error: " in done.stderr


def test_one_call_shows_the_head_and_gives_the_body() -> None:
    answers = Answers()
    with Server(answers) as server:
        done = CliRunner().invoke(
            curl, ["http://reviews:9080/a", "--connect", f"127.0.0.1:{server.port}", "-H", "x-a: b", "-d", "ping"]
        )
    assert done.exit_code == 0
    assert done.stdout == "hello"
    assert done.stderr.startswith("HTTP/1.1 200 OK\n")
    assert answers.asked[0].startswith(b"POST /a HTTP/1.1\r\nHost: reviews:9080\r\n")
    assert answers.asked[0].endswith(b"ping")


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (("http://127.0.0.1:1/",), 1, "error: connect from"),
        (("http://169.254.169.254/",), 104, "never loaded"),
        (("http://no-such-host.invalid/",), 104, "no-such-host"),
        (("nonsense",), 104, "url:"),
    ],
)
def test_a_call_that_fails_says_why(arguments: tuple[str, ...], code: int, word: str) -> None:
    done = CliRunner().invoke(curl, list(arguments))
    assert done.exit_code == code
    assert word in done.stderr
