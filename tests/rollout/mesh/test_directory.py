"""A mesh directory: changed all or none, published as a whole, healed after a writer that died."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from rollout.mesh.directory import MeshDirectory
from rollout.mesh.envoy import Rejected
from rollout.mesh.translate.document import InvalidDocument, Key
from rollout.mesh.translate.resources import Api
from rollout.ports import Conflict, Refused, Unavailable
from tests.rollout.core.documents import destination_rule
from tests.rollout.core.worlds import NOW
from tests.rollout.mesh.meshes import (
    REVIEWS,
    RULES,
    Checks,
    documents,
    made,
    pods,
    registry,
    service_document,
    without_envoy,
)

CALLER = "productpage-v1.bookinfo"


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> Checks:
    return without_envoy(monkeypatch)


@pytest.fixture
def mesh(tmp_path: Path, checks: Checks) -> MeshDirectory:
    return made(tmp_path / "mesh")


def stored(mesh: MeshDirectory, key: Key = REVIEWS) -> dict[str, Any]:
    found = mesh.get(key)
    assert found is not None
    return found


def routes(mesh: MeshDirectory) -> str:
    """The version of the routes that Envoy reads for one caller."""
    return mesh.xds.versions(Api.RDS)[CALLER]


def other(name: str) -> dict[str, Any]:
    """A VirtualService of another host."""
    document = service_document(hosts=[name])
    document["metadata"]["name"] = name
    return document


def test_what_is_applied_is_kept_with_generation_and_time_and_published(mesh: MeshDirectory) -> None:
    assert [raw["kind"] for raw in mesh.documents()] == ["DestinationRule", "VirtualService"]
    metadata = stored(mesh)["metadata"]
    assert (metadata["generation"], metadata["creationTimestamp"]) == (1, "1970-01-12T13:46:40Z")
    assert mesh.is_published()
    before = routes(mesh)

    applied = mesh.apply([service_document(25), destination_rule()])

    assert applied.changes == ((REVIEWS, "configured"), (RULES, "unchanged"))
    assert stored(mesh)["metadata"]["generation"] == 2
    assert stored(mesh)["metadata"]["creationTimestamp"] == metadata["creationTimestamp"]
    assert routes(mesh) != before


def test_envoy_is_shown_all_that_would_be_served_before_anything_changes(mesh: MeshDirectory, checks: Checks) -> None:
    mesh.apply([service_document(25)])

    [host] = [host for host in checks.shown[-1].rds[CALLER]["virtual_hosts"] if "reviews" in host["name"]]
    clusters = host["routes"][0]["route"]["weighted_clusters"]["clusters"]
    assert [(cluster["name"].split("|")[2], cluster["weight"]) for cluster in clusters] == [("v1", 75), ("v3", 25)]


def bad_kind() -> dict[str, Any]:
    return {**service_document(), "kind": "Sidecar"}


def misspelt() -> dict[str, Any]:
    return service_document(htpp=[])


def stale() -> dict[str, Any]:
    document = service_document()
    document["metadata"]["resourceVersion"] = "1"
    return document


@pytest.mark.parametrize(
    ("bad", "error", "says"),
    [
        (bad_kind, InvalidDocument, "not served by the embedded mesh"),
        (misspelt, InvalidDocument, "htpp: unknown key"),
        (dict, InvalidDocument, "missing"),
        (stale, Conflict, "has changed meanwhile"),
    ],
)
def test_one_bad_document_among_good_ones_changes_nothing(
    mesh: MeshDirectory, bad: Any, error: type[Exception], says: str
) -> None:
    before, version = mesh.documents(), routes(mesh)

    for batch in ([other("details"), bad()], [bad(), other("details")]):
        with pytest.raises(error, match=says):
            mesh.apply(batch)

    assert mesh.documents() == before
    assert (mesh.is_published(), routes(mesh)) == (True, version)


def test_of_an_object_that_is_given_twice_the_last_one_counts(mesh: MeshDirectory) -> None:
    first, last = stored(mesh), stored(mesh)
    first["spec"], last["spec"] = service_document(10)["spec"], service_document(20)["spec"]

    applied = mesh.apply([first, last])

    assert applied.changes == ((REVIEWS, "configured"),)
    assert stored(mesh)["spec"] == last["spec"]


@pytest.mark.parametrize("error", [Rejected("Envoy rejects it: bad"), Unavailable("no Envoy")])
def test_what_envoy_rejects_or_cannot_judge_is_not_kept(mesh: MeshDirectory, checks: Checks, error: Exception) -> None:
    before, checks.error = mesh.documents(), error

    with pytest.raises(type(error), match=str(error)):
        mesh.apply([service_document(25)])

    assert mesh.documents() == before


def test_warnings_are_those_of_the_documents_that_were_given(mesh: MeshDirectory) -> None:
    wish = service_document(50)
    wish["spec"]["http"][0]["route"][1]["destination"]["subset"] = "v9"

    [warning] = mesh.apply([wish]).warnings
    later = mesh.apply([destination_rule(), other("reviews.bookinfo.svc.cluster.local")])

    assert "VirtualService bookinfo/reviews spec.http[0].route[1].destination.subset: no DestinationRule" in str(
        warning
    )
    assert warning.key not in {found.key for found in later.warnings}


def test_a_weight_is_written_without_asking_envoy(mesh: MeshDirectory, checks: Checks) -> None:
    asked, before = len(checks.shown), routes(mesh)
    document = stored(mesh)
    document["spec"] = service_document(40)["spec"]

    mesh.replace(document)

    assert len(checks.shown) == asked
    assert (stored(mesh)["spec"], mesh.is_published()) == (service_document(40)["spec"], True)
    assert routes(mesh) != before


def test_a_write_over_somebody_elses_or_of_nonsense_is_refused(mesh: MeshDirectory) -> None:
    read = stored(mesh)
    mesh.apply([service_document(10)])

    with pytest.raises(Conflict, match="has changed meanwhile"):
        mesh.replace(read)
    with pytest.raises(Refused, match="unknown key"):
        mesh.replace(misspelt())
    assert stored(mesh)["spec"] == service_document(10)["spec"]


def test_what_is_deleted_is_routed_as_without_it(mesh: MeshDirectory) -> None:
    before = routes(mesh)

    applied = mesh.delete([REVIEWS, Key("Gateway", "bookinfo", "none")])

    assert [change for _, change in applied.changes] == ["deleted", "not found"]
    assert mesh.get(REVIEWS) is None
    assert mesh.is_published()
    assert routes(mesh) != before


def test_other_endpoints_are_published_and_touch_no_route(mesh: MeshDirectory) -> None:
    endpoints, before = mesh.xds.versions(Api.EDS), mesh.xds.versions(Api.RDS)

    mesh.set_workloads(pods({"v1": "127.0.0.1:9081", "v3": "127.0.0.1:9999"}))

    after = mesh.xds.versions(Api.EDS)
    changed = {name.split("|")[2] for name in after if after[name] != endpoints[name]}
    assert changed == {"v3", ""}  # "" is all of the service
    assert (mesh.xds.versions(Api.RDS), mesh.is_published()) == (before, True)
    assert [str(pod.address) for pod in mesh.registry().workloads] == ["127.0.0.1:9081", "127.0.0.1:9999"]


def test_what_a_killed_writer_left_unpublished_is_seen_and_healed(mesh: MeshDirectory) -> None:
    before = routes(mesh)
    mesh._objects.put(service_document(70), at=NOW)  # and then it dies

    assert (mesh.is_published(), routes(mesh)) == (False, before)
    assert mesh.publish() == 2  # the routes of either caller
    assert mesh.is_published()
    assert routes(mesh) != before
    assert mesh.publish() == 0


def test_endpoints_that_a_killed_writer_left_unpublished_are_seen(
    mesh: MeshDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    for last_step in ("_save", "_publish"):
        with monkeypatch.context() as patch:
            patch.setattr(mesh, last_step, die)
            with pytest.raises(KeyboardInterrupt):
                mesh.set_workloads(())
        assert not mesh.is_published()
        mesh.publish()
        assert mesh.is_published()


def test_only_before_envoy_reads_are_left_over_files_removed(mesh: MeshDirectory) -> None:
    scrap = mesh.root / "xds" / "rds-gone.json"
    scrap.write_text("{}")

    mesh.publish()
    assert scrap.exists()
    mesh.publish(is_prepared=True)

    assert not scrap.exists()


def test_documents_stay_when_a_directory_is_taken_over_with_another_registry(mesh: MeshDirectory) -> None:
    taken = MeshDirectory.create(mesh.root, registry().with_workloads(()), lambda: NOW)

    assert len(taken.documents()) == 2
    assert taken.registry().workloads == ()


def test_writers_at_the_same_time_lose_nothing(mesh: MeshDirectory) -> None:
    def write(first: int) -> None:
        directory = MeshDirectory.open(mesh.root, lambda: NOW)
        for number in range(first, first + 5):
            directory.apply([other(f"host-{number}")])

    writers = [threading.Thread(target=write, args=(first,)) for first in (0, 5, 10)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert len(mesh.documents()) == 2 + 15
    assert mesh._objects.version == 2 + 15
    assert mesh.is_published()


def test_a_directory_that_is_no_mesh_says_what_makes_one(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="is not the directory of a mesh; `rollout mesh run` makes one"):
        MeshDirectory.open(tmp_path, lambda: NOW)


def test_a_registry_that_cannot_be_read_is_named_with_its_line(mesh: MeshDirectory) -> None:
    file = mesh.root / "registry.yaml"
    file.write_text(file.read_text().replace("proxies:", "proxeis:"))

    with pytest.raises(Unavailable, match=r"registry\.yaml:\d+:\d+ spec\.proxeis: unknown key"):
        mesh.registry()


def test_the_status_is_that_of_a_running_envoy_or_none(mesh: MeshDirectory) -> None:
    with pytest.raises(Unavailable, match="no Envoy runs on .*; start it with `rollout mesh run`"):
        mesh.status()
    file = mesh.root / "mesh.json"
    for odd in ("{", "[]", '{"pid": 1}'):
        file.write_text(odd)
        with pytest.raises(Unavailable, match=r"mesh\.json"):
            mesh.status()

    file.write_text(json.dumps({"pid": 1, "admin": "127.0.0.1:1", "listeners": {CALLER: "127.0.0.1:2"}}))

    assert mesh.status().listeners == {CALLER: "127.0.0.1:2"}


def test_a_relative_directory_is_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_envoy(monkeypatch)
    monkeypatch.chdir(tmp_path)
    mesh = made(Path("here"))
    monkeypatch.chdir("/")

    assert len(mesh.documents()) == len(documents())
    assert mesh.xds.source(Api.CDS)["path_config_source"]["path"] == str(tmp_path / "here/xds/cds.json")
