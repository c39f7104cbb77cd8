"""What the mesh knows of services and pods: the stand-in for Kubernetes Services, Endpoints and sidecars.

A *service* is a name with ports and a selector; a *workload endpoint* is one pod of one version at an address; a
*proxy* is a listener. Every calling workload gets one listener of its own, its **virtual sidecar**: what enters there
counts as sent by that workload, so `sourceLabels` and `source_workload` mean what they mean in Istio. A gateway proxy
has one listener per service port. Port 0 asks for a free one. The registry is one YAML document of kind `MeshRegistry`;
`v1 Service` documents that are applied later are merged in.
"""

import dataclasses
import ipaddress
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any

from rollout.mesh.schema import Bounds, Port, Problem, plain, read
from rollout.mesh.translate.document import InvalidDocument, Key
from rollout.mesh.translate.names import DOMAIN, is_host, is_label
from rollout.yaml_documents import Document, Path

API_VERSION = "rollout.dev/v1alpha1"
KIND = "MeshRegistry"
LocalPort = Annotated[int, Bounds(0, 65535)]
_PORT = re.compile(r"[1-9][0-9]{0,4}")


class Protocol(StrEnum):
    """What a service port speaks; TCP ports carry no HTTP routes."""

    HTTP = "HTTP"
    HTTP2 = "HTTP2"
    GRPC = "GRPC"
    TCP = "TCP"


# The first word of a Kubernetes port name, or its appProtocol, as Istio's protocol selection reads it. What is not
# listed would be sniffed by Istio; here it is taken for HTTP.
_PROTOCOLS = {"http2": Protocol.HTTP2, "grpc": Protocol.GRPC, "kubernetes.io/h2c": Protocol.HTTP2} | dict.fromkeys(
    ("tcp", "tls", "https", "udp", "mongo", "mysql", "redis"), Protocol.TCP
)


