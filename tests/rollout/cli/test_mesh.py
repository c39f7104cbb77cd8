"""The mesh verbs on a directory without an Envoy: what they write, what they say, how they exit."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from rollout.cli.exit_codes import Exit
from rollout.cli.main import run
from rollout.mesh.directory import MeshDirectory
from rollout.mesh.envoy import Rejected
from rollout.mesh.registry import KIND
from rollout.ports import Unavailable
from tests.rollout.core.documents import destination_rule
from tests.rollout.mesh.meshes import REVIEWS, Checks, made, registry, service_document, without_envoy

Shell = Callable[..., tuple[int, str, str]]


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> Checks:
    return without_envoy(monkeypatch)


@pytest.fixture
def mesh(tmp_path: Path, checks: Checks) -> MeshDirectory:
    return made(tmp_path / "mesh")


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str]) -> Shell:
    """Run a mesh verb; give exit code, stdout, stderr."""

    def shell(verb: str, directory: Path, *arguments: str) -> tuple[int, str, str]:
        code = run(["mesh", verb, str(directory), *arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return shell


def written(file: Path, *documents: Any) -> str:
    file.write_text(yaml.safe_dump_all(documents))
    return str(file)


def test_apply_says_what_became_of_each_document(mesh: MeshDirectory, shell: Shell, tmp_path: Path) -> None:
    file = written(tmp_path / "new.yaml", service_document(25), destination_rule())

    code, out, err = shell("apply", mesh.root, "-f", file)

    assert (code, err) == (Exit.OK, "")
    assert out.splitlines() == [
        "virtualservice/reviews in bookinfo configured",
        "destinationrule/reviews in bookinfo unchanged",
    ]


def test_a_directory_gives_its_documents_in_order_without_registries_and_empty_ones(
    mesh: MeshDirectory, shell: Shell, tmp_path: Path
) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    written(folder / "b.yaml", service_document(10), None)
    written(folder / "a.yaml", registry().document(), destination_rule())
    (folder / "notes.txt").write_text("a: [")
    assert registry().document()["kind"] == KIND

    code, out, _ = shell("apply", mesh.root, "-f", str(folder))

    assert code == Exit.OK
    assert [line.partition("/")[0] for line in out.splitlines()] == ["destinationrule", "virtualservice"]


def test_warnings_go_to_stderr_and_are_no_failure(mesh: MeshDirectory, shell: Shell, tmp_path: Path) -> None:
    document = service_document(50)
    document["spec"]["http"][0]["route"][1]["destination"]["subset"] = "v9"

    code, out, err = shell("apply", mesh.root, "-f", written(tmp_path / "w.yaml", document))

    assert (code, out) == (Exit.OK, "virtualservice/reviews in bookinfo configured\n")
    assert err.startswith("warning: VirtualService bookinfo/reviews spec.http[0].route[1].destination.subset: ")


@pytest.mark.parametrize("verb", ["apply", "delete"])
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [", "bad.yaml:2:1: "),
        ("kind: VirtualService\nmetadata: {}\n", "metadata.name: missing"),
        ("- 1\n", "missing"),
        ("just words\n", "missing"),
    ],
)
def test_a_file_with_mistakes_is_wrong_use_and_changes_nothing(
    mesh: MeshDirectory, shell: Shell, tmp_path: Path, verb: str, text: str, says: str
) -> None:
    before = mesh.documents()
    (tmp_path / "bad.yaml").write_text(text)

    code, out, err = shell(verb, mesh.root, "-f", str(tmp_path / "bad.yaml"))

    assert (code, out) == (Exit.USAGE, "")
    assert err.startswith("error: ")
    assert says in err
    assert mesh.documents() == before


def test_every_mistake_of_a_document_is_named(mesh: MeshDirectory, shell: Shell, tmp_path: Path) -> None:
    document = service_document(htpp=[], hosst=[])

    code, _, err = shell("apply", mesh.root, "-f", written(tmp_path / "x.yaml", document))

    assert code == Exit.USAGE
    assert "htpp: unknown key" in err
    assert "hosst: unknown key" in err


def test_a_version_that_is_not_the_latest_is_a_failure_that_says_so(
    mesh: MeshDirectory, shell: Shell, tmp_path: Path
) -> None:
    _, out, _ = shell("get", mesh.root, "virtualservice", "reviews", "-o", "yaml")
    read = tmp_path / "read.yaml"
    read.write_text(out)
    mesh.apply([service_document(10)])

    code, _, err = shell("apply", mesh.root, "-f", str(read))

    assert code == Exit.ERROR
    assert "VirtualService bookinfo/reviews has changed meanwhile (version 3, not 2)" in err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Rejected("Envoy rejects it: no"), Exit.USAGE),
        (Unavailable("no Envoy here"), Exit.ERROR),
        (OSError("disk"), Exit.ERROR),
    ],
)
def test_what_envoy_says_is_passed_on(
    mesh: MeshDirectory, checks: Checks, shell: Shell, tmp_path: Path, error: Exception, code: Exit
) -> None:
    checks.error = error

    found, out, err = shell("apply", mesh.root, "-f", written(tmp_path / "x.yaml", service_document(25)))

    assert (found, out, err) == (code, "", f"error: {error}\n")


def test_delete_says_what_was_there_and_what_was_not(mesh: MeshDirectory, shell: Shell, tmp_path: Path) -> None:
    file = written(tmp_path / "old.yaml", service_document())

    assert shell("delete", mesh.root, "-f", file)[:2] == (Exit.OK, "virtualservice/reviews in bookinfo deleted\n")
    assert shell("delete", mesh.root, "-f", file)[:2] == (Exit.OK, "virtualservice/reviews in bookinfo not found\n")
    assert mesh.get(REVIEWS) is None


def test_get_lists_all_or_one_kind_or_shows_one(mesh: MeshDirectory, shell: Shell) -> None:
    code, out, _ = shell("get", mesh.root)
    assert code == Exit.OK
    assert [line.split() for line in out.splitlines()] == [
        ["DestinationRule", "bookinfo/reviews", "version", "1"],
        ["VirtualService", "bookinfo/reviews", "version", "2"],
    ]
    assert [raw["kind"] for raw in json.loads(shell("get", mesh.root, "VIRTUALSERVICE", "-o", "json")[1])["items"]] == [
        "VirtualService"
    ]
    _, out, _ = shell("get", mesh.root, "virtualservice", "reviews", "-o", "json")
    assert json.loads(out) == mesh.get(REVIEWS)

    code, out, err = shell("get", mesh.root, "virtualservice", "reviews", "-n", "staging")
    assert (code, out, err) == (Exit.ERROR, "", "error: there is no virtualservice staging/reviews\n")


def test_what_get_shows_can_be_applied_again(mesh: MeshDirectory, shell: Shell, tmp_path: Path) -> None:
    for form in ("yaml", "json"):
        file = tmp_path / f"all.{form}"
        file.write_text(shell("get", mesh.root, "-o", form)[1])

        code, out, _ = shell("apply", mesh.root, "-f", str(file))

        assert code == Exit.OK
        assert [line.rpartition(" ")[2] for line in out.splitlines()] == ["unchanged", "unchanged"]


def test_status_says_where_envoy_listens_or_that_none_runs(mesh: MeshDirectory, shell: Shell) -> None:
    code, _, err = shell("status", mesh.root)
    assert code == Exit.ERROR
    assert "no Envoy runs on" in err
    status = {"pid": 1, "admin": "127.0.0.1:9901", "listeners": {"productpage-v1.bookinfo": "127.0.0.1:15001"}}
    (mesh.root / "mesh.json").write_text(json.dumps(status))

    code, out, _ = shell("status", mesh.root)

    assert code == Exit.OK
    assert [line.split() for line in out.splitlines()] == [
        ["productpage-v1.bookinfo", "http://127.0.0.1:15001"],
        ["admin", "http://127.0.0.1:9901"],
    ]
    assert json.loads(shell("status", mesh.root, "-o", "json")[1]) == status


@pytest.mark.parametrize("verb", ["apply", "delete", "get", "status"])
def test_a_directory_that_is_no_mesh_is_wrong_use_with_the_way_out(shell: Shell, tmp_path: Path, verb: str) -> None:
    file = ["-f", written(tmp_path / "x.yaml", service_document())] if verb in ("apply", "delete") else []

    code, out, err = shell(verb, tmp_path / "nowhere", *file)

    assert (code, out) == (Exit.USAGE, "")
    assert "is not the directory of a mesh; `rollout mesh run` makes one" in err


def test_a_file_that_is_not_there_is_wrong_use(mesh: MeshDirectory, shell: Shell) -> None:
    code, _, err = shell("apply", mesh.root, "-f", "nowhere.yaml")

    assert code == Exit.USAGE
    assert "nowhere.yaml" in err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "registry.yaml"),
        ("a: [", "registry.yaml:2:1: "),
        (
            "apiVersion: rollout.dev/v1alpha1\nkind: MeshRegistry\nspec:\n  proxeis: []\n",
            "registry.yaml:4:3 spec.proxeis",
        ),
    ],
)
def test_run_names_what_is_wrong_with_its_registry(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, says: str
) -> None:
    monkeypatch.setattr("rollout.telemetry.configure_logs", lambda: None)  # the logs of this process are the tests'
    file = tmp_path / "registry.yaml"
    if text is not None:
        file.write_text(text)

    code, out, err = shell("run", tmp_path / "mesh", "--registry", str(file))

    assert (code, out) == (Exit.USAGE, "")
    assert says in err
    assert not (tmp_path / "mesh").exists()
