"""What istiod demands of a Gateway."""

from collections.abc import Iterator

from rollout.mesh.schema import Problem, Severity
from rollout.mesh.translate.gateway import Gateway, Server, ServerTls, ServerTlsMode
from rollout.mesh.translate.names import is_host, is_label
from rollout.yaml_documents import Path

_SERVERS: Path = ("spec", "servers")
HTTP_PROTOCOLS = ("HTTP", "HTTP2", "GRPC", "GRPC-WEB")
PROTOCOLS = (*HTTP_PROTOCOLS, "HTTPS", "MONGO", "TCP", "TLS")


def gateway_problems(gateway: Gateway) -> Iterator[Problem]:
    """Everything wrong with *gateway*."""
    if not gateway.servers:
        yield Problem(path=_SERVERS, message="a gateway needs servers")
    names: set[str] = set()
    for index, server in enumerate(gateway.servers):
        path = (*_SERVERS, index)
        if server.port.name in names:
            message = f"port names must be unique: {server.port.name!r} stands there twice"
            yield Problem(path=(*path, "port", "name"), message=message)
        names.add(server.port.name)
        yield from _server_problems(server, path)


def _server_problems(server: Server, path: Path) -> Iterator[Problem]:
    if server.port.protocol not in PROTOCOLS:
        message = f"must be one of {', '.join(PROTOCOLS)}, got {server.port.protocol!r}"
        yield Problem(path=(*path, "port", "protocol"), message=message)
    if not server.port.name:
        yield Problem(path=(*path, "port", "name"), message="must not be empty")
    if server.port.target_port:
        yield Problem(path=(*path, "port", "targetPort"), message="has no effect on gateways")
    if server.bind:
        message = "has no effect in the embedded mesh: the registry says where a gateway listens"
        yield Problem(path=(*path, "bind"), message=message, severity=Severity.WARNING)
    if not server.hosts:
        yield Problem(path=(*path, "hosts"), message="a server needs hosts")
    for index, host in enumerate(server.hosts):
        *namespace, name = host.split("/")
        if (
            len(namespace) > 1
            or not is_host(name)
            or not all(part in ("*", ".") or is_label(part) for part in namespace)
        ):
            yield Problem(path=(*path, "hosts", index), message=f"not a host: {host!r}; write host or namespace/host")
    if server.tls:
        yield from _tls_problems(server.tls, server.port.protocol, (*path, "tls"))
    if server.port.protocol == "HTTPS" and server.tls is None:
        yield Problem(path=(*path, "tls"), message="protocol HTTPS needs tls")
    if server.port.protocol in ("TCP", "TLS", "MONGO"):
        message = "not served: the embedded mesh carries HTTP and HTTPS"
        yield Problem(path=(*path, "port", "protocol"), message=message, severity=Severity.WARNING)


def _tls_problems(tls: ServerTls, protocol: str, path: Path) -> Iterator[Problem]:
    if protocol in HTTP_PROTOCOLS:
        if not tls.https_redirect:
            yield Problem(path=path, message=f"tls on protocol {protocol} can only be httpsRedirect")
        return
    if tls.https_redirect:
        yield Problem(path=(*path, "httpsRedirect"), message="only plain HTTP can be redirected to HTTPS")
    terminates = tls.mode in (ServerTlsMode.SIMPLE, ServerTlsMode.MUTUAL, ServerTlsMode.OPTIONAL_MUTUAL)
    if protocol == "HTTPS" and not terminates:
        message = f"mode {tls.mode} is not served: the embedded mesh terminates SIMPLE and MUTUAL"
        yield Problem(path=(*path, "mode"), message=message, severity=Severity.WARNING)
    if tls.credential_name or tls.credential_names or tls.tls_certificates:
        message = "secrets are not available in the embedded mesh: name serverCertificate and privateKey files"
        yield Problem(path=path, message=message)
    elif terminates and not (tls.server_certificate and tls.private_key):
        yield Problem(path=path, message=f"mode {tls.mode} needs serverCertificate and privateKey")
    if tls.mode is ServerTlsMode.MUTUAL and not tls.ca_certificates:
        yield Problem(path=(*path, "caCertificates"), message="mode MUTUAL needs caCertificates")