class ProxyKind(StrEnum):
    """A sidecar serves one calling workload, a gateway the outside."""

    SIDECAR = "sidecar"
    GATEWAY = "gateway"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePort:
    """One port of a service."""

    number: Port
    name: str = ""
    protocol: Protocol = Protocol.HTTP

    @property
    def is_http(self) -> bool:
        """Whether HTTP routes apply."""
        return self.protocol is not Protocol.TCP

    @property
    def is_http2(self) -> bool:
        """Whether upstreams are spoken to in HTTP/2."""
        return self.protocol in (Protocol.HTTP2, Protocol.GRPC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A name that callers use, and the labels of the pods behind it."""

    name: str
    namespace: str = "default"
    ports: tuple[ServicePort, ...] = ()
    selector: Mapping[str, str] = field(default_factory=dict)

    def host(self, domain: str) -> str:
        """The full name."""
        return f"{self.name}.{self.namespace}.svc.{domain}"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a pod listens; Envoy wants an IP, not a name."""

    ip: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read `127.0.0.1:9080` or `[::1]:9080`."""
        ip, _, port = text.rpartition(":")
        if not _is_port(port):
            raise ValueError(f"not an address: {text!r}; write it like 127.0.0.1:9080")
        return cls(str(ipaddress.ip_address(ip.strip("[]"))), int(port))

    def __str__(self) -> str:
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One endpoint: a pod of a workload (of a version)."""

    pod: str
    workload: str
    namespace: str = "default"
    labels: Mapping[str, str] = field(default_factory=dict)
    address: Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """A listener (sidecar) or several (gateway: service port -> local port)."""

    name: str
    namespace: str = "default"
    labels: Mapping[str, str] = field(default_factory=dict)
    kind: ProxyKind = ProxyKind.SIDECAR
    bind: str = "127.0.0.1"
    port: LocalPort = 0
    port_map: Mapping[str, LocalPort] = field(default_factory=dict)

    @property
    def listeners(self) -> dict[str, int]:
        """Every listener's name and local port: `reviews-v2.bookinfo`, `istio-ingressgateway.istio-system:80`."""
        if self.kind is ProxyKind.SIDECAR:
            return {f"{self.name}.{self.namespace}": self.port}
        return {f"{self.name}.{self.namespace}:{number}": local for number, local in self.port_map.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """All services, endpoints and proxies of one mesh."""

    services: tuple[Service, ...] = ()
    workloads: tuple[Workload, ...] = ()
    proxies: tuple[Proxy, ...] = ()
    domain: str = DOMAIN
    # Istio's sidecars drop x-envoy-upstream-rq-timeout-ms from applications (istio#14923); true lets it through.
    honour_timeout_header: bool = False
    # Envoy's two byte histograms double the size of a scrape (616 against 214 kB for 11 label sets).
    byte_histograms: bool = False

    @property
    def listeners(self) -> dict[str, int]:
        """Every listener's name and local port; 0 is not yet chosen."""
        return {name: port for proxy in self.proxies for name, port in proxy.listeners.items()}

    def with_ports(self, ports: Mapping[str, int]) -> "Registry":
        """The same with the local *ports* chosen for listeners that asked for any."""
        return dataclasses.replace(self, proxies=tuple(_with_ports(proxy, ports) for proxy in self.proxies))

    def with_services(self, services: Iterable[Service]) -> "Registry":
        """The same with *services* added; one of the same name is replaced."""
        merged = {(service.namespace, service.name): service for service in (*self.services, *services)}
        return dataclasses.replace(self, services=tuple(merged.values()))

    def with_workloads(self, workloads: Iterable[Workload]) -> "Registry":
        """The same with other endpoints."""
        return dataclasses.replace(self, workloads=tuple(workloads))

    def document(self) -> dict[str, Any]:
        """As a document that `parse_registry` reads."""
        return {"apiVersion": API_VERSION, "kind": KIND, "spec": plain(self)}


def _with_ports(proxy: Proxy, ports: Mapping[str, int]) -> Proxy:
    chosen = {name: local or ports.get(name, 0) for name, local in proxy.listeners.items()}
    if proxy.kind is ProxyKind.SIDECAR:
        return dataclasses.replace(proxy, port=next(iter(chosen.values())))
    return dataclasses.replace(proxy, port_map={name.rpartition(":")[2]: local for name, local in chosen.items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Envelope:
    api_version: str
    kind: str
    spec: Registry
    metadata: Mapping[str, Any] = field(default_factory=dict)


def parse_registry(raw: object) -> Registry:
    """A registry from its document; everything that is wrong is raised at once as InvalidDocument."""
    envelope, problems = read(_Envelope, raw)
    if envelope is None:
        raise InvalidDocument(Key(KIND, "", "registry"), problems)
    found = tuple(_problems(envelope))
    if found:
        raise InvalidDocument(Key(KIND, "", "registry"), found)
    return envelope.spec


def load_registry(document: Document) -> Registry:
    """A registry from a file; problems name file, line and column."""
    try:
        return parse_registry(document.value)
    except InvalidDocument as error:
        lines = (document.describe(problem.path, problem.message) for problem in error.problems)
        raise ValueError("\n".join(lines)) from error


def _problems(envelope: _Envelope) -> Iterator[Problem]:
    if (envelope.api_version, envelope.kind) != (API_VERSION, KIND):
        yield Problem(
            path=("kind",), message=f"expected {API_VERSION} {KIND}, got {envelope.api_version} {envelope.kind}"
        )
    spec = envelope.spec
    if not is_host(spec.domain) or spec.domain.startswith("*"):
        yield Problem(path=("spec", "domain"), message=f"not a domain: {spec.domain!r}")
    for group in ("services", "workloads", "proxies"):
        for index, item in enumerate(getattr(spec, group)):
            yield from _name_problems(item, ("spec", group, index))
    yield from _twice("services", [(item.namespace, item.name) for item in spec.services])
    yield from _twice("workloads", [(item.namespace, item.pod) for item in spec.workloads])
    yield from _twice("proxies", [(item.namespace, item.name) for item in spec.proxies])
    yield from _proxy_problems(spec.proxies)


def _name_problems(item: Service | Workload | Proxy, path: Path) -> Iterator[Problem]:
    names = ("pod", "workload", "namespace") if isinstance(item, Workload) else ("name", "namespace")
    for attribute in names:
        if not is_label(getattr(item, attribute)):
            yield Problem(path=(*path, attribute), message=f"not a name: {getattr(item, attribute)!r}")
    if isinstance(item, Service):
        numbers = [port.number for port in item.ports]
        if not numbers or len(set(numbers)) < len(numbers):
            yield Problem(path=(*path, "ports"), message="a service needs ports, each number once")


def _twice(group: str, names: list[tuple[str, str]]) -> Iterator[Problem]:
    for (namespace, name), count in Counter(names).items():
        if count > 1:
            yield Problem(path=("spec", group), message=f"{namespace}/{name} stands there {count} times")


def _proxy_problems(proxies: tuple[Proxy, ...]) -> Iterator[Problem]:
    taken: dict[int, str] = {}
    for index, proxy in enumerate(proxies):
        path = ("spec", "proxies", index)
        if (proxy.kind is ProxyKind.GATEWAY) != bool(proxy.port_map):
            yield Problem(path=(*path, "portMap"), message="a gateway needs portMap ({80: 0}), a sidecar only port")
        if proxy.kind is ProxyKind.GATEWAY and proxy.port:
            yield Problem(path=(*path, "port"), message="a gateway has no port of its own, only portMap")
        if not all(map(_is_port, proxy.port_map)):
            yield Problem(path=(*path, "portMap"), message="its keys are service ports, 1..65535")
        if not _is_ip(proxy.bind):
            yield Problem(path=(*path, "bind"), message=f"not an IP address: {proxy.bind!r}")
        for name, local in proxy.listeners.items():
            if local and taken.setdefault(local, name) != name:
                yield Problem(path=path, message=f"port {local} is taken by {taken[local]}")


def _is_port(text: str) -> bool:
    return _PORT.fullmatch(text) is not None and int(text) < 65536


def _is_ip(text: str) -> bool:
    try:
        return bool(ipaddress.ip_address(text))
    except ValueError:
        return False


def service_of(raw: Mapping[str, Any], key: Key) -> Service | None:
    """A service from a `v1 Service` document, of which only ports and selector are read; None when it has no ports."""
    spec = _mapping(raw.get("spec"))
    ports = [_mapping(port) for port in spec["ports"]] if isinstance(spec.get("ports"), list) else []
    asked = {
        "name": key.name,
        "namespace": key.namespace,
        "ports": [
            {"number": port.get("port"), "name": port.get("name") or "", "protocol": _protocol(port)} for port in ports
        ],
        "selector": spec.get("selector"),
    }
    service, problems = read(Service, asked, ("spec",))
    if problems:
        raise InvalidDocument(key, [dataclasses.replace(problem, path=_told(problem.path)) for problem in problems])
    return service if service and service.ports else None


def _told(path: Path) -> Path:
    """A key path in the words of a Kubernetes Service."""
    return tuple("port" if part == "number" else part for part in path)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _protocol(port: Mapping[str, Any]) -> str:
    word = str(port.get("appProtocol") or str(port.get("name") or "").partition("-")[0]).lower()
    transport = Protocol.HTTP if port.get("protocol") in (None, "TCP") else Protocol.TCP
    return _PROTOCOLS.get(word, transport)
