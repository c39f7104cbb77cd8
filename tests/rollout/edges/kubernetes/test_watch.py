import asyncio
from collections.abc import Callable

import pytest

from rollout.edges.kubernetes import watch as watching
from rollout.edges.kubernetes.client import Cluster
from rollout.edges.kubernetes.watch import Watch
from rollout.ports import Unavailable
from tests.kube.fake import FakeKube
from tests.kube.faults import Fault
from tests.kube.storage import Writer
from tests.rollout.edges.kubernetes.clusters import ISTIO, a_virtual_service

pytestmark = pytest.mark.asyncio
PATH = f"{ISTIO}/virtualservices"
VS = f"{ISTIO}/namespaces/bookinfo/virtualservices"


def put(kube: FakeKube, name: str) -> None:
    kube.put("networking.istio.io", "virtualservices", a_virtual_service(name=name), "bookinfo")


def names(watch: Watch) -> set[str]:
    return {item["metadata"]["name"] for item in watch.all()}


async def until(claim: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not claim():
            await asyncio.sleep(0.005)


def lists(kube: FakeKube) -> int:
    return sum("limit=" in path for _, path in kube.requests)


async def test_what_is_there_and_what_changes_is_seen(api: Cluster, kube: FakeKube) -> None:
    put(kube, "a")
    heard: list[tuple[str, str]] = []
    watch = Watch(api, PATH)
    watch.listen(lambda kind, item: heard.append((kind, item["metadata"]["name"])))
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(watch.run())
        await watch.wait_synced()
        put(kube, "b")
        await until(lambda: names(watch) == {"a", "b"})
        await api.merge(f"{VS}/a", {"metadata": {"labels": {"x": "y"}}})
        await until(lambda: len(heard) == 3)
        task.cancel()
    assert heard == [("ADDED", "a"), ("ADDED", "b"), ("MODIFIED", "a")]
    assert watch.find("bookinfo", "zzz") is None


@pytest.mark.parametrize("trouble", ["cut", "410", "cut and 410"])
async def test_nothing_is_lost_when_a_watch_breaks(
    api: Cluster, kube: FakeKube, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "PAUSE_S", 0.01)
    put(kube, "a")
    watch = Watch(api, PATH)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(watch.run())
        await watch.wait_synced()
        await until(lambda: bool(kube._streams))
        kube.faults.add(Fault(status=503, path="watch=true", times=1))
        kube.cut_watches()
        put(kube, "b")
        kube.storage.delete(
            kube.storage.kinds.known["networking.istio.io", "virtualservices"], ("bookinfo", "a"), Writer()
        )
        if "410" in trouble:
            kube.storage.compact()
        await until(lambda: names(watch) == {"b"})
        put(kube, "c")
        await until(lambda: names(watch) == {"b", "c"})
        task.cancel()
    assert lists(kube) == (2 if "410" in trouble else 1)


async def test_a_cache_without_contact_is_blind_after_a_while(
    api: Cluster, kube: FakeKube, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "BLIND_AFTER_S", 0.05)
    monkeypatch.setattr(watching, "PAUSE_S", 0.02)
    watch = Watch(api, PATH)
    with pytest.raises(Unavailable, match="not read yet"):
        watch.all()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(watch.run())
        await watch.wait_synced()
        await until(lambda: bool(kube._streams))
        kube.faults.add(Fault(status=503, times=1000))
        kube.cut_watches()
        await asyncio.sleep(0.1)
        with pytest.raises(Unavailable, match="no contact"):
            watch.find("bookinfo", "a")
        kube.faults.pending.clear()
        put(kube, "a")
        await until(lambda: _sees(watch, "a"))
        task.cancel()


def _sees(watch: Watch, name: str) -> bool:
    try:
        return watch.find("bookinfo", name) is not None
    except Unavailable:
        return False


async def test_our_own_write_is_seen_at_once_and_an_older_event_does_not_undo_it(api: Cluster, kube: FakeKube) -> None:
    put(kube, "a")
    watch = Watch(api, PATH)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(watch.run())
        await watch.wait_synced()
        before = watch.find("bookinfo", "a")
        assert before is not None
        written = await api.merge(f"{VS}/a", {"metadata": {"labels": {"x": "y"}}})
        watch.note(written)
        assert watch.find("bookinfo", "a") == written
        watch.note(before)
        assert watch.find("bookinfo", "a") == written
        task.cancel()
