"""Documents on disk behave as an API server's: versions rise, old writes are refused, authors' keys are theirs."""

from pathlib import Path
from typing import Any

import pytest

from rollout.mesh.object_store import ObjectStore, objects_in, replace_file
from rollout.mesh.translate.document import InvalidDocument, Key
from rollout.ports import Conflict, Unavailable
from tests.rollout.mesh.meshes import REVIEWS, service_document


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return ObjectStore(tmp_path)


def stored(store: ObjectStore, key: Key = REVIEWS) -> dict[str, Any]:
    found = store.get(key)
    assert found is not None
    return found


def test_a_new_object_gets_a_version_a_generation_and_a_time(store: ObjectStore) -> None:
    assert (store.version, store.get(REVIEWS), store.all()) == (0, None, [])

    assert store.put(service_document(), at=86400.0) == "created"

    metadata = stored(store)["metadata"]
    assert metadata == {
        "name": "reviews",
        "namespace": "bookinfo",
        "resourceVersion": "1",
        "generation": 1,
        "creationTimestamp": "1970-01-02T00:00:00Z",
    }
    assert stored(store)["spec"] == service_document()["spec"]


def test_a_change_raises_version_and_generation_and_keeps_the_time(store: ObjectStore) -> None:
    store.put(service_document(), at=0.0)

    assert store.put(service_document(10), at=99.0) == "configured"

    metadata = stored(store)["metadata"]
    assert (metadata["resourceVersion"], metadata["generation"]) == ("2", 2)
    assert metadata["creationTimestamp"] == "1970-01-01T00:00:00Z"


def test_a_change_of_metadata_alone_is_no_new_generation(store: ObjectStore) -> None:
    store.put(service_document(), at=0.0)
    labelled = service_document()
    labelled["metadata"]["labels"] = {"team": "books"}

    assert store.put(labelled, at=0.0) == "configured"

    metadata = stored(store)["metadata"]
    assert (metadata["resourceVersion"], metadata["generation"], metadata["labels"]) == ("2", 1, {"team": "books"})


def test_the_same_content_is_unchanged_whatever_the_server_put_in(store: ObjectStore) -> None:
    store.put(service_document(), at=0.0)
    read_back = stored(store)
    read_back["metadata"] |= {"generation": 77, "uid": "x", "managedFields": []}

    assert store.put(service_document(), at=1.0) == "unchanged"
    assert store.put(read_back, at=1.0) == "unchanged"
    assert store.version == 1


def test_what_only_the_server_may_write_is_not_taken_from_an_author(store: ObjectStore) -> None:
    forged = service_document()
    forged["metadata"] |= {"generation": 77, "creationTimestamp": "2001-01-01T00:00:00Z", "uid": "x", "selfLink": "y"}

    store.put(forged, at=0.0)

    metadata = stored(store)["metadata"]
    assert (metadata["generation"], metadata["creationTimestamp"]) == (1, "1970-01-01T00:00:00Z")
    assert not {"uid", "selfLink"} & set(metadata)


@pytest.mark.parametrize("version", ["1", "3", 2])
def test_who_has_not_read_the_latest_is_refused_and_nothing_changes(store: ObjectStore, version: object) -> None:
    store.put(service_document(), at=0.0)
    store.put(service_document(10), at=0.0)
    late = service_document(20)
    late["metadata"]["resourceVersion"] = version

    with pytest.raises(
        Conflict, match=rf"VirtualService bookinfo/reviews has changed meanwhile \(version 2, not {version}"
    ):
        store.put(late, at=0.0)
    assert (store.version, stored(store)["spec"]) == (2, service_document(10)["spec"])


def test_who_has_read_the_latest_may_write_and_a_version_of_nothing_is_refused(store: ObjectStore) -> None:
    fresh = service_document()
    fresh["metadata"]["resourceVersion"] = "1"
    with pytest.raises(Conflict, match="version None, not 1"):
        store.put(fresh, at=0.0)
    store.put(service_document(), at=0.0)

    latest = stored(store)
    latest["spec"] = service_document(30)["spec"]

    assert store.put(latest, at=0.0) == "configured"


def test_a_deleted_object_is_gone_and_its_version_never_comes_again(store: ObjectStore) -> None:
    store.put(service_document(), at=0.0)

    assert store.delete(REVIEWS)
    assert not store.delete(REVIEWS)

    assert (store.get(REVIEWS), store.version) == (None, 2)
    store.put(service_document(), at=5.0)
    metadata = stored(store)["metadata"]
    assert (metadata["resourceVersion"], metadata["generation"]) == ("3", 1)
    assert metadata["creationTimestamp"] == "1970-01-01T00:00:05Z"


def test_objects_of_one_name_in_other_namespaces_and_kinds_are_others(store: ObjectStore) -> None:
    for namespace in ("bookinfo", "staging"):
        document = service_document()
        document["metadata"]["namespace"] = namespace
        store.put(document, at=0.0)
    store.put({"kind": "Gateway", "metadata": {"name": "reviews", "namespace": "bookinfo"}}, at=0.0)

    assert [(raw["kind"], raw["metadata"]["namespace"]) for raw in store.all()] == [
        ("Gateway", "bookinfo"),
        ("VirtualService", "bookinfo"),
        ("VirtualService", "staging"),
    ]
    assert store.delete(Key("VirtualService", "staging", "reviews"))
    assert stored(store)["metadata"]["namespace"] == "bookinfo"


def test_no_name_leads_out_of_the_directory(tmp_path: Path) -> None:
    root = tmp_path / "a" / "b" / "c"
    root.mkdir(parents=True)
    store = ObjectStore(root)
    evil = service_document()
    evil["metadata"]["name"] = "../../evil"
    with pytest.raises(InvalidDocument, match="not a name"):
        store.put(evil, at=0.0)

    store.put({"kind": "../Odd Kind", "metadata": {"name": "x", "namespace": "bookinfo"}}, at=0.0)

    assert store.get(Key("../Odd Kind", "bookinfo", "x")) is not None
    assert [path.parent for path in tmp_path.rglob("*.yaml")] == [root]


@pytest.mark.parametrize("text", ["a: [", "- just\n- a list\n", ""])
def test_a_file_that_holds_no_object_is_named(store: ObjectStore, tmp_path: Path, text: str) -> None:
    (tmp_path / "VirtualService.bookinfo.reviews.yaml").write_text(text)

    with pytest.raises(Unavailable, match=r"VirtualService\.bookinfo\.reviews\.yaml"):
        store.all()
    with pytest.raises(Unavailable, match=r"VirtualService\.bookinfo\.reviews\.yaml"):
        store.get(REVIEWS)


def test_a_file_is_replaced_as_a_whole_and_leaves_no_scraps(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("old")
    with file.open() as reader:
        replace_file(file, b"new", durable=True)
        assert reader.read() == "old"  # who has it open goes on reading the old one

    assert file.read_text() == "new"
    assert list(tmp_path.iterdir()) == [file]


def test_a_list_is_its_items_and_nothing_is_nothing() -> None:
    one: dict[str, Any] = {"kind": "Gateway"}

    assert list(objects_in(one)) == [one]
    assert list(objects_in({"kind": "VirtualServiceList", "items": [one, one]})) == [one, one]
    assert list(objects_in({"kind": "List"})) == [{"kind": "List"}]
    assert list(objects_in(None)) == []
