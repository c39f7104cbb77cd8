"""The embedded mesh under change: no request is lost, nothing bad gets in, and it comes back by itself."""

import asyncio
import copy
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from rollout.demo.stage import Bookinfo, documents_of, open_bookinfo
from rollout.mesh.embedded import embedded_mesh
from rollout.mesh.envoy import Rejected
from rollout.mesh.translate.document import InvalidDocument, Key
from rollout.mesh.world import MeshWorld
from rollout.ports import Conflict, Refused, Unavailable
from tests.e2e.towns import Caller, caller, settled, until, versions, within_binomial
from tests.rollout.core.worlds import spec

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]
REVIEWS = Key("VirtualService", "bookinfo", "reviews")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def town(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bookinfo]:
    async with open_bookinfo(tmp_path_factory.mktemp("mesh") / "town") as town:
        yield town


@pytest_asyncio.fixture(loop_scope="module")
async def users(town: Bookinfo) -> AsyncIterator[Caller]:
    async with aiohttp.ClientSession() as session:
        yield caller(session, town)
    await town.reset()


def with_weights(document: dict[str, Any], percent: int) -> dict[str, Any]:
    changed = copy.deepcopy(document)
    changed["spec"]["http"][-1]["route"] = [
        {"destination": {"host": "reviews", "subset": version}, "weight": weight}
        for version, weight in (("v1", 100 - percent), ("v3", percent))
    ]
    return changed


def reviews_of(town: Bookinfo) -> dict[str, Any]:
    found = town.mesh.directory.get(REVIEWS)
    assert found is not None
    return found


async def test_twenty_weight_changes_lose_no_request_and_clients_see_each_weight(town: Bookinfo, users: Caller) -> None:
    codes: Counter[int] = Counter()

    async def ask(seen: list[str]) -> None:
        for _ in range(70):
            [reply] = await users.reviews()
            codes[reply.status] += 1
            seen.append(reply.version)

    for percent in (5, 10, 25, 50, 75, 100, 90, 60, 40, 20, 0, 1, 15, 30, 45, 55, 70, 85, 95, 50):
        await asyncio.to_thread(town.mesh.directory.replace, with_weights(reviews_of(town), percent))
        await settled(town)
        seen: list[str] = []
        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(ask(seen))
        share = percent / 100
        assert within_binomial(seen.count("v3"), len(seen), share), f"{percent} %: {seen.count('v3')} of {len(seen)}"

    assert codes == {200: 5600}


async def test_a_request_under_way_survives_a_weight_change(town: Bookinfo, users: Caller) -> None:
    slow = asyncio.ensure_future(caller(users.session, town, "fortio.bookinfo").get("httpbin:8000", "/delay/1"))
    await asyncio.sleep(0.2)
    await asyncio.to_thread(town.mesh.directory.replace, with_weights(reviews_of(town), 30))

    assert (await slow).status == 200


async def test_what_envoy_rejects_is_refused_in_its_words_and_the_last_good_stays(
    town: Bookinfo, users: Caller
) -> None:
    bad = reviews_of(town)
    del bad["metadata"]["resourceVersion"]
    bad["spec"]["http"].insert(
        0, {"match": [{"uri": {"regex": r"\pQ"}}], "route": [{"destination": {"host": "reviews", "subset": "v1"}}]}
    )

    with pytest.raises(Rejected, match="invalid character class range"):
        await asyncio.to_thread(town.mesh.directory.apply, [bad])
    assert len(reviews_of(town)["spec"]["http"]) == 1
    assert versions(await users.reviews(5)) == {"v1": 5}


async def test_a_bad_document_that_got_past_the_check_is_seen_and_the_last_good_stays(
    town: Bookinfo, users: Caller
) -> None:
    bad = with_weights(reviews_of(town), 30)
    bad["spec"]["http"].insert(
        0, {"match": [{"uri": {"regex": r"\pQ"}}], "route": [{"destination": {"host": "details", "subset": "v1"}}]}
    )
    async with MeshWorld.open(town.mesh.directory.root, lambda: 0.0) as world:
        await world.write(bad)

        async def is_seen() -> bool:
            try:
                return "productpage-v1.bookinfo" in (await world.observe(spec())).rejected
            except Unavailable:
                return False  # Envoy has not read it yet

        await until(is_seen)
        assert versions(await users.reviews(5)) == {"v1": 5}
        await town.reset()
        await settled(town)
        assert (await world.observe(spec())).rejected == ""


