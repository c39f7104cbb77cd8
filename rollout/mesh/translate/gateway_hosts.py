"""Gateways: which servers a gateway proxy opens on a port, and the virtual hosts behind them.

Several VirtualServices on one host of a gateway are concatenated, the oldest first and catch-alls last, as istiod does.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rollout.mesh.registry import Proxy
from rollout.mesh.translate.destinations import Destinations
from rollout.mesh.translate.document import Parsed
from rollout.mesh.translate.gateway import Gateway, Server, ServerTls, ServerTlsMode
from rollout.mesh.translate.matches import Caller, includes, is_catch_all
from rollout.mesh.translate.names import gateway_name, intersection, is_visible, qualify, specificity
from rollout.mesh.translate.proto import Json, extension, given
from rollout.mesh.translate.routes import routes_of
from rollout.mesh.translate.rules_gateway import HTTP_PROTOCOLS
from rollout.mesh.translate.virtual_hosts import route_configuration, virtual_host
from rollout.mesh.translate.virtual_service import VirtualService

_TERMINATES = (ServerTlsMode.SIMPLE, ServerTlsMode.MUTUAL, ServerTlsMode.OPTIONAL_MUTUAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """One server of one Gateway that a proxy opens."""

    gateway: str
    """`namespace/name`."""
    namespace: str
    server: Server

    @property
    def is_tls(self) -> bool:
        """Whether TLS ends here."""
        return self.server.port.protocol == "HTTPS"

    @property
    def name(self) -> str:
        """Tells it from other servers of the same port."""
        return f"{self.server.port.name}.{self.gateway.replace('/', '.')}"


def openings_of(proxy: Proxy, port: int, gateways: Iterable[Parsed[Gateway]]) -> list[Opening]:
    """The HTTP and HTTPS servers that *proxy* opens on the service *port*."""
    return [
        Opening(gateway=f"{gateway.key.namespace}/{gateway.key.name}", namespace=gateway.key.namespace, server=server)
        for gateway in gateways
        if includes(proxy.labels, gateway.spec.selector)
        for server in gateway.spec.servers
        if server.port.number == port and _is_served(server)
    ]


def _is_served(server: Server) -> bool:
    terminates = server.tls is not None and server.tls.mode in _TERMINATES
    return server.port.protocol in HTTP_PROTOCOLS or (server.port.protocol == "HTTPS" and terminates)


class GatewayHosts:
    """The route configuration of one port of a gateway proxy."""

    def __init__(
        self, proxy: Proxy, port: int, services: Iterable[Parsed[VirtualService]], destinations: Destinations
    ) -> None:
        """Prepare for *port* of *proxy*; *services* come oldest first."""
        self._proxy, self._port, self._destinations = proxy, port, destinations
        self._services = tuple(services)

    def configuration(self, name: str, openings: Iterable[Opening]) -> Json:
        """All virtual hosts of *openings*; what nobody claimed gets 404."""
        routes: dict[str, list[Json]] = {}
        redirected: set[str] = set()
        for opening in openings:
            served = list(self._domains(opening))
            if opening.server.tls and opening.server.tls.https_redirect:
                # A host that no VirtualService claims is redirected all the same.
                served += [(host.rpartition("/")[2], []) for host in opening.server.hosts]
                redirected |= {domain for domain, _ in served}
            for domain, found in served:
                routes.setdefault(domain, []).extend(found)
        hosts = [
            {
                **virtual_host(f"{domain}:{self._port}", [domain], sorted(found, key=_is_last)),
                **given(require_tls="ALL" if domain in redirected else ""),
            }
            for domain, found in sorted(routes.items(), key=lambda item: specificity(item[0]))
        ]
        if "*" not in routes:
            nothing = {"name": "blackhole", "match": {"prefix": "/"}, "direct_response": {"status": 404}}
            hosts.append(virtual_host(f"blackhole:{self._port}", ["*"], [nothing]))
        return route_configuration(name, hosts, ignores_port=True)

    def _domains(self, opening: Opening) -> Iterator[tuple[str, list[Json]]]:
        """Each host that server and VirtualServices have in common, and the routes behind it."""
        caller = Caller(proxy=self._proxy, port=self._port, gateway=opening.gateway, is_tls=opening.is_tls)
        for service in self._services:
            names = {gateway_name(name, service.key.namespace) for name in service.spec.gateways}
            if opening.gateway not in names or not self._is_exported(service):
                continue
            hosts = [qualify(host, service.key.namespace, self._destinations.domain) for host in service.spec.hosts]
            common = [
                domain
                for host in hosts
                for server in _server_hosts(opening, service.key.namespace)
                if (domain := intersection(host, server))
            ]
            found = routes_of(service, caller, self._destinations)
            for domain in dict.fromkeys(common):
                yield domain, found

    def _is_exported(self, service: Parsed[VirtualService]) -> bool:
        return is_visible(service.spec.export_to, service.key.namespace, self._proxy.namespace)


def _is_last(route: Json) -> bool:
    return is_catch_all(route["match"])


def _server_hosts(opening: Opening, namespace: str) -> Iterator[str]:
    """The server's hosts that VirtualServices of *namespace* may bind to."""
    for host in opening.server.hosts:
        owner, _, name = host.rpartition("/")
        if owner in ("", "*", namespace) or (owner == "." and namespace == opening.namespace):
            yield name


def tls_chain(opening: Opening, chain: Json) -> Json:
    """A filter *chain* for the names of an HTTPS server, with its certificates."""
    assert opening.server.tls is not None, "an HTTPS server has tls: the rules see to it"
    names = [host.rpartition("/")[2] for host in opening.server.hosts]
    match = {} if "*" in names else {"filter_chain_match": {"server_names": names}}
    return {**chain, **match, "transport_socket": _downstream_tls(opening.server.tls)}


def _downstream_tls(tls: ServerTls) -> Json:
    certificate = {
        "certificate_chain": {"filename": tls.server_certificate},
        "private_key": {"filename": tls.private_key},
    }
    trusted = {"trusted_ca": {"filename": tls.ca_certificates}} if tls.ca_certificates else None
    common = {"tls_certificates": [certificate], "alpn_protocols": ["h2", "http/1.1"]}
    return extension(
        "envoy.transport_sockets.tls",
        "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        common_tls_context={**common, **given(validation_context=trusted)},
        **given(require_client_certificate=tls.mode is ServerTlsMode.MUTUAL),
    )
