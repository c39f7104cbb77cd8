"""`loadgen run` as people and scripts meet it."""

import io
import json
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from loadgen.cli.live import Live, bar, clock, headline
from loadgen.cli.metrics import Meter
from loadgen.cli.options import OPTIONS
from loadgen.cli.run import Exit, command, exit_of
from loadgen.cli.text import paired, told
from loadgen.core.breaker import BreakerChange, BreakerState
from loadgen.core.codec import from_json
from loadgen.core.outcome import Outcome
from loadgen.core.pairs import NOISE, PairSum
from loadgen.core.report import Closing, Report, Slow
from loadgen.core.threshold import judge, parse
from loadgen.core.trust import Trust, TrustLevel
from tests.loadgen.core.plans import TWO_ARMS, closed, steady
from tests.loadgen.core.reports import report
from tests.loadgen.core.snapshots import cell, snapshot, stratum
from tests.loadgen.http2_server import Http2
from tests.loadgen.servers import CERTIFICATE, OK, Answers, Server, swallows

INVALID = Closing(trust=Trust(level=TrustLevel.INVALID, reasons=("the generator itself was late",)))


def invoked(*arguments: str) -> Result:
    return CliRunner().invoke(command, list(arguments))


def test_a_run_that_keeps_its_promises_ends_with_zero() -> None:
    answers = Answers()
    with Server(answers) as server:
        done = invoked(server.url, "--rate", "200/s", "-t", "300ms", "--threshold", "p99<5s", "errors<1%", "-q")
    assert done.exit_code == Exit.OK, done.output
    assert "THRESHOLDS  ✓ p99<5s (" in done.output
    assert "✓ errors<1% (0.00%)" in done.output
    assert "requests 60 · 200.00/s" in done.output
    assert "latency (from intended start)   p50 " in done.output
    assert "  v1  60  0.00%" in done.output
    assert len(answers.asked) == 60


