"""Where a destination leads: its service, its cluster, and the hash that keeps a client on one endpoint."""

from collections.abc import Mapping

from rollout.mesh.registry import Registry, Service
from rollout.mesh.translate.destination_rule import ConsistentHash
from rollout.mesh.translate.names import cluster_name, qualify
from rollout.mesh.translate.policies import Policies
from rollout.mesh.translate.proto import Json, given
from rollout.mesh.translate.virtual_service import Destination


class Destinations:
    """All services of the mesh with their policies."""

    def __init__(self, registry: Registry, policies: Policies) -> None:
        """Index the services of *registry*."""
        self.domain = registry.domain
        self.services: Mapping[str, Service] = {service.host(registry.domain): service for service in registry.services}
        self.policies = policies

    def host(self, destination: Destination, namespace: str) -> str:
        """The full name, seen from a VirtualService in *namespace*."""
        return qualify(destination.host, namespace, self.domain)

    def port(self, destination: Destination, namespace: str, listener_port: int) -> int:
        """The port asked for, else the service's only one, else the one the caller used."""
        if destination.port:
            return destination.port.number
        service = self.services.get(self.host(destination, namespace))
        return service.ports[0].number if service and len(service.ports) == 1 else listener_port

    def cluster(self, destination: Destination, namespace: str, listener_port: int) -> str:
        """The cluster's name; it need not exist, then requests get 503 NC."""
        port = self.port(destination, namespace, listener_port)
        return cluster_name(port, destination.subset, self.host(destination, namespace))

    def hash_policy(self, destination: Destination, namespace: str, listener_port: int) -> list[Json]:
        """What is hashed when the destination's rule wants a consistent hash."""
        host = self.host(destination, namespace)
        service = self.services.get(host)
        if service is None:
            return []
        port = self.port(destination, namespace, listener_port)
        balancer = self.policies.of(host, service.namespace).policy(destination.subset, port).load_balancer
        return [_hashed(balancer.consistent_hash)] if balancer and balancer.consistent_hash else []


def _hashed(wanted: ConsistentHash) -> Json:
    if wanted.http_header_name:
        return {"header": {"header_name": wanted.http_header_name}}
    if wanted.http_query_parameter_name:
        return {"query_parameter": {"name": wanted.http_query_parameter_name}}
    if cookie := wanted.http_cookie:
        attributes = [{"name": attribute.name, "value": attribute.value} for attribute in cookie.attributes]
        ttl = str(cookie.ttl) if cookie.ttl is not None else None
        return {"cookie": {"name": cookie.name, **given(ttl=ttl, path=cookie.path, attributes=attributes)}}
    return {"connection_properties": {"source_ip": True}}
