"""The mesh as a rollout sees it: what is documented, what Envoy holds and has answered, which pods listen."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp.test_utils import TestServer

from rollout.core.observation import EndpointsView
from rollout.mesh.directory import MeshDirectory
from rollout.mesh.translate.configuration import configuration_of
from rollout.mesh.translate.resources import Api, translate
from rollout.mesh.world import MeshWorld
from rollout.ports import Conflict, Refused, Unavailable
from tests.rollout.core.documents import destination_rule
from tests.rollout.core.worlds import NOW, spec
from tests.rollout.mesh.envoys import FakeEnvoy, requests_total
from tests.rollout.mesh.meshes import REVIEWS, RULES, made, pods, registry, service_document, without_envoy

pytestmark = pytest.mark.asyncio
CALLERS = ("productpage-v1.bookinfo", "rollout-load.rollout-system")
SPEC = spec()


@dataclass
class Town:
    """A mesh directory, an Envoy that holds what is published, and the world over both."""

    mesh: MeshDirectory
    envoy: FakeEnvoy
    world: MeshWorld

    def status(self, admin: str, **listeners: str) -> None:
        """Say where Envoy is."""
        whole = {"pid": 1, "admin": admin, "listeners": {name.replace("_", "-"): at for name, at in listeners.items()}}
        (self.mesh.root / "mesh.json").write_text(json.dumps(whole))

    def catch_up(self) -> None:
        """Let Envoy take what is published."""
        held = translate(configuration_of(registry(), self.mesh.documents()), self.mesh.xds.source).rds
        versions = self.mesh.xds.versions(Api.RDS)
        self.envoy.routes = {name: (versions[name], config) for name, config in held.items()}

    async def refusal(self) -> str:
        """Why the proxies cannot be observed."""
        with pytest.raises(Unavailable) as caught:
            await self.world.observe(SPEC)
        return str(caught.value)


@pytest_asyncio.fixture
async def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Town]:
    without_envoy(monkeypatch)
    mesh, envoy = made(tmp_path / "mesh"), FakeEnvoy()
    async with TestServer(envoy.app()) as server, MeshWorld.open(mesh.root, lambda: NOW) as world:
        town = Town(mesh=mesh, envoy=envoy, world=world)
        town.status(f"127.0.0.1:{server.port}")
        town.catch_up()
        yield town


async def test_the_documents_of_the_rollouts_namespace_are_read(town: Town) -> None:
    elsewhere = destination_rule()
    elsewhere["metadata"]["namespace"] = "staging"
    town.mesh.apply([elsewhere])

    view = await town.world.read(SPEC)

    assert view.virtual_service == town.mesh.get(REVIEWS)
    assert view.destination_rules == (town.mesh.get(RULES),)
    town.mesh.delete([REVIEWS])
    assert (await town.world.read(SPEC)).virtual_service is None


async def test_a_document_is_written_as_read_or_refused(town: Town) -> None:
    read = (await town.world.read(SPEC)).virtual_service
    assert read is not None
    await town.world.write({**read, "spec": service_document(10)["spec"]})

    with pytest.raises(Conflict):
        await town.world.write({**read, "spec": service_document(20)["spec"]})
    stored = town.mesh.get(REVIEWS)
    assert stored is not None
    assert stored["spec"] == service_document(10)["spec"]


@pytest.mark.parametrize("percent", [0, 25, 100])
async def test_the_share_is_what_each_proxy_holds(town: Town, percent: int) -> None:
    town.mesh.apply([service_document(percent)])
    town.catch_up()

    view = await town.world.observe(SPEC)

    assert view.canary_percent == dict.fromkeys(CALLERS, float(percent))
    assert view.rejected == ""


async def test_a_single_destination_is_all_or_nothing(town: Town) -> None:
    for subset, percent in (("v1", 0.0), ("v3", 100.0)):
        one = service_document()
        one["spec"]["http"][0]["route"] = [{"destination": {"host": "reviews", "subset": subset}}]
        town.mesh.apply([one])
        town.catch_up()
        assert set((await town.world.observe(SPEC)).canary_percent.values()) == {percent}


async def test_only_the_rollouts_own_route_counts(town: Town) -> None:
    """A route before it that sends testers to v3 has a share of its own, and so has another document's."""
    document = service_document(25)
    testers = {
        "match": [{"headers": {"end-user": {"exact": "jason"}}}],
        "route": [{"destination": {"host": "reviews", "subset": "v3"}}],
    }
    document["spec"]["http"].insert(0, testers)
    other = service_document(90, hosts=["zzz.example.com"])
    other["metadata"]["name"] = "zzz"
    town.mesh.apply([document, other])
    town.catch_up()
    assert "zzz.example.com" in json.dumps(town.envoy.routes)

    assert set((await town.world.observe(SPEC)).canary_percent.values()) == {25.0}


