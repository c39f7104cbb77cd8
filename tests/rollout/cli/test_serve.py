"""The serve verb: what keeps the daemon from starting is one message with an exit code; --check tells origins."""

import socket
from pathlib import Path

import pytest

from rollout.cli.exit_codes import Exit
from rollout.cli.main import run
from tests.rollout.mesh.meshes import made, without_envoy


@pytest.fixture
def mesh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A mesh directory, and logs that stay the tests' own."""
    monkeypatch.setattr("rollout.telemetry.configure_logs", lambda **_: None)
    without_envoy(monkeypatch)
    return made(tmp_path / "mesh").root


def served(mesh: Path, capsys: pytest.CaptureFixture[str], *flags: str) -> tuple[int, str, str]:
    code = run(["serve", "--state", str(mesh.parent / "s.sqlite"), "--mesh", str(mesh), *flags])
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return code, out, err


def test_a_port_that_is_taken_is_named_with_a_guess(mesh: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        code, out, err = served(mesh, capsys, "--listen", listen)

    assert (code, out) == (Exit.ERROR, "")
    assert err.startswith(f"error: cannot listen on {listen}: ")
    assert err.endswith("; is a daemon running?\n")


def test_a_directory_that_is_no_mesh_is_named_with_the_way_out(
    mesh: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = served(tmp_path, capsys)

    assert code == Exit.ERROR
    assert f"{tmp_path} is not the directory of a mesh; `rollout mesh run` makes one" in err


def test_a_wrong_plan_is_named_with_file_line_and_key(
    mesh: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text("apiVersion: rollout.dev/v1alpha1\nkind: RolloutPlan\nmetadata: {name: x}\nspec:\n  stepps: []\n")

    code, _, err = served(mesh, capsys, "--plans", str(tmp_path), "--listen", "127.0.0.1:0")

    assert code == Exit.ERROR
    assert f"{plan}:5:3 spec.stepps: unknown key; did you mean 'steps'?" in err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("listne: x\n", "settings.yaml: unknown setting 'listne'; there are listen"),
        ("listen: [\n", "settings.yaml:2:1"),
        ("- listen\n", "expected a mapping of settings"),
        ("listen: 5\n", "listen: expected text, got 5 (from "),
    ],
)
def test_a_settings_file_that_is_wrong_is_wrong_use(
    mesh: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, says: str
) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(text)

    code, out, err = served(mesh, capsys, "--config", str(file))

    assert (code, out) == (Exit.USAGE, "")
    assert says in err


def test_check_shows_every_setting_with_its_origin_and_starts_nothing(
    mesh: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("prometheus: http://127.0.0.1:9090\nlogLevel: debug\n")
    monkeypatch.setenv("ROLLOUT_LOG_LEVEL", "error")

    code, out, _ = served(mesh, capsys, "--config", str(file), "--check")

    shown = {line.split()[0]: line.split()[1:] for line in out.splitlines()}
    assert code == Exit.OK
    assert shown["listen"] == ["127.0.0.1:8383", "default"]
    assert shown["log_level"] == ["error", "environment"]
    assert shown["prometheus"] == ["http://127.0.0.1:9090", str(file)]
    assert shown["mesh"] == [str(mesh), "flag"]
    assert not (mesh.parent / "s.sqlite").exists()
