"""A whole mesh -> every resource Envoy needs of it: listeners, routes, clusters, endpoints."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from rollout.mesh.registry import Proxy, ProxyKind
from rollout.mesh.translate.clusters import cluster
from rollout.mesh.translate.configuration import Configuration
from rollout.mesh.translate.endpoints import endpoints_of, load_assignment
from rollout.mesh.translate.gateway_hosts import GatewayHosts, openings_of, tls_chain
from rollout.mesh.translate.listeners import filter_chain, listener
from rollout.mesh.translate.names import cluster_name
from rollout.mesh.translate.proto import Json
from rollout.mesh.translate.virtual_hosts import MeshServices, Sidecar


class Api(StrEnum):
    """The discovery services, in the order in which their resources are made before they are used."""

    EDS = "eds"
    CDS = "cds"
    LDS = "lds"
    RDS = "rds"


Source = Callable[[Api, str], Json]
"""Where Envoy finds one resource: its ConfigSource."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Envoy's resources by name."""

    eds: Mapping[str, Json]
    cds: Mapping[str, Json]
    lds: Mapping[str, Json]
    rds: Mapping[str, Json]

    def of(self, api: Api) -> Mapping[str, Json]:
        """The resources of one discovery service."""
        return {Api.EDS: self.eds, Api.CDS: self.cds, Api.LDS: self.lds, Api.RDS: self.rds}[api]


def translate(configuration: Configuration, source: Source) -> Resources:
    """Every resource of *configuration*; routes and endpoints are fetched from where *source* says."""
    clusters, endpoints = _upstreams(configuration, source)
    listeners: dict[str, Json] = {}
    routes: dict[str, Json] = {}
    mesh = MeshServices.of(configuration.virtual_services, configuration.registry.domain)
    for proxy in configuration.registry.proxies:
        if proxy.kind is ProxyKind.SIDECAR:
            for name, port in proxy.listeners.items():
                routes[name] = Sidecar(proxy, mesh, configuration.destinations).configuration(name)
                chain = filter_chain(proxy, configuration.registry, name, source(Api.RDS, name), is_gateway=False)
                listeners[name] = listener(name, proxy.bind, port, [chain])
        else:
            for found, wanted in _gateway(proxy, configuration, source):
                listeners[found["name"]] = found
                routes |= wanted
    return Resources(eds=endpoints, cds=clusters, lds=listeners, rds=routes)


def _upstreams(configuration: Configuration, source: Source) -> tuple[dict[str, Json], dict[str, Json]]:
    clusters: dict[str, Json] = {}
    endpoints: dict[str, Json] = {}
    workloads = configuration.registry.workloads
    for host, service in configuration.destinations.services.items():
        rules = configuration.destinations.policies.of(host, service.namespace)
        labels: dict[str, Mapping[str, str]] = {"": {}} | {subset.name: subset.labels for subset in rules.subsets}
        for port in service.ports:
            for subset in labels if port.is_http else ():
                name = cluster_name(port.number, subset, host)
                clusters[name] = cluster(
                    service=service,
                    host=host,
                    port=port,
                    subset=subset,
                    policy=rules.policy(subset, port.number),
                    eds=source(Api.EDS, name),
                )
                endpoints[name] = load_assignment(name, endpoints_of(service, workloads, labels[subset]))
    return clusters, endpoints


def _gateway(proxy: Proxy, configuration: Configuration, source: Source) -> Iterator[tuple[Json, dict[str, Json]]]:
    """Each listener of a gateway proxy with its route configurations."""
    for name, local in proxy.listeners.items():
        port = int(name.rpartition(":")[2])
        openings = openings_of(proxy, port, configuration.gateways)
        hosts = GatewayHosts(proxy, port, configuration.virtual_services, configuration.destinations)
        secured = [opening for opening in openings if opening.is_tls]
        routes = {
            f"{name}/{opening.name}": hosts.configuration(f"{name}/{opening.name}", [opening]) for opening in secured
        }
        chains = [
            tls_chain(opening, _chain(proxy, configuration, f"{name}/{opening.name}", source)) for opening in secured
        ]
        if not secured:
            routes[name] = hosts.configuration(name, openings)
            chains = [_chain(proxy, configuration, name, source)]
        yield listener(name, proxy.bind, local, chains, inspects_tls=bool(secured)), routes


def _chain(proxy: Proxy, configuration: Configuration, routes_name: str, source: Source) -> Json:
    return filter_chain(proxy, configuration.registry, routes_name, source(Api.RDS, routes_name), is_gateway=True)
