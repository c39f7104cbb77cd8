"""The command line as a whole: help, errors, exit codes, speed of starting."""

import subprocess
import sys
from pathlib import Path

import pytest

from rollout.cli.exit_codes import MEANINGS, Exit
from rollout.cli.main import SUMMARIES, VERBS, cli, run


def rollout(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rollout", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=30, env={"PATH": "/usr/bin", **environment}
    )


def test_help_teaches_and_imports_no_server() -> None:
    done = rollout("--help")

    assert done.returncode == 0
    assert "rollout start reviews --to v3" in done.stdout
    for verb in VERBS:
        assert verb in done.stdout
    program = (
        "import sys; from rollout.cli.main import run; run(['--help']); print(sorted(sys.modules), file=sys.stderr)"
    )
    heavy = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30
    ).stderr
    for module in ("aiohttp", "pydantic", "rich", "structlog", "prometheus_client", "yaml"):
        assert f"'{module}'" not in heavy


@pytest.mark.parametrize("verb", list(VERBS))
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([verb, "--help"]) == Exit.OK
    assert len(capsys.readouterr().out.splitlines()) > 5
    assert cli.get_command(None, verb) is not None  # type: ignore[arg-type]


def test_every_verb_has_a_summary_and_every_exit_code_a_meaning() -> None:
    assert set(SUMMARIES) == set(VERBS)
    assert set(MEANINGS) == set(Exit)
    done = rollout("help", "exit-codes")
    assert "rolled back" in done.stdout


def test_a_daemon_that_is_not_there_is_named_with_the_way_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--server", "http://127.0.0.1:9", "get"]) == Exit.ERROR
    err = capsys.readouterr().err
    assert "cannot reach the daemon at http://127.0.0.1:9" in err
    assert "rollout serve" in err


@pytest.mark.parametrize("server", ["ftp://x", "http://", "://"])
def test_an_address_that_is_none_is_a_usage_error(server: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--server", server, "get"]) == Exit.USAGE
    assert "is not the address of a daemon" in capsys.readouterr().err


def test_a_token_file_that_is_missing_is_forbidden(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--token-file", "/nowhere/token", "get"]) == Exit.FORBIDDEN
    assert "cannot read the token" in capsys.readouterr().err


def test_no_arguments_show_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) in (Exit.OK, Exit.USAGE)
    assert "Verbs" in "".join(capsys.readouterr())


def test_a_reader_that_leaves_is_no_error() -> None:
    done = subprocess.run(
        f"{sys.executable} -m rollout --help | head -1",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert done.returncode == 0
    assert "Traceback" not in done.stderr


def test_a_poor_terminal_gets_plain_letters() -> None:
    done = rollout("help", "exit-codes", LANG="C", PYTHONIOENCODING="ascii")

    assert done.returncode == 0
    assert "Traceback" not in done.stderr


def test_validate_names_file_line_and_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import yaml

    from tests.rollout.core.documents import plan_document

    good, bad, broken = tmp_path / "good.yaml", tmp_path / "bad.yaml", tmp_path / "broken.yaml"
    good.write_text(yaml.safe_dump(plan_document()))
    bad.write_text("apiVersion: rollout.dev/v1alpha1\nkind: RolloutPlan\nmetadata: {name: x}\nspec:\n  stepps: []\n")
    broken.write_text("a: [1\n")

    assert run(["validate", str(good)]) == Exit.OK
    assert "reviews in 7 steps with 4 checks" in capsys.readouterr().out
    assert run(["validate", str(good), str(bad), str(broken)]) == Exit.USAGE
    err = capsys.readouterr().err
    assert f"{bad}:5:3 spec.stepps: unknown key; did you mean 'steps'?" in err
    assert f"{broken}:" in err
    assert run(["validate", str(tmp_path / "none.yaml")]) == Exit.USAGE


def test_serve_without_a_mesh_says_what_is_missing(tmp_path: Path) -> None:
    done = rollout("serve", "--state", str(tmp_path / "s.sqlite"))

    assert done.returncode == Exit.ERROR
    assert "rollout mesh" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--listen", "0.0.0.0:1"], "there are no tokens"),
        (["--listen", "nonsense"], "listen:"),
        (["--prometheus", "ftp://x"], "prometheus:"),
        (["--config", "/nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_wrong_settings_are_named(arguments: list[str], says: str) -> None:
    done = rollout("serve", *arguments)

    assert done.returncode == Exit.USAGE
    assert says in done.stderr
    assert "Traceback" not in done.stderr
