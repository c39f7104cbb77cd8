"""Envoy's resources as files: only what differs is replaced, and a version is a digest of the content."""

import json
from pathlib import Path
from typing import Any

import pytest

from rollout.mesh.translate.configuration import configuration_of
from rollout.mesh.translate.resources import Api, Resources, translate
from rollout.mesh.xds import XdsFiles
from tests.rollout.core.documents import destination_rule
from tests.rollout.mesh.meshes import registry, service_document

CALLERS = {"productpage-v1.bookinfo", "rollout-load.rollout-system"}


@pytest.fixture
def xds(tmp_path: Path) -> XdsFiles:
    return XdsFiles(tmp_path)


def resources(xds: XdsFiles, canary_percent: int = 0) -> Resources:
    documents = [destination_rule(), service_document(canary_percent)]
    return translate(configuration_of(registry(), documents), xds.source)


def identities(root: Path) -> dict[str, int]:
    """A replaced file is another inode, even with the same bytes."""
    return {file.name: file.stat().st_ino for file in root.iterdir()}


def named(**names: Any) -> Resources:
    """Resources that are nothing but a name."""
    return Resources(**{api.value: {name: {"name": name} for name in names.get(api.value, ())} for api in Api})


def test_every_resource_is_written_in_the_file_its_source_names(xds: XdsFiles, tmp_path: Path) -> None:
    whole = resources(xds)

    count = xds.publish(whole)

    assert count == len(whole.eds) + len(whole.rds) + 2  # all clusters in one file, all listeners in one
    for api in (Api.EDS, Api.RDS):
        for name, resource in whole.of(api).items():
            source = xds.source(api, name)
            written = json.loads(Path(source["path_config_source"]["path"]).read_text())
            [(kind, content)] = [(found.pop("@type"), found) for found in written["resources"]]
            assert content == resource
            assert kind.startswith("type.googleapis.com/envoy.config.")
    together = json.loads((tmp_path / "cds.json").read_text())["resources"]
    assert [cluster["name"] for cluster in together] == list(whole.cds)


def test_what_has_not_changed_is_not_replaced(xds: XdsFiles, tmp_path: Path) -> None:
    xds.publish(resources(xds))
    before = identities(tmp_path)

    assert xds.publish(resources(xds)) == 0
    assert identities(tmp_path) == before


def test_a_weight_change_replaces_one_small_file_per_caller_and_nothing_else(xds: XdsFiles, tmp_path: Path) -> None:
    xds.publish(resources(xds))
    before = identities(tmp_path)

    changed = xds.publish(resources(xds, canary_percent=10))

    after = identities(tmp_path)
    assert changed == len(CALLERS)
    assert {name for name in after if after[name] != before.get(name)} == {f"rds-{name}.json" for name in CALLERS}


def test_the_version_is_a_digest_so_the_same_content_has_the_same_version_again(xds: XdsFiles) -> None:
    versions = []
    for percent in (0, 10, 0):
        xds.publish(resources(xds, percent))
        versions.append(xds.versions(Api.RDS))

    assert set(versions[0]) == CALLERS
    assert versions[0] == versions[2]
    assert all(versions[0][caller] != versions[1][caller] for caller in CALLERS)


def test_the_version_is_the_one_that_envoy_will_report(xds: XdsFiles) -> None:
    xds.publish(resources(xds))

    for name, version in xds.versions(Api.RDS).items():
        path = xds.source(Api.RDS, name)["path_config_source"]["path"]
        assert json.loads(Path(path).read_text())["version_info"] == version
        assert len(version) == 16


def test_odd_names_are_one_file_each_and_come_back_as_they_were(xds: XdsFiles, tmp_path: Path) -> None:
    names = ["a/b", "../up", "outbound|80||x.y", "100%", "it's:80/https", "@40"]

    xds.publish(named(rds=names))

    assert set(xds.versions(Api.RDS)) == set(names)
    assert all("%" not in path.name and path.parent == tmp_path for path in tmp_path.rglob("*.json"))


def test_prune_removes_what_is_no_more_and_leaves_the_rest(xds: XdsFiles, tmp_path: Path) -> None:
    xds.publish(named(eds=["a", "b"], cds=["a", "b"], lds=["l"], rds=["old", "new"]))
    smaller = named(eds=["a"], cds=["a"], lds=["l"], rds=["new"])
    xds.publish(smaller)
    assert "rds-old.json" in identities(tmp_path)  # an Envoy may still read it

    xds.prune(smaller)

    assert set(identities(tmp_path)) == {"cds.json", "eds-a.json", "lds.json", "rds-new.json"}


def test_an_empty_mesh_has_empty_lists_of_clusters_and_listeners(xds: XdsFiles, tmp_path: Path) -> None:
    empty = named()

    assert xds.publish(empty) == 2
    xds.prune(empty)

    assert {name: json.loads((tmp_path / name).read_text())["resources"] for name in ("cds.json", "lds.json")} == {
        "cds.json": [],
        "lds.json": [],
    }