def test_a_run_that_breaks_one_says_so_in_its_exit_code() -> None:
    with Server(Answers(b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n")) as server:
        done = invoked(server.url, "--rate", "100/s", "-n", "20", "errors<1%", "-q")
    assert done.exit_code == Exit.THRESHOLDS
    assert "✗ errors<1% (100.00%)" in done.output
    assert "errors  503 ×20" in done.output


@pytest.mark.parametrize(
    "arguments",
    [
        ("ftp://x/",),
        ("http://127.0.0.1/", "--connections", "0"),
        ("http://127.0.0.1/", "--stage", "1/s:1s", "-t", "5s"),
        ("http://127.0.0.1/", "--arm-header", "canary", "a: b"),
        ("http://127.0.0.1/", "-d", "@/no/such/file"),
        ("http://169.254.169.254/",),
        ("http://no-such-host.invalid/",),
        ("http://127.0.0.1/", "--streams", "2"),
        ("http://127.0.0.1/", "--noise", "5%"),
        ("http://127.0.0.1/", "--metrics", "nowhere"),
    ],
)
def test_what_cannot_be_run_is_a_configuration_error(arguments: tuple[str, ...]) -> None:
    done = invoked(*arguments, "-q")
    assert done.exit_code == Exit.CONFIG
    assert done.stderr.startswith("error: ")


def test_a_command_line_that_means_nothing_is_one_too() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "loadgen", "run", "http://x/", "--rate", "fast"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == Exit.CONFIG
    assert "'fast' is no rate" in done.stderr


def test_everything_that_can_be_asked_for_reaches_the_server(tmp_path: Path) -> None:
    answers = Answers()
    body = tmp_path / "body"
    body.write_text("id={uuid}")
    with Server(answers) as server:
        done = invoked(
            "http://reviews:9080/a?b=c", "--connect", f"127.0.0.1:{server.port}", "-q",
            "--stage", "0..200/s:100ms", "--stage", "100/s:100ms", "--poisson", "--seed", "7",
            "-X", "put", "-H", "x-team: red", "-d", f"@{body}", "--no-trace", "--reuse", "2:4", "--late", "skip",
            "--arm", "stable=50%", "--arm", "canary=50%", "--arm-header", "canary", "x-rollout-version: v3",
        )  # fmt: skip
    assert done.exit_code == Exit.OK, done.output
    heads = [request.partition(b"\r\n\r\n")[0] for request in answers.asked]
    assert len(heads) > 5
    assert all(b"PUT /a?b=c HTTP/1.1\r\nHost: reviews:9080\r\n" in head for head in heads)
    assert all(b"x-team: red" in head and b"traceparent" not in head for head in heads)
    assert 0 < sum(b"x-rollout-version: v3" in head for head in heads) < len(heads)
    assert server.accepted > len(heads) / 4


def test_http2_over_tls_with_another_name_and_connections_that_age() -> None:
    talk = Http2()
    with Server(talk, tls=True, alpn="h2") as server:
        done = invoked(
            "https://reviews/a", "--connect", f"127.0.0.1:{server.port}", "-q", "-n", "20", "--rate", "200/s",
            "-c", "2", "--http2", "--streams", "3", "--cacert", str(CERTIFICATE), "--server-name", "localhost",
            "--max-age", "20ms",
        )  # fmt: skip
    assert done.exit_code == Exit.OK, done.output
    assert "  v2  20  0.00%" in done.output
    assert {(fields[":scheme"], fields[":authority"]) for fields in talk.fields} == {("https", "reviews")}
    assert server.accepted > 2


def test_pairs_are_told_with_their_noise_floor() -> None:
    with Server(Answers()) as server:
        done = invoked(
            server.url, "--rate", "200/s", "-n", "40", "-q",
            "--pair", "--arm", "stable=1", "--arm", "canary=1", "--noise", "50%"
        )  # fmt: skip
    lines = [line for line in done.output.splitlines() if line.startswith("paired  ")]
    assert {line.split()[1] for line in lines} == {"canary", "stable"}
    assert any("stable against itself takes" in line for line in lines)


def test_a_noise_floor_that_is_not_one_is_said_aloud() -> None:
    sums = PairSum(arm=NOISE, count=100, log_ratio=10.0, log_ratio_squared=1.01)
    assert "NOISE" in paired(replace(report(), pairs=(sums,)), 0.99)[0]
    assert "NOISE" not in paired(replace(report(), pairs=(replace(sums, log_ratio=0.1),)), 0.99)[0]


def test_a_body_alone_makes_a_post_and_a_closed_loop_counts() -> None:
    answers = Answers()
    with Server(answers) as server:
        done = invoked(server.url, "--closed", "-n", "12", "-c", "2", "-d", "hello", "-q")
    assert done.exit_code == Exit.OK
    assert [request[:5] for request in answers.asked] == [b"POST "] * 12
    assert "sent on time" not in done.output


def test_programs_get_json_and_the_report_can_be_saved(tmp_path: Path) -> None:
    file = tmp_path / "new" / "report.json"
    with Server(Answers()) as server:
        done = invoked(server.url, "--rate", "100", "-n", "20", "-q", "--output", "json", "--save", str(file), "p99<5s")
    document = json.loads(done.stdout)
    assert document["thresholds"][0]["passed"] is True
    assert document["summary"]["everything"]["count"] == 20
    assert document["summary"]["everything"]["p99"]["upper"] is None
    saved = from_json(Report, json.loads(file.read_text())["report"])
    assert saved.completed == 20
    assert from_json(Report, document["report"]) == saved


def test_progress_goes_to_stderr_and_the_summary_to_stdout() -> None:
    with Server(Answers()) as server:
        done = invoked(server.url, "--rate", "100", "-t", "200ms")
    assert "open model · 100/s · 0.2s · HTTP/1.1 keep-alive · 64 conns max" in done.stderr
    assert "--- summary ---" not in done.stderr
    assert done.stdout.startswith("--- summary ---")


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_once_sums_up_and_twice_ends_at_once(times: int) -> None:
    with Server(swallows) as server:
        process = subprocess.Popen(
            [sys.executable, "-m", "loadgen", "run", server.url, "--rate", "50", "-t", "60s"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        while server.accepted == 0:
            time.sleep(0.01)
        for pause_s in (0.3, 0.05)[:times]:
            time.sleep(pause_s)
            process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=10)
    assert process.returncode == Exit.SIGNAL
    assert ("interrupted: the run was stopped early" in output) is (times == 1)
    assert "Traceback" not in errors


def test_a_run_that_cannot_be_believed_passes_nothing() -> None:
    good = report(cell(Outcome.OK, 1), closing=INVALID)
    verdicts = [judge(parse("p99<1s"), good)]
    assert exit_of(good, verdicts) is Exit.INVALID
    assert exit_of(report(closing=Closing(interrupted=True)), []) is Exit.SIGNAL
    assert exit_of(report(cell(Outcome.OK, 1)), verdicts) is Exit.OK


# ---- what it says


def test_the_summary_says_all_that_matters() -> None:
    closing = Closing(
        trust=Trust(level=TrustLevel.DEGRADED, reasons=("late (for 0.1 s)",)),
        slowest=(Slow(response_s=0.4, trace_id="ab" * 16, arm="a", due_s=0.0),),
        breaker=(BreakerChange(at_s=1.5, state=BreakerState.OPEN, reason="slow"),),
        interrupted=True,
    )
    text = told(
        report(
            cell(Outcome.OK, *range(1, 2001)),
            cell(Outcome.TIMEOUT, 3000, version="", status=0),
            closing=closing,
            dropped=2,
            withheld=3,
            retried=1,
            start_delay=[(100_000, 1)],
        )
    )
    lines = text.splitlines()
    assert lines[1].endswith("· dropped 2 · withheld 3 · retried 1")
    assert "  (none)      1  100.00%" in text
    assert "  v1      2,000    0.00%" in text
    assert "[1.97s, 1.99s]" in text
    assert "slowest 400ms  trace " + "ab" * 16 in text
    assert "load breaker open at 1.5s: slow" in text
    assert lines[-3:] == [
        "interrupted: the run was stopped early",
        "trust DEGRADED: believe with care",
        "  late (for 0.1 s)",
    ]


def test_a_run_without_an_answer_has_no_latency() -> None:
    text = told(report(closing=INVALID, plan=closed()))
    assert "latency  no data" in text
    assert "trust INVALID: this run is no evidence" in text


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def moments(count: int) -> list[Any]:
    return [
        snapshot(
            stratum(0, cell(Outcome.OK, 18, 20), cell(Outcome.RESET, 5, version="v3", arm="canary", status=0)),
            as_of_s=0.1 * (n + 1),
            sent=3,
            completed=3,
            asked_per_s=30.0,
            in_flight=2,
        )
        for n in range(count)
    ]


def test_on_a_terminal_the_same_lines_are_drawn_again_and_wiped_at_the_end() -> None:
    out = Terminal()
    live = Live(steady(30, 10, arms=TWO_ARMS), out)
    live.begin()
    for moment in moments(8):
        live.update(moment)
    live.end()
    text = out.getvalue()
    assert "30.0/s (target 30)  in-flight 2  late windows 0  errors 33.3%" in text
    assert "v1           20.0/s  p50 18ms  p95 20ms  p99 20ms" in text
    assert text.count("\x1b[3F") == 3
    assert text.endswith("\x1b[J")


def test_elsewhere_a_line_comes_now_and_then() -> None:
    out = io.StringIO()
    live = Live(closed(400), out)
    for moment in moments(110):
        live.update(moment)
    live.end()
    assert len(out.getvalue().splitlines()) == 3
    assert "75%" in out.getvalue()
    assert "\x1b" not in out.getvalue()


def test_two_arms_answered_by_one_version_are_one_line() -> None:
    live = Live(steady(30, 10), io.StringIO())
    both = stratum(0, cell(Outcome.OK, 1), cell(Outcome.OK, 3, arm="canary"), cell(Outcome.EOF, 3, arm="canary"))
    live.update(snapshot(both, sent=3, completed=3))
    assert len(live.versions()) == 1
    assert "errors 33.3%" in live.progress()


@pytest.mark.parametrize(("done", "text"), [(0.0, "[>---"), (0.57, "[===================>"), (1.0, "=] 100%")])
def test_a_bar_shows_how_much_is_done(done: float, text: str) -> None:
    assert text in bar(done)
    assert len(bar(done)) == len(bar(0.5))


def test_the_time_is_told_in_minutes() -> None:
    assert (clock(34.9), clock(61)) == ("0:34", "1:01")
    assert headline(closed(5)).startswith("closed model · 5 requests")


def test_every_option_says_what_it_does() -> None:
    text = invoked("--help").output
    assert len(OPTIONS) > 30
    assert text.count("  --") + text.count(", --") >= len(OPTIONS)


# ---- metrics


def test_a_run_can_be_scraped() -> None:
    with Meter("127.0.0.1:0") as meter:
        meter.update(
            snapshot(
                stratum(0, cell(Outcome.OK, 18, 20), cell(Outcome.DROPPED, 0, version="")), dropped=1, asked_per_s=30.0
            )
        )
        page = urllib.request.urlopen(f"http://127.0.0.1:{meter.port}/metrics", timeout=5).read().decode()
    assert 'loadgen_requests_total{outcome="ok",version="v1"} 2.0' in page
    assert 'loadgen_request_duration_seconds_bucket{le="0.02",version="v1"}' in page
    assert 'loadgen_request_duration_seconds_count{version="v1"} 2.0' in page
    assert "loadgen_dropped_total 1.0" in page
    assert "loadgen_target_rate 30.0" in page
    assert "loadgen_trusted 1.0" in page


def test_metrics_are_served_while_a_run_runs() -> None:
    pages: list[str] = []

    def talk(connection: Any) -> None:
        from tests.loadgen.servers import read_request

        while True:
            read_request(connection)
            if not pages:
                pages.append(urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).read().decode())
            connection.sendall(OK)

    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with Server(talk) as server:
        done = invoked(server.url, "--rate", "20", "-t", "300ms", "--metrics", f"127.0.0.1:{port}", "-q")
    assert done.exit_code == Exit.OK, done.output
    assert "loadgen_in_flight" in pages[0]
