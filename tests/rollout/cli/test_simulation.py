"""simulate, and what validate says about traffic: arguments in, text, JSON and a picture out."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from rollout.cli.exit_codes import Exit
from rollout.cli.main import run
from rollout.cli.simulation_plot import _nice, drawn
from rollout.core.simulation import End, Ending
from tests.rollout.core.documents import plan_document


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    """Two weights, judged by users' errors; and a query that nobody can simulate."""
    import yaml

    document = plan_document()
    document["spec"] |= {
        "steps": [{"weight": 20, "hold": "10s"}, {"weight": 100, "hold": "10s"}],
        "checks": [
            {"name": "errors", "source": "prometheus", "metric": "error-rate", "max": "1%"},
            {"name": "custom", "source": "prometheus", "query": "x", "max": 3},
        ],
    }
    del document["spec"]["load"]
    path = tmp_path / "plan.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def simulated(plan: Path, *arguments: str) -> int:
    return run(["simulate", str(plan), "--rps", "100", "--jobs", "1", "--runs", "6", *arguments])


def test_a_person_reads_how_it_ends_how_soon_and_what_it_costs(plan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert simulated(plan, "--canary", "errors=8%,latency=x1.2") == Exit.OK

    out = capsys.readouterr().out
    assert "canary: errors 8%, median 60ms" in out
    assert "rolled back         100.0%  (61.0% to 100.0%)  half within" in out
    assert "promoted              0.0%" in out
    assert "failed user requests   mean " in out
    assert "6 x a check failed: errors" in out
    assert "custom: taken to be fine" in out
    assert "held" not in out


def document_of(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def test_a_program_reads_the_same_as_json(plan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert simulated(plan, "-o", "json") == Exit.OK

    document = document_of(capsys)
    assert document["ends"]["promoted"]["probability"] == 1
    assert set(document["ends"]) == {"promoted", "rolledBack", "timedOut", "held"}
    assert document["decisionSeconds"]["promoted"]["median"] > 20
    assert document["canaryRequests"]["median"] > 1000
    assert document["assumedGood"] == ["custom"]
    assert document["stable"] == {"errorRate": 0.001, "medianSeconds": 0.05}


def test_seeds_and_not_processes_decide_what_happens(plan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ("--canary", "errors=2%", "-o", "json")
    found = []
    for more in ((), ("--jobs", "2"), ("--seed", "2")):
        assert simulated(plan, *flags, *more) == Exit.OK
        found.append(document_of(capsys))

    assert found[0] == found[1]
    assert found[0] != found[2]


@pytest.mark.parametrize("suffix", [".svg", ".html"])
def test_the_picture_is_one_file_that_loads_nothing(plan: Path, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"ends{suffix}"

    assert simulated(plan, "--canary", "errors=8%", "--plot", str(path)) == Exit.OK

    text = path.read_text()
    svg = ElementTree.fromstring(text[text.index("<svg") : text.index("</svg>") + 6])
    words = [element.text for element in svg.iter() if element.text]
    assert "rolled back 100%" in words
    assert "promoted" not in " ".join(words)
    assert all(key not in text for key in ("href", "src=", "url(", "<script"))


def test_labels_of_ends_that_are_as_frequent_do_not_lie_on_each_other() -> None:
    def one(end: End, decided_s: float) -> Ending:
        return Ending(
            end=end, cause="", decided_s=decided_s, step=0, failed_user_requests=0, canary_requests=0, probes=0
        )

    text = drawn([one(End.PROMOTED, 5), one(End.TIMED_OUT, 700_000)], title="a < b", is_page=False)

    svg = ElementTree.fromstring(text[text.index("<svg") :])
    heights = [float(element.attrib["y"]) for element in svg.iter() if (element.text or "").endswith(" 50%")]
    assert abs(heights[0] - heights[1]) >= 16
    assert "a &lt; b" in text
    assert [_nice(rough_s) for rough_s in (0.05, 3, 61, 86400, 400_000)] == [0.1, 5, 120, 86400, 864_000]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--canary", "errors=2"], Exit.USAGE, "--canary: '2' is not a percentage"),
        (["--baseline", "latency=fast"], Exit.USAGE, "--baseline: 'fast' is not a duration"),
        (["--plot", "picture.png"], Exit.USAGE, "ends neither in .svg nor in .html"),
        (["--plot", "/nowhere/at/all.svg"], Exit.ERROR, "cannot write /nowhere/at/all.svg"),
        (["--runs", "0"], Exit.USAGE, "--runs"),
    ],
)
def test_flags_that_make_no_sense_are_named(
    plan: Path, arguments: list[str], code: Exit, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert simulated(plan, *arguments) == code
    assert says in capsys.readouterr().err


def test_validate_warns_of_checks_that_the_traffic_cannot_answer(
    plan: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["validate", str(plan)]) == Exit.OK
    assert capsys.readouterr().err == ""  # without --rps nothing is known of the users

    assert run(["validate", str(plan), "--rps", "2", "--baseline", "errors=0%"]) == Exit.OK
    err = capsys.readouterr().err
    assert "spec.steps[0] (weight 20%): errors needs 381 requests of the canary; at 2 rps that takes 15m" in err
    assert "and the step gives up after 9m55s" in err
    assert "spec.steps[1]" not in err

    assert run(["validate", str(plan), "--rps", "100"]) == Exit.OK
    assert capsys.readouterr().err == ""
    assert run(["validate", str(plan), "--rps", "0"]) == Exit.OK
    assert "spec.steps[0] (weight 20%): errors cannot pass at 0 rps" in capsys.readouterr().err
    assert run(["validate", str(plan), "--rps", "9", "--baseline", "x"]) == Exit.USAGE


def test_validate_knows_the_rate_of_synthetic_load_by_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import yaml

    document = plan_document()
    document["spec"]["load"]["rate"] = "1/s"
    path = tmp_path / "slow.yaml"
    path.write_text(yaml.safe_dump(document))

    assert run(["validate", str(path)]) == Exit.OK
    err = capsys.readouterr().err
    assert "errors needs" in err
    assert "at 1 rps" in err
    assert "users" not in err
