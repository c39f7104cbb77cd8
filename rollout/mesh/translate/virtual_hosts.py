"""Route configurations of sidecars and gateways: which hosts a listener answers for, and with whose routes."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from rollout.mesh.registry import Proxy, Service
from rollout.mesh.translate.destinations import Destinations
from rollout.mesh.translate.document import Parsed
from rollout.mesh.translate.matches import Caller
from rollout.mesh.translate.names import MESH, host_matches, is_visible, qualify, specificity
from rollout.mesh.translate.proto import Json
from rollout.mesh.translate.routes import default_route, routes_of
from rollout.mesh.translate.virtual_service import Destination, PortSelector, VirtualService

_BODY_BYTES_MAX = 1024 * 1024  # as much as the webhook lets through; Envoy's own default is 4 KiB
_UNKNOWN_HOST_PORT = 80  # where istiod serves a VirtualService host that no service has


def route_configuration(name: str, virtual_hosts: list[Json], *, ignores_port: bool) -> Json:
    """Routes to missing clusters are let through (503 NC at run time), as istiod does."""
    return {
        "name": name,
        "virtual_hosts": virtual_hosts,
        "validate_clusters": False,
        "ignore_port_in_host_matching": ignores_port,
        "max_direct_response_body_size_bytes": _BODY_BYTES_MAX,
    }


def virtual_host(name: str, domains: list[str], routes: list[Json]) -> Json:
    """One virtual host; upstreams learn from a header which attempt a request is."""
    return {"name": name, "domains": domains, "routes": routes, "include_request_attempt_count": True}


@dataclass(frozen=True, slots=True)
class MeshServices:
    """The VirtualServices that speak on the mesh, by host: the most specific first, then the oldest."""

    exact: Mapping[str, list[Parsed[VirtualService]]]
    wildcards: list[tuple[str, Parsed[VirtualService]]]

    @classmethod
    def of(cls, services: Iterable[Parsed[VirtualService]], domain: str) -> "MeshServices":
        """Index *services*, oldest first."""
        exact: dict[str, list[Parsed[VirtualService]]] = {}
        wildcards: list[tuple[str, Parsed[VirtualService]]] = []
        for service in services:
            if service.spec.gateways and MESH not in service.spec.gateways:
                continue
            for host in service.spec.hosts:
                full = qualify(host, service.key.namespace, domain)
                if full.startswith("*"):
                    wildcards.append((full, service))
                else:
                    exact.setdefault(full, []).append(service)
        return cls(exact, sorted(wildcards, key=lambda item: specificity(item[0])))

    def speaking_for(self, host: str, namespace: str) -> Iterator[Parsed[VirtualService]]:
        """Those a caller in *namespace* hears about *host*."""
        candidates = self.exact.get(host, []) + [
            item for pattern, item in self.wildcards if host_matches(pattern, host)
        ]
        return (item for item in candidates if is_visible(item.spec.export_to, item.key.namespace, namespace))


class Sidecar:
    """The route configuration of one calling workload: every service, addressed by every name it has for the caller."""

    def __init__(self, proxy: Proxy, services: MeshServices, destinations: Destinations) -> None:
        """Prepare for *proxy*."""
        self._proxy, self._services, self._destinations = proxy, services, destinations
        self._taken: set[str] = set()

    def configuration(self, name: str) -> Json:
        """All virtual hosts; a host that nobody knows gets 502, as under REGISTRY_ONLY."""
        hosts = [*self._of_services(), *self._of_unknown_hosts()]
        nobody = {"name": "block_all", "match": {"prefix": "/"}, "direct_response": {"status": 502}}
        hosts.append(virtual_host("block_all", ["*"], [nobody]))
        return route_configuration(name, hosts, ignores_port=False)

    def _of_services(self) -> Iterator[Json]:
        for host, service in self._destinations.services.items():
            names = _names(host, service, self._proxy.namespace)
            for port in service.ports:
                if port.is_http:
                    routes = self._routes(host, port.number) or [self._default(host, service, port.number)]
                    yield virtual_host(f"{host}:{port.number}", self._domains(names, service, port.number), routes)

    def _default(self, host: str, service: Service, port: int) -> Json:
        everything = Destination(host=host, port=PortSelector(number=port))
        return default_route(host, port, self._destinations.hash_policy(everything, service.namespace, port))

    def _of_unknown_hosts(self) -> Iterator[Json]:
        known = self._destinations.services
        for host in (*self._services.exact, *(pattern for pattern, _ in self._services.wildcards)):
            if any(host_matches(host, name) for name in known):
                continue
            domains = self._free([host, f"{host}:{_UNKNOWN_HOST_PORT}"])
            routes = self._routes(host, _UNKNOWN_HOST_PORT)
            if domains and routes:
                yield virtual_host(f"{host}:{_UNKNOWN_HOST_PORT}", domains, routes)

    def _routes(self, host: str, port: int) -> list[Json]:
        caller = Caller(proxy=self._proxy, port=port, gateway=MESH)
        for service in self._services.speaking_for(host, self._proxy.namespace):
            routes = routes_of(service, caller, self._destinations)
            if routes:
                return routes
        return []

    def _domains(self, names: list[str], service: Service, port: int) -> list[str]:
        numbers = [item.number for item in service.ports]
        # Without a port a name means the only port there is, or HTTP's own.
        is_default = len(numbers) == 1 or port == _UNKNOWN_HOST_PORT
        return self._free([f"{name}:{port}" for name in names] + (names if is_default else []))

    def _free(self, domains: list[str]) -> list[str]:
        """Those no earlier virtual host has: Envoy refuses a domain that stands twice."""
        free = [domain for domain in dict.fromkeys(domains) if domain not in self._taken]
        self._taken.update(free)
        return free


def _names(host: str, service: Service, namespace: str) -> list[str]:
    """Every name of a service, as a caller in *namespace* may write it."""
    qualified = f"{service.name}.{service.namespace}"
    short = [service.name] if service.namespace == namespace else []
    return [host, f"{qualified}.svc", qualified, *short]