async def test_served_counts_users_by_subset_and_leaves_everything_else_out(town: Town) -> None:
    town.envoy.stats = "".join(
        (
            requests_total(7, destination_subset="v1", destination_version="v1", response_code="200"),
            requests_total(5, destination_subset="v3", destination_version="v3", response_code="200"),
            requests_total(3, destination_subset="v3", destination_version="unknown", response_code="503"),
            requests_total(100, destination_subset="v3", source_workload="rollout-load"),
            requests_total(200, destination_subset="v3", reporter="destination"),
            requests_total(400, destination_subset="v2"),
            requests_total(800, destination_subset="v3", destination_service_name="ratings"),
            requests_total(1600, destination_subset="v3", destination_service_namespace="staging"),
            requests_total(3200, destination_version="v3"),
        )
    )

    assert (await town.world.observe(SPEC)).served == {"v1": 7, "v3": 8}
    town.envoy.stats = ""
    assert (await town.world.observe(SPEC)).served == {"v1": 0, "v3": 0}


async def test_while_one_proxy_holds_older_routes_nobody_can_tell(town: Town) -> None:
    town.mesh.apply([service_document(25)])
    assert await town.refusal() == f"Envoy has not yet taken the new routes of {', '.join(CALLERS)}"

    old = town.envoy.routes[CALLERS[1]]
    town.catch_up()
    town.envoy.routes[CALLERS[1]] = old
    assert await town.refusal() == f"Envoy has not yet taken the new routes of {CALLERS[1]}"

    del town.envoy.routes[CALLERS[1]]
    assert CALLERS[1] in await town.refusal()


async def test_routes_that_envoy_has_refused_are_told_with_the_way_to_its_words(town: Town) -> None:
    refused = f"http.outbound.rds.{CALLERS[0]}.update_rejected: 2\n"
    town.envoy.refusals = refused
    assert (await town.world.observe(SPEC)).rejected == ""  # long ago: what is published now is held

    town.mesh.apply([service_document(25)])

    view = await town.world.observe(SPEC)
    assert view.rejected == f"{CALLERS[0]}; see {town.mesh.root / 'envoy.log'}"
    assert set(view.canary_percent.values()) == {0.0}


async def test_without_a_document_or_a_route_of_it_nothing_can_be_observed(town: Town) -> None:
    routeless = service_document(hosts=["ratings"])
    routeless["spec"]["http"][0]["route"] = [{"destination": {"host": "ratings"}}]
    town.mesh.apply([routeless])
    assert "reviews" in await town.refusal()

    town.mesh.delete([REVIEWS])
    assert await town.refusal() == "there is no VirtualService reviews"


async def test_envoy_is_followed_when_it_is_started_again_elsewhere(town: Town) -> None:
    await town.world.observe(SPEC)
    first = town.world._admin
    town.status("127.0.0.1:9")
    assert "Envoy at 127.0.0.1:9" in await town.refusal()
    assert first is not None
    assert first._session.closed

    (town.mesh.root / "mesh.json").unlink()
    assert "no Envoy runs on" in await town.refusal()


async def test_pods_are_ready_when_somebody_listens(town: Town) -> None:
    def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    with socket.create_server(("127.0.0.1", 0)) as closing:
        closed = closing.getsockname()[1]
    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        opened = server.sockets[0].getsockname()[1]
        town.mesh.set_workloads(pods({"v1": f"127.0.0.1:{opened}", "v3": f"127.0.0.1:{closed}"}))

        found = await town.world.endpoints(SPEC)

    assert found == {
        "v1": EndpointsView(ready=1, total=1),
        "v2": EndpointsView(ready=0, total=0),
        "v3": EndpointsView(ready=0, total=1),
    }


async def test_endpoints_of_a_service_or_documents_that_make_no_sense_are_unavailable(town: Town) -> None:
    with pytest.raises(Unavailable, match=r"the mesh has no service ratings\.bookinfo\.svc\.cluster\.local"):
        await town.world.endpoints(SPEC.model_copy(update={"service": "ratings"}))
    file = next((town.mesh.root / "documents").glob("VirtualService*"))
    file.write_text(file.read_text().replace("http:", "htpp:"))
    with pytest.raises(Unavailable, match="unknown key"):
        await town.world.endpoints(SPEC)


async def test_synthetic_load_enters_at_a_listener_of_its_own(town: Town) -> None:
    with pytest.raises(Unavailable, match=r"the mesh has no proxy rollout-load\.rollout-system"):
        town.world.load_address()

    for address, expected in (("127.0.0.1:15002", ("127.0.0.1", 15002)), ("[::1]:15002", ("::1", 15002))):
        town.status("127.0.0.1:1", **{CALLERS[1]: address})
        assert town.world.load_address() == expected


async def test_opening_it_publishes_what_a_killed_predecessor_left(town: Town) -> None:
    town.mesh._objects.put(service_document(70), at=NOW)
    assert not town.mesh.is_published()

    async with MeshWorld.open(town.mesh.root, lambda: NOW):
        assert town.mesh.is_published()


async def test_what_is_no_mesh_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="is not the directory of a mesh"):
        await MeshWorld.open(tmp_path, lambda: NOW).__aenter__()
