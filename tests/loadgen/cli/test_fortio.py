"""`loadgen fortio`, as the tutorial and its scripts meet it."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.loadgen.servers import OK, Answers, Server

BAD = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"


def fortio(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "loadgen", "fortio", *arguments], check=False, capture_output=True, text=True, timeout=20
    )


def test_the_tutorials_load_prints_fortios_report_on_stderr() -> None:
    with Server(Answers(*[OK] * 16, BAD)) as server:
        done = fortio("load", "-c", "3", "-qps", "0", "-n", "20", "-loglevel", "Warning", server.url)
    assert (done.returncode, done.stdout) == (0, "")
    lines = done.stderr.splitlines()
    assert "Code 200 : 16 (80.0 %)" in lines
    assert "Code 503 : 4 (20.0 %)" in lines
    expected = [
        r'\{"ts":\d+\.\d+,"level":"info","msg":"Log level is now 3 Warning \(was 2 Info\)"\}',
        rf"Fortio [\d.]+ running at 0 queries per second, \d+->\d+ procs, for 20 calls: {server.url}",
        r"Starting at max qps with 3 thread\(s\) \[gomax \d+\] for exactly 20 calls \(6 per thread \+ 2\)",
        r'\{"ts":\d+\.\d+,"level":"warn","msg":"Non ok http code","code":503,"status":"HTTP/1.1 503.*',
        r"Ended after [\d.]+m?s : 20 calls. qps=[\d.]+",
        r"Aggregated Function Time : count 20 avg [\d.e-]+ \+/- [\d.e-]+ min [\d.e-]+ max [\d.e-]+ sum [\d.e-]+",
        r"# range, mid point, percentile, count",
        r">= [\d.e-]+ <= [\d.e-]+ , [\d.e-]+ , [\d.]+, \d+",
        r"# target 50% [\d.e-]+",
        r"# target 99.9% [\d.e-]+",
        r"Error cases : count 4 avg .*",
        r"# Socket and IP used for each connection:",
        rf"\[0\]   \d socket used, resolved to 127.0.0.1:{server.port}, connection timing : count \d avg .*",
        r"Connection time \(s\) : count \d avg .*",
        r"Sockets used: [3-7] \(for perfect keepalive, would be 3\)",
        r"Uniform: false, Jitter: false, Catchup allowed: true",
        r"IP addresses distribution:",
        rf"127.0.0.1:{server.port}: [3-7]",
        r"Code 200 : 16 \(80.0 %\)",
        r"Response Header Sizes : count 20 avg .*",
        r"Response Body/Total Sizes : count 20 avg .*",
        r"All done 20 calls \(plus 0 warmup\) [\d.]+ ms avg, [\d.]+ qps",
    ]
    at = 0
    for pattern in expected:
        at = next((place for place in range(at, len(lines)) if re.fullmatch(pattern, lines[place])), -1) + 1
        assert at, f"{pattern} is not in its place in:\n{done.stderr}"
    assert at == len(lines)


def test_json_goes_to_stdout_and_has_fortios_fields() -> None:
    with Server(Answers()) as server:
        done = fortio("load", "-c", "2", "-qps", "50", "-t", "200ms", "-quiet", "-json", "-", server.url)
    document = json.loads(done.stdout)
    assert done.returncode == 0
    assert list(document)[:10] == [
        "RunType", "Labels", "StartTime", "RequestedQPS", "RequestedDuration", "ActualQPS", "ActualDuration",
        "NumThreads", "Version", "DurationHistogram",
    ]  # fmt: skip
    assert document["RetCodes"] == {"200": 10}
    assert document["DurationHistogram"]["Count"] == 10
    assert [entry["Percentile"] for entry in document["DurationHistogram"]["Percentiles"]] == [50, 75, 90, 99, 99.9]
    assert document["ErrorsDurationHistogram"]["Data"] is None
    assert document["Sockets"] == [1, 1]
    assert document["IPCountMap"] == {f"127.0.0.1:{server.port}": 2}
    assert document["RequestedDuration"] == "200ms"
    assert "Starting" not in done.stderr
    assert "All done 10 calls (plus 2 warmup)" in done.stderr


def test_results_are_saved_where_fortio_would_look_for_them(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    with Server(Answers()) as server:
        arguments = ["-qps", "0", "-n", "4", "-a", "-data-dir", str(tmp_path), "-labels", "a b", "-json", str(file)]
        fortio("load", *arguments, "-runid", "7", server.url.removeprefix("http://"))
    document = json.loads(file.read_text())
    assert document["ID"].endswith("_7_a_b")
    assert json.loads((tmp_path / f"{document['ID']}.json").read_text()) == document


def test_falling_behind_is_told() -> None:
    with Server(Answers()) as server:
        done = fortio("load", "-c", "1", "-qps", "100000", "-n", "50", server.url)
    assert re.search(r"WARNING \d+\.\d\d% of sleep were falling behind", done.stderr)
    assert "Sleep times : count 49 avg -" in done.stderr
    assert "Connection time histogram (s) : count 1" in done.stderr


def test_nobody_there_is_minus_one_and_no_error_of_the_command() -> None:
    done = fortio("load", "-c", "1", "-qps", "0", "-n", "2", "http://127.0.0.1:1/")
    assert done.returncode == 0
    assert "Code  -1 : 2 (100.0 %)" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [("load", "http://127.0.0.1:1/"), ("load", "-z", "http://x/"), ("curl",), ("load", "http://no-such-host.invalid/")],
)
def test_what_cannot_begin_ends_with_one(arguments: tuple[str, ...]) -> None:
    done = fortio(*arguments)
    assert done.returncode == 1
    assert '"level":"fatal"' in done.stderr or "Aborting because of error -1" in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_ends_a_run_with_its_report() -> None:
    with Server(Answers()) as server:
        process = subprocess.Popen(
            [sys.executable, "-m", "loadgen", "fortio", "load", "-qps", "20", "-t", "0", "-json", "-", server.url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        while server.accepted < 4:
            time.sleep(0.01)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=10)
    assert process.returncode == 0
    assert "until stop, interrupted after" in json.loads(output)["RequestedDuration"]


def test_one_call_puts_the_head_on_stderr_and_only_200_is_good() -> None:
    with Server(Answers(OK, b"HTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\nhi", BAD)) as server:
        good, created, bad = (fortio("curl", "-quiet", server.url) for _ in range(3))
    assert (good.returncode, good.stdout) == (0, "hello")
    assert good.stderr.startswith("HTTP/1.1 200 OK\n")
    assert (created.returncode, created.stdout) == (1, "hi")
    assert bad.returncode == 1
    assert bad.stdout.startswith("HTTP/1.1 503 Service Unavailable\n")
    assert '"msg":"Error status 503"' in bad.stderr
