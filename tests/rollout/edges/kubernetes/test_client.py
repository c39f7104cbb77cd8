import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from rollout.edges.kubernetes import client
from rollout.edges.kubernetes.client import Bucket, Cluster, cluster, contains
from rollout.edges.kubernetes.errors import Exists, NotFound, error_of
from rollout.ports import Conflict, Refused, Unavailable
from tests.kube.certificates import Certificates
from tests.kube.fake import FakeKube
from tests.kube.faults import Fault
from tests.rollout.edges.kubernetes.clusters import ACCOUNT, ISTIO, TOKEN, a_virtual_service, kubeconfig

pytestmark = pytest.mark.asyncio
VS = f"{ISTIO}/namespaces/bookinfo/virtualservices"


@pytest.fixture
def reviews(kube: FakeKube) -> dict[str, Any]:
    return kube.put("networking.istio.io", "virtualservices", a_virtual_service(), "bookinfo")


def to(subset: str, version: str = "") -> dict[str, Any]:
    patch: dict[str, Any] = {"spec": {"http": [{"route": [{"destination": {"host": "reviews", "subset": subset}}]}]}}
    return patch | ({"metadata": {"resourceVersion": version}} if version else {})


async def test_an_object_is_read_and_written_as_plain_json(api: Cluster, reviews: dict[str, Any]) -> None:
    read = await api.get(f"{VS}/reviews")
    assert read["spec"] == reviews["spec"]
    changed = await api.merge(f"{VS}/reviews", to("v3", read["metadata"]["resourceVersion"]))
    assert changed["spec"]["http"] == to("v3")["spec"]["http"]
    managers = {entry["manager"] for entry in changed["metadata"]["managedFields"]}
    assert "rollout" in managers


async def test_a_stale_write_is_a_conflict_and_a_missing_object_is_named(api: Cluster, reviews: dict[str, Any]) -> None:
    await api.merge(f"{VS}/reviews", to("v3"))
    with pytest.raises(Conflict, match="has been modified"):
        await api.merge(f"{VS}/reviews", to("v1", reviews["metadata"]["resourceVersion"]))
    with pytest.raises(NotFound, match="ratings"):
        await api.get(f"{VS}/ratings")


async def test_what_the_roles_do_not_say_is_refused(api: Cluster) -> None:
    with pytest.raises(Refused, match="cannot list resource"):
        await api.list_all("/api/v1/namespaces/bookinfo/serviceaccounts")


