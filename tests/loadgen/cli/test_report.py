"""Saved reports, shown and compared."""

import csv
import io
import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from loadgen.cli.compare import command as compare
from loadgen.cli.report import command as report_command
from loadgen.cli.report import quoted
from loadgen.cli.run import save
from loadgen.cli.svg import Axis, Line, plot
from loadgen.core.outcome import Outcome
from loadgen.core.pairs import PairSum
from loadgen.core.plan import Target
from loadgen.core.report import Accumulator, Closing, Report, Totals
from loadgen.core.trust import Trust, TrustLevel
from tests.loadgen.core.plans import steady
from tests.loadgen.core.reports import report
from tests.loadgen.core.snapshots import cell, stratum


def a_run(factor: int = 1, url: str = "http://127.0.0.1/", trust: TrustLevel = TrustLevel.OK) -> Report:
    books = Accumulator(steady(100, 5, targets=(Target(url=url),)))
    for index in range(5):
        v1 = cell(Outcome.OK, *(factor * (10 + n % 40) for n in range(200)))
        v3 = cell(Outcome.OK, *(factor * (15 + n % 50) for n in range(200)), version="v3", arm="canary")
        bad = cell(Outcome.HTTP_5XX, 5, version="v3", arm="canary", status=503)
        books.add([stratum(index, v1, v3, bad)], [PairSum(arm="canary").with_pair(10, 12 + index)], index + 1)
    return books.report(
        Totals(start_unix_s=1e9, duration_s=5.0, sent=2005), Closing(trust=Trust(level=trust, reasons=()))
    )


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    paths = tmp_path / "a.json", tmp_path / "b.json"
    for path, factor in zip(paths, (1, 2), strict=True):
        save(path, a_run(factor))
    return str(paths[0]), str(paths[1])


def shown(*arguments: str) -> Result:
    return CliRunner().invoke(report_command, list(arguments))


def test_a_saved_report_is_shown_as_it_was_at_the_end_of_the_run(files: tuple[str, str]) -> None:
    done = shown(files[0])
    assert done.exit_code == 0
    assert "  v3  1,005  0.50%" in done.output
    assert "errors  503 ×5" in done.output


def test_programs_get_numbers(files: tuple[str, str]) -> None:
    summary = json.loads(shown(files[0], "--format", "json").output)
    assert summary["everything"]["count"] == 2005
    assert [group["name"] for group in summary["versions"]] == ["v1", "v3"]


def test_a_spreadsheet_gets_the_series(files: tuple[str, str]) -> None:
    rows = list(csv.DictReader(io.StringIO(shown(files[0], "--format", "csv").output)))
    assert len(rows) == 10
    assert {row["version"] for row in rows} == {"v1", "v3"}
    assert float(rows[0]["p50_s"]) == pytest.approx(0.039, abs=0.01)


@pytest.mark.parametrize(
    ("name", "cell_text"), [("v1", "v1"), ('a,"b"', '"a,""b"""'), ("=cmd()", "'=cmd()"), ("@x,y", '"\'@x,y"')]
)
def test_a_version_cannot_break_out_of_its_cell(name: str, cell_text: str) -> None:
    assert quoted(name) == cell_text


def test_a_page_has_its_plots_and_needs_nothing_else(files: tuple[str, str], tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    assert shown(files[0], "--format", "html", "-o", str(out)).output == ""
    page = out.read_text()
    assert page.count("<svg") == 3
    assert "v3 p99" in page
    assert "<script" not in page
    assert "http-equiv" in page
    for drawing in page.split("<svg")[1:]:
        ET.fromstring("<svg" + drawing.partition("</svg>")[0] + "</svg>")


def test_what_a_server_says_cannot_become_part_of_the_page(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    evil = "<img src=x onerror=alert(1)>"
    save(file, report(cell(Outcome.OK, 1, 2, 3, version=evil), plan=steady(url=f"http://a/{evil.replace(' ', '+')}")))
    page = shown(str(file), "--format", "html").output
    assert "<img" not in page
    assert "&lt;img" in page


def test_a_run_without_an_answer_has_a_page_too(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    save(file, report())
    assert shown(str(file), "--format", "html").output.count("no data") >= 3


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"report": {}}', '{"report": 1}', "\x00", "[" * 100_000])
def test_what_is_no_report_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text(text)
    done = shown(str(file))
    assert done.exit_code == 104
    assert done.stderr.startswith("error: ")


def test_a_file_that_is_not_there_is_refused() -> None:
    assert shown("/no/such/file").exit_code == 104


# ---- comparing


def compared(*arguments: str) -> Result:
    return CliRunner().invoke(compare, list(arguments))


def test_two_runs_are_compared_number_by_number(files: tuple[str, str]) -> None:
    done = compared(*files)
    lines = done.output.splitlines()
    assert done.exit_code == 0
    assert lines[0].split()[-2:] == ["difference", "95%-CI"]
    assert lines[1].startswith("p50")
    assert lines[1].endswith("more")
    assert lines[5].startswith("errors  0.25%")
    assert lines[5].endswith("same within noise")
    assert lines[6].startswith("paired  canary takes 1.3")


def test_two_versions_of_one_run_are_compared(files: tuple[str, str]) -> None:
    done = compared(files[0], "--versions", "v3", "v1", "--confidence", "0.9")
    assert done.output.splitlines()[1].endswith("less")
    assert "90%-CI" in done.output
    assert compared(files[0], "--versions", "v1", "v9").output.startswith("no data to compare")


@pytest.mark.parametrize(("limit", "code"), [("p50>+5ms", 99), ("p50>+500ms", 0), ("p95>50%", 99), ("errors>1%", 0)])
def test_a_difference_that_is_certainly_too_large_ends_with_99(limit: str, code: int, files: tuple[str, str]) -> None:
    done = compared(*files, "--fail-if", limit)
    assert done.exit_code == code
    assert (f"✗ {limit}" in done.stderr) is (code == 99)


def test_no_evidence_ends_with_98_whatever_it_says(files: tuple[str, str], tmp_path: Path) -> None:
    file = tmp_path / "invalid.json"
    save(file, a_run(trust=TrustLevel.INVALID))
    assert compared(files[0], str(file)).exit_code == 98


def test_what_cannot_be_compared_is_refused(files: tuple[str, str]) -> None:
    assert compared(files[0], "/no/such/file").exit_code == 104
    assert compared(*files, "--fail-if", "speed>1").exit_code == 104


def test_few_requests_do_not_tell(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    save(file, report(cell(Outcome.OK, 1, 2, 3)))
    done = compared(str(file), str(file))
    assert "[-, -]" in done.output
    assert "not known" in done.output


# ---- plots


@pytest.mark.parametrize(
    ("axis", "ticks"),
    [
        (Axis(low=0, high=10), [0, 5, 10]),
        (Axis(low=0, high=7), [0, 1, 2, 3, 4, 5, 6, 7]),
        (Axis(low=0.3, high=30, is_log=True), [0.5, 1, 2, 5, 10, 20]),
    ],
)
def test_an_axis_has_round_ticks(axis: Axis, ticks: list[float]) -> None:
    assert axis.ticks() == pytest.approx(ticks)
    assert all(0 <= axis.place(tick) <= 1 for tick in ticks)


def test_an_axis_of_one_value_puts_it_in_the_middle() -> None:
    assert Axis(low=5, high=5).place(5) == 0.5
    one = Line(name="a & b", points=[(0, 5)], colour=0)
    assert "a &amp; b" in plot([one], Axis(low=0, high=0), Axis(low=5, high=5, is_log=True), {}, "ms")
