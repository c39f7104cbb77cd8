"""The embedded mesh behind the ports of a rollout: its documents, what its Envoy does with them, its endpoints."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from rollout.core.convergence import scope_of
from rollout.core.observation import EndpointsView, ProxiesView, RouteView
from rollout.core.routes.target import Json, RouteProblem
from rollout.core.routes.virtual_service import find_route
from rollout.core.spec import RolloutSpec
from rollout.mesh.admin import Answered, EnvoyAdmin, HeldRoutes
from rollout.mesh.directory import MeshDirectory
from rollout.mesh.registry import Address
from rollout.mesh.translate.document import Key
from rollout.mesh.translate.endpoints import endpoints_of
from rollout.mesh.translate.names import qualify, subset_of
from rollout.mesh.translate.proto import METADATA
from rollout.mesh.translate.resources import Api
from rollout.ports import Unavailable

LOAD_PROXY = "rollout-load.rollout-system"
"""The listener synthetic load goes through, so that it can be told from users' requests."""
LOAD_WORKLOAD = LOAD_PROXY.partition(".")[0]
CONNECT_TIMEOUT_S = 0.25
CONNECT_ATTEMPTS = 2


class MeshWorld:
    """Routes, proxies and workloads of one mesh directory."""

    def __init__(self, directory: MeshDirectory) -> None:
        self._directory = directory
        self._admin: EnvoyAdmin | None = None

    @classmethod
    @asynccontextmanager
    async def open(cls, root: Path, now: Callable[[], float]) -> AsyncIterator["MeshWorld"]:
        """Open a mesh that `rollout mesh run` made. Raises Refused, Unavailable."""
        directory = MeshDirectory.open(root, now)
        await asyncio.to_thread(directory.publish)  # a predecessor may have been killed between its two steps
        world = cls(directory)
        try:
            yield world
        finally:
            if world._admin is not None:
                await world._admin.close()

    def load_address(self) -> tuple[str, int]:
        """Host and port that synthetic load connects to. Raises Unavailable."""
        listeners = self._directory.status().listeners
        if LOAD_PROXY not in listeners:
            raise Unavailable(f"the mesh has no proxy {LOAD_PROXY}: synthetic load needs a caller of its own")
        address = Address.parse(listeners[LOAD_PROXY])
        return address.ip, address.port

    async def read(self, spec: RolloutSpec) -> RouteView:
        """The documents of the rollout's service. Raises Unavailable."""
        return await asyncio.to_thread(self._read, spec)

    def _read(self, spec: RolloutSpec) -> RouteView:
        key = Key("VirtualService", spec.namespace, spec.route.name)
        rules = [
            raw
            for raw in self._directory.documents()
            if raw["kind"] == "DestinationRule" and raw["metadata"]["namespace"] == spec.namespace
        ]
        return RouteView(virtual_service=self._directory.get(key), destination_rules=tuple(rules))

    async def write(self, document: Json) -> None:
        """Replace a VirtualService, as read. Raises Conflict, Unavailable, Refused."""
        await asyncio.to_thread(self._directory.replace, document)

    async def observe(self, spec: RolloutSpec) -> ProxiesView:
        """What Envoy holds and has answered. Raises Unavailable."""
        admin = await self._connected()
        published, index = await asyncio.to_thread(self._published, spec)
        held, answered = await admin.routes(), await admin.answered()
        behind = {name for name, version in published.items() if name not in held or held[name].version != version}
        refused = [name for name in sorted(behind) if (await admin.refusals()).get(name)]
        if behind and not refused:
            raise Unavailable(f"Envoy has not yet taken the new routes of {', '.join(sorted(behind)[:3])}")
        return ProxiesView(
            canary_percent=dict(_canary_percent(spec, index, held)),
            served=_served(spec, answered),
            rejected=f"{', '.join(refused)}; see {self._directory.root / 'envoy.log'}" if refused else "",
        )

    def _published(self, spec: RolloutSpec) -> tuple[dict[str, str], int]:
        """The version of each route configuration as published, and the place of the rollout's http route."""
        document = self._read(spec).virtual_service
        if document is None:
            raise Unavailable(f"there is no VirtualService {spec.route.name}")
        try:
            wanted = find_route(document, scope_of(spec))
        except RouteProblem as problem:
            raise Unavailable(str(problem)) from problem
        index = next(place for place, route in enumerate(document["spec"]["http"]) if route is wanted)
        return self._directory.xds.versions(Api.RDS), index

    async def _connected(self) -> EnvoyAdmin:
        """Envoy's admin interface; it moves when the mesh is started again."""
        address = (await asyncio.to_thread(self._directory.status)).admin
        if self._admin is None or self._admin.address != address:
            if self._admin is not None:
                await self._admin.close()
            self._admin = EnvoyAdmin(address)
        return self._admin

    async def endpoints(self, spec: RolloutSpec) -> dict[str, EndpointsView]:
        """Pods per version, and how many of them accept connections. Raises Unavailable."""
        addresses = await asyncio.to_thread(self._addresses, spec)
        asked = list(dict.fromkeys(address for found in addresses.values() for address in found))
        async with asyncio.TaskGroup() as tasks:
            tries = {address: tasks.create_task(_accepts(address)) for address in asked}
        return {
            version: EndpointsView(ready=sum(tries[address].result() for address in found), total=len(found))
            for version, found in addresses.items()
        }

    def _addresses(self, spec: RolloutSpec) -> dict[str, list[Address]]:
        try:
            configuration = self._directory.configuration()
        except ValueError as error:
            raise Unavailable(str(error)) from error
        host = qualify(spec.service, spec.namespace, configuration.registry.domain)
        service = configuration.destinations.services.get(host)
        if service is None:
            raise Unavailable(f"the mesh has no service {host}")
        rules = configuration.destinations.policies.of(host, spec.namespace)
        return {
            subset.name: [
                item.address for item in endpoints_of(service, configuration.registry.workloads, subset.labels)
            ]
            for subset in rules.subsets
        }