async def test_a_name_that_is_taken_is_said_so(api: Cluster) -> None:
    lease = {"metadata": {"name": "a"}, "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "spec": {}}
    path = "/apis/coordination.k8s.io/v1/namespaces/rollout-system/leases"
    await api.create(path, lease)
    with pytest.raises(Exists):
        await api.create(path, lease)


async def test_a_list_comes_whole_however_many_pages_it_has(
    api: Cluster, kube: FakeKube, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PAGE", 2)
    for name in ("a", "b", "c", "d", "e"):
        kube.put("networking.istio.io", "virtualservices", a_virtual_service(name=name), "bookinfo")
    items, version = await api.list_all(VS)
    assert [item["metadata"]["name"] for item in items] == ["a", "b", "c", "d", "e"]
    assert version == str(kube.storage.version)


@pytest.mark.parametrize("fault", [Fault(status=500), Fault(status=503), Fault(status=429, retry_after=0), Fault()])
async def test_a_read_is_tried_again(api: Cluster, kube: FakeKube, reviews: dict[str, Any], fault: Fault) -> None:
    kube.faults.add(Fault(**{**vars(fault), "times": 2}))
    assert (await api.get(f"{VS}/reviews"))["spec"] == reviews["spec"]


async def test_a_read_gives_up_in_the_end(api: Cluster, kube: FakeKube) -> None:
    kube.faults.add(Fault(status=503, times=9))
    with pytest.raises(Unavailable, match="503"):
        await api.get(f"{VS}/reviews")
    assert kube.faults.pending[0].times == 9 - client.READ_ATTEMPTS


async def test_a_write_that_happened_but_was_not_answered_is_found_out(
    api: Cluster, kube: FakeKube, reviews: dict[str, Any]
) -> None:
    kube.faults.add(Fault(after_commit=True, method="PATCH"))
    found = await api.merge(f"{VS}/reviews", to("v3", reviews["metadata"]["resourceVersion"]))
    assert found["spec"]["http"] == to("v3")["spec"]["http"]
    assert len([write for write in kube.storage.journal if write.verb == "patch"]) == 1


async def test_a_write_that_was_lost_is_said_so(api: Cluster, kube: FakeKube, reviews: dict[str, Any]) -> None:
    kube.faults.add(Fault(method="PATCH"))
    with pytest.raises(Unavailable, match="lost"):
        await api.merge(f"{VS}/reviews", to("v3", reviews["metadata"]["resourceVersion"]))
    assert not [write for write in kube.storage.journal if write.verb == "patch"]


async def test_a_server_that_hangs_is_unavailable(
    api: Cluster, kube: FakeKube, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "CALL_TIMEOUT_S", 0.05)
    monkeypatch.setattr(client, "READ_PAUSE_S", 0.01)
    kube.faults.freeze()
    with pytest.raises(Unavailable, match="Timeout"):
        await api.get(f"{VS}/reviews")


async def test_a_server_that_is_not_there_is_unavailable(certificates: Certificates, tmp_path: Path) -> None:
    file = kubeconfig(tmp_path / "config", "https://127.0.0.1:1", certificates.ca)
    async with cluster(kubeconfig=file) as found:
        with pytest.raises(Unavailable, match="127.0.0.1:1"):
            await found.merge(f"{VS}/reviews", to("v3"))


async def test_a_token_that_was_renewed_on_disk_is_taken_at_once(
    kube: FakeKube, certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reviews: dict[str, Any]
) -> None:
    host, _, port = kube.base.removeprefix("https://").rpartition(":")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)
    (tmp_path / "ca.crt").write_bytes(certificates.ca.read_bytes())
    (tmp_path / "namespace").write_text("rollout-system")
    (tmp_path / "token").write_text(TOKEN + "\n")
    async with cluster(account=tmp_path) as found:
        assert found.namespace == "rollout-system"
        await found.get(f"{VS}/reviews")
        del kube.access.tokens[TOKEN]
        kube.access.tokens["renewed"] = ACCOUNT
        (tmp_path / "token").write_text("renewed")
        assert (await found.get(f"{VS}/reviews"))["spec"] == reviews["spec"]


@pytest.mark.parametrize("text", ["", "[]", "current-context: x", "{"])
async def test_a_kubeconfig_that_makes_no_sense_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "config").write_text(text)
    with pytest.raises(Refused, match="no cluster"):
        async with cluster(kubeconfig=tmp_path / "config"):
            pass


async def test_a_context_that_is_not_there_is_refused(certificates: Certificates, tmp_path: Path) -> None:
    file = kubeconfig(tmp_path / "config", "https://127.0.0.1:1", certificates.ca)
    with pytest.raises(Refused, match="elsewhere"):
        async with cluster(kubeconfig=file, context="elsewhere"):
            pass


async def test_requests_beyond_the_burst_wait_their_turn() -> None:
    bucket, loop = Bucket(rate_per_s=100.0, burst=2.0), asyncio.get_running_loop()
    begun = loop.time()
    for _ in range(12):
        await bucket.take()
    assert 0.08 <= loop.time() - begun < 1


@pytest.mark.parametrize(
    ("live", "patch", "expected"),
    [
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}, True),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, False),
        ({"a": 1}, {"b": None}, True),
        ({"b": 1}, {"b": None}, False),
        ({"a": [1, 2]}, {"a": [1]}, False),
        ([], {"a": 1}, False),
    ],
)
async def test_a_patch_that_would_change_nothing_is_contained(live: Any, patch: Any, expected: bool) -> None:
    assert contains(live, patch) is expected


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (409, b'{"reason": "Conflict", "details": {"causes": [{"reason": "FieldManagerConflict"}]}}', Refused),
        (409, b'{"reason": "Conflict"}', Conflict),
        (502, b"<html>", Unavailable),
        (418, b"[]", Refused),
    ],
)
async def test_a_refusal_is_told_from_trouble(status: int, body: bytes, kind: type[Exception]) -> None:
    assert type(error_of(status, body, None, "GET /x")) is kind


async def test_the_library_is_imported_when_a_cluster_is_opened_and_not_before() -> None:
    code = "import sys, rollout.edges.kubernetes.client; sys.exit('kubernetes_asyncio' in sys.modules)"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    assert await process.wait() == 0
