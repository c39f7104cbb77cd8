"""The demo verb over a stage that is none: flags, pictures, the summary, and how it ends."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rollout.child import ChildFailed
from rollout.cli.exit_codes import Exit
from rollout.cli.main import run
from rollout.demo.show import Act, Programme
from rollout.demo.stage import CONFIG
from rollout.ports import Refused, Unavailable


def act(name: str, result: str, **changes: Any) -> Act:
    """A scenario that was played."""
    whole: dict[str, Any] = {
        "reason": "because",
        "failed_user_requests": 0,
        "user_requests": 1234,
        "time_to_rollback_s": None if result == "promoted" else 1.25,
        "final_weights": {"v3": 100} if result == "promoted" else {"v1": 100},
        "duration_s": 9.9,
        "weight_max": 0.0,
        "page_views": 20,
    }
    return Act(name=name, result=result, **(whole | changes))


def rollout(**changes: Any) -> dict[str, Any]:
    """A rollout as the API shows it."""
    whole = {
        "phase": "Progressing",
        "step": 1,
        "steps": [{}, {}],
        "weight": 5,
        "result": None,
        "detail": "",
        "cause": "c",
    }
    return whole | changes


@dataclass
class Theatre:
    """Stands in for everything that the demo starts."""

    results: dict[str, str] = field(default_factory=dict)
    """By scenario; as it should be unless said otherwise."""
    frames: list[dict[str, Any]] = field(default_factory=lambda: [rollout()])
    played: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)
    opened: dict[str, Any] = field(default_factory=dict)
    error: BaseException | None = None
    open_now: int = 0

    @asynccontextmanager
    async def open_stage(self, root: Path, **given: Any) -> AsyncIterator[Any]:
        if isinstance(self.error, ChildFailed):
            raise self.error
        self.opened = {"root": root, **given}
        self.open_now += 1
        status = SimpleNamespace(admin="127.0.0.1:1")
        try:
            given["tell"]("Envoy: 6 listeners")
            yield SimpleNamespace(
                root=root,
                daemon_url="http://127.0.0.1:2",
                prometheus_url=None,
                bookinfo=SimpleNamespace(
                    mesh=SimpleNamespace(status=status), users_address="127.0.0.1:3", page_url="http://127.0.0.1:4/p"
                ),
            )
        finally:
            self.open_now -= 1

    @asynccontextmanager
    async def open_other(self, *_: object) -> AsyncIterator[None]:
        yield None

    def show(self, _stage: object, _audience: object, _watcher: object, programme: Programme) -> Any:
        async def play(name: str, steps: tuple[int, ...]) -> Act:
            if self.error is not None:
                raise self.error
            self.played.append((name, steps))
            await programme.announce(name, f"what {name} does")
            for frame in self.frames:
                await programme.follow(frame)
            found = act(name, self.results.get(name, "promoted" if name in ("healthy", "latent") else "rolled_back"))
            await programme.account(found)
            return found

        return SimpleNamespace(play=play)


@pytest.fixture
def theatre(monkeypatch: pytest.MonkeyPatch) -> Theatre:
    theatre = Theatre()
    monkeypatch.setattr("rollout.demo.stage.open_stage", theatre.open_stage)
    monkeypatch.setattr("rollout.demo.watcher.open_watcher", theatre.open_other)
    monkeypatch.setattr("rollout.demo.audience.open_audience", theatre.open_other)
    monkeypatch.setattr("rollout.demo.show.Show", theatre.show)
    monkeypatch.setattr("rollout.telemetry.configure_logs", lambda **_: None)
    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/prometheus")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("CI", "1")
    return theatre


def test_without_flags_a_good_release_and_a_bad_one_are_played(
    theatre: Theatre, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["demo"]) == Exit.OK

    out, err = capsys.readouterr()
    assert theatre.played == [("healthy", ()), ("errors-100", ())]
    assert "Release reviews v1 → v3, scenario healthy: what healthy does" in out
    assert "✔ promoted; 0 of 1,234 user requests failed, 0 of 20 page views\n  why: because" in out
    assert "✔ rolled back within 1.25 s of its first harm; " in out
    summary = [line.split() for line in out.splitlines()[-2:]]
    assert summary == [
        ["healthy", "promoted", "0", "of", "1,234", "-", "v3", "100%"],
        ["errors-100", "rolled", "back", "0", "of", "1,234", "1.25", "s", "v1", "100%"],
    ]
    assert "  Envoy: 6 listeners" in err
    assert theatre.opened["plan"] == CONFIG / "demo/reviews.yaml"


def test_each_state_is_told_once_where_no_picture_can_move(
    theatre: Theatre, capsys: pytest.CaptureFixture[str]
) -> None:
    same = rollout(detail="holding")
    theatre.frames = [
        same,
        same,
        rollout(weight=25, step=2),
        rollout(weight=25, step=2, phase="Promoted", result="promoted"),
    ]

    run(["demo", "--scenario", "healthy"])

    told = [line.split() for line in capsys.readouterr().out.splitlines() if " weight " in line]
    assert told == [
        ["Progressing", "step", "1/2", "weight", "5%", "holding"],
        ["Progressing", "step", "2/2", "weight", "25%", "c"],
        ["Promoted", "step", "2/2", "weight", "25%", "c"],
    ]


def test_a_terminal_gets_a_picture_whose_last_frame_stays(
    theatre: Theatre, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rollout.cli.demo.is_live", lambda _: True)
    monkeypatch.setattr("rollout.cli.pictures.detail", lambda rollout, marks: f"picture at {rollout['weight']} %")
    theatre.frames = [rollout(), rollout(weight=25)]

    assert run(["demo", "--scenario", "healthy"]) == Exit.OK

    out = capsys.readouterr().out
    assert out.count("picture at 25 %") == 1
    assert out.index("picture at 25 %") < out.index("promoted; 0 of 1,234")


def test_json_is_one_last_line_alone_on_stdout(theatre: Theatre, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["demo", "--output", "json", "--scenario", "hang", "--scenario", "slow"]) == Exit.OK

    out, err = capsys.readouterr()
    [line] = out.splitlines()
    assert [(found["name"], found["result"]) for found in json.loads(line)["scenarios"]] == [
        ("hang", "rolled_back"),
        ("slow", "rolled_back"),
    ]
    assert "scenario hang" in err


@pytest.mark.parametrize(
    ("name", "result"), [("healthy", "rolled_back"), ("errors-20", "promoted"), ("crash", "aborted")]
)
def test_only_good_releases_may_be_promoted_or_the_demo_fails(
    theatre: Theatre, capsys: pytest.CaptureFixture[str], name: str, result: str
) -> None:
    theatre.results = {name: result}
    is_wrong = (result == "promoted") != (name == "healthy")

    assert run(["demo", "--scenario", name]) == (Exit.ERROR if is_wrong else Exit.OK)

    assert ("✖" if is_wrong else "✔") in capsys.readouterr().out


def test_no_probe_plays_bare_weights_and_hooks_reach_the_daemon(theatre: Theatre, tmp_path: Path) -> None:
    (tmp_path / "hooks.yaml").write_text("")

    run(["demo", "--no-probe", "--scenario", "healthy", "--hooks", str(tmp_path / "hooks.yaml")])

    assert theatre.played == [("healthy", (10, 25, 50, 100))]
    assert theatre.opened["hooks"] == tmp_path / "hooks.yaml"


def test_scratch_is_removed_and_a_directory_that_was_named_is_kept(theatre: Theatre, tmp_path: Path) -> None:
    run(["demo", "--scenario", "healthy"])
    assert not theatre.opened["root"].exists()

    (tmp_path / "work").mkdir()
    run(["demo", "--scenario", "healthy", "--directory", str(tmp_path / "work")])

    assert theatre.opened["root"] == tmp_path / "work"
    assert (tmp_path / "work").exists()


def test_an_unknown_scenario_starts_nothing(theatre: Theatre, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["demo", "--scenario", "errors-101"]) == Exit.USAGE

    assert "no scenario is named 'errors-101'; there are healthy, errors-100" in capsys.readouterr().err
    assert theatre.opened == {}


@pytest.mark.parametrize("error", [ChildFailed("ratings-v1 ended with 1"), Unavailable("no Envoy"), Refused("a port")])
def test_what_cannot_start_is_one_message_with_the_way_to_the_logs(
    theatre: Theatre, tmp_path: Path, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    theatre.error = error

    assert run(["demo", "--directory", str(tmp_path)]) == Exit.ERROR

    err = capsys.readouterr().err
    assert f"error: {error}\n  try: logs are in {tmp_path}\n" in err
    assert theatre.open_now == 0


def test_ctrl_c_leaves_nothing_and_says_so(theatre: Theatre, capsys: pytest.CaptureFixture[str]) -> None:
    theatre.error = KeyboardInterrupt()

    assert run(["demo"]) == Exit.INTERRUPTED

    assert "stopped; nothing is left running" in capsys.readouterr().err
    assert theatre.open_now == 0
    assert not theatre.opened["root"].exists()


def test_keep_says_where_everything_is_and_waits(
    theatre: Theatre, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    open_while_waiting: list[int] = []

    async def waited() -> None:
        open_while_waiting.append(theatre.open_now)

    monkeypatch.setattr("rollout.cli.demo._until_signalled", waited)

    assert run(["demo", "--keep", "--scenario", "healthy"]) == Exit.OK

    err = capsys.readouterr().err
    for address in ("http://127.0.0.1:4/p", "http://127.0.0.1:2", "http://127.0.0.1:1", "not installed"):
        assert address in err
    assert open_while_waiting == [1]


def test_a_missing_prometheus_is_said_with_the_way_to_have_it(
    theatre: Theatre, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)

    assert run(["demo", "--scenario", "healthy"]) == Exit.OK

    assert "prometheus is not installed" in capsys.readouterr().err