def _canary_percent(spec: RolloutSpec, index: int, held: Mapping[str, HeldRoutes]) -> Iterator[tuple[str, float]]:
    """Per proxy that has the rollout's http route: the canary's share in it."""
    origin = {"virtual_service": str(Key("VirtualService", spec.namespace, spec.route.name)), "http": index}
    for name, routes in held.items():
        for route in (route for host in routes.config.get("virtual_hosts", ()) for route in host.get("routes", ())):
            if route.get("metadata", {}).get("filter_metadata", {}).get(METADATA) == origin and "route" in route:
                yield name, _share(route["route"], spec.canary)


def _share(forward: Mapping[str, Any], subset: str) -> float:
    """Percent of a route's requests that go to clusters of *subset*."""
    if "cluster" in forward:
        return 100.0 if subset_of(forward["cluster"]) == subset else 0.0
    weights = [(subset_of(item["name"]), int(item["weight"])) for item in forward["weighted_clusters"]["clusters"]]
    return 100.0 * sum(weight for name, weight in weights if name == subset) / sum(weight for _, weight in weights)


def _served(spec: RolloutSpec, answered: list[Answered]) -> dict[str, int]:
    """Users' requests per version, as their callers saw them. By subset: a reply no pod gave has no version."""
    counts = dict.fromkeys((spec.stable, spec.canary), 0)
    for found in answered:
        labels = found.labels
        is_ours = (labels.get("destination_service_name"), labels.get("destination_service_namespace")) == (
            spec.service,
            spec.namespace,
        )
        version = labels.get("destination_subset", "")
        if (
            is_ours
            and version in counts
            and labels.get("reporter") == "source"
            and labels.get("source_workload") != LOAD_WORKLOAD
        ):
            counts[version] += found.count
    return counts


async def _accepts(address: Address) -> bool:
    """Whether somebody listens; one lost SYN is no verdict."""
    for _ in range(CONNECT_ATTEMPTS):
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                _, writer = await asyncio.open_connection(address.ip, address.port)
        except (OSError, TimeoutError):
            continue
        writer.close()
        return True
    return False