async def test_a_document_with_mistakes_is_refused_with_every_one_of_them(town: Bookinfo) -> None:
    bad = reviews_of(town)
    bad["spec"]["http"][0]["timeuot"] = "1s"
    bad["spec"]["http"][0]["route"][0]["wieght"] = 3

    with pytest.raises(InvalidDocument) as caught:
        await asyncio.to_thread(town.mesh.directory.apply, [bad])

    assert 'spec.http[0].timeuot: unknown key; did you mean "timeout"?' in str(caught.value)
    assert 'spec.http[0].route[0].wieght: unknown key; did you mean "weight"?' in str(caught.value)


async def test_a_subset_that_does_not_exist_is_a_warning(town: Bookinfo, users: Caller) -> None:
    wish = with_weights(documents_of("virtual-service-reviews-v3.yaml")[0], 50)  # type: ignore[arg-type]
    wish["spec"]["http"][0]["route"][1]["destination"]["subset"] = "v9"

    applied = await asyncio.to_thread(town.mesh.directory.apply, [wish])

    [warning] = applied.warnings
    assert "has subset v9: requests will get 503" in str(warning)


async def test_who_writes_an_old_version_is_told_to_look_again(town: Bookinfo) -> None:
    first = reviews_of(town)
    await asyncio.to_thread(town.mesh.directory.replace, with_weights(first, 10))

    with pytest.raises(Conflict, match="has changed meanwhile"):
        await asyncio.to_thread(town.mesh.directory.replace, with_weights(first, 20))
    await town.reset()


async def test_what_the_proxies_hold_is_seen(town: Bookinfo, users: Caller) -> None:
    async with MeshWorld.open(town.mesh.directory.root, lambda: 0.0) as world:
        before = await world.observe(spec())
        await world.write(with_weights(reviews_of(town), 25))
        await settled(town)
        await users.reviews(40)
        after = await world.observe(spec())
        endpoints = await world.endpoints(spec())

    assert set(before.canary_percent.values()) == {0.0}
    assert after.canary_percent["productpage-v1.bookinfo"] == 25.0
    assert before.served is not None
    assert after.served is not None
    assert sum(after.served.values()) - sum(before.served.values()) == 40
    assert (endpoints["v1"].ready, endpoints["v3"].ready) == (1, 1)


async def test_a_killed_envoy_comes_back_on_the_same_ports_with_the_same_routes(town: Bookinfo, users: Caller) -> None:
    await town.apply("virtual-service-reviews-v3.yaml")
    pid = envoy_of(town.mesh.directory.root)
    os.kill(pid, signal.SIGKILL)

    async def is_back() -> bool:
        try:
            return versions(await users.reviews()) == {"v3": 1}
        except aiohttp.ClientError:
            return False

    await until(is_back)
    assert envoy_of(town.mesh.directory.root) != pid


def envoy_of(root: Path) -> int:
    """The process id of the Envoy that serves *root*."""
    wanted = str(root / "bootstrap.json").encode()
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if wanted in process.read_bytes().split(b"\0"):
                return int(process.parent.name)
        except OSError:
            continue
    raise AssertionError("no Envoy runs")


async def test_documents_that_a_killed_writer_left_unpublished_are_published(town: Bookinfo, users: Caller) -> None:
    directory = town.mesh.directory
    wish = with_weights(reviews_of(town), 100)
    with directory._locked():
        directory._objects.put(wish, at=0.0)  # and then the writer dies
    assert not directory.is_published()

    async def is_healed() -> bool:
        return directory.is_published() and versions(await users.reviews(5)) == {"v3": 5}

    await until(is_healed)


async def test_one_process_runs_the_mesh_of_a_directory(town: Bookinfo) -> None:
    directory = town.mesh.directory
    with pytest.raises(Refused, match="another process runs the mesh"):
        async with embedded_mesh(directory.root, directory.registry(), [], lambda: 0.0):
            pass


async def test_a_port_in_use_is_named(town: Bookinfo, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"cannot listen on 127.0.0.1:\d+ for productpage-v1.bookinfo"):
        async with embedded_mesh(tmp_path / "other", town.mesh.directory.registry(), [], lambda: 0.0):
            pass
