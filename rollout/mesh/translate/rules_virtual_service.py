"""What istiod's webhook demands of a VirtualService as a whole, beyond the shape of its keys.

The rules of one HTTP route live in `rules_http.py`, of one match in `rules_match.py`.
"""

from collections.abc import Iterator

from rollout.mesh.schema import Problem
from rollout.mesh.translate.names import MESH, host_matches, is_host, is_label
from rollout.mesh.translate.rules_http import RouteRole, route_problems
from rollout.mesh.translate.rules_match import gateway_reference_problems
from rollout.mesh.translate.virtual_service import VirtualService
from rollout.yaml_documents import Path

_SPEC: Path = ("spec",)


def virtual_service_problems(service: VirtualService) -> Iterator[Problem]:
    """Everything wrong with *service*."""
    if not (service.http or service.tls or service.tcp):
        yield Problem(path=_SPEC, message="http, tcp or tls must be provided")
    is_delegate = not service.hosts
    if is_delegate and service.gateways:
        yield Problem(path=(*_SPEC, "gateways"), message="a virtual service without hosts is a delegate: no gateways")
    if is_delegate and (service.tls or service.tcp):
        yield Problem(path=_SPEC, message="a virtual service without hosts is a delegate: only http")
    yield from _host_problems(service)
    for index, gateway in enumerate(service.gateways):
        yield from gateway_reference_problems(gateway, (*_SPEC, "gateways", index))
    yield from export_problems(service.export_to)
    for index, route in enumerate(service.http):
        role = RouteRole.DELEGATE if is_delegate else RouteRole.ROOT if route.delegate else RouteRole.INDEPENDENT
        yield from route_problems(route, (*_SPEC, "http", index), role)


def _host_problems(service: VirtualService) -> Iterator[Problem]:
    on_mesh = not service.gateways or MESH in service.gateways
    for index, host in enumerate(service.hosts):
        path = (*_SPEC, "hosts", index)
        if not is_host(host):
            yield Problem(path=path, message=f"not a host: {host!r}")
        elif host == "*" and on_mesh:
            yield Problem(path=path, message='host "*" needs gateways: it is not allowed on the mesh')
        for earlier in service.hosts[:index]:
            if host_matches(earlier, host) or host_matches(host, earlier):
                yield Problem(path=path, message=f"{host!r} overlaps {earlier!r}")


def export_problems(export_to: tuple[str, ...]) -> Iterator[Problem]:
    """`exportTo` names namespaces, `.` or `*`, each once."""
    for index, namespace in enumerate(export_to):
        path = (*_SPEC, "exportTo", index)
        if namespace not in (".", "*", "~") and not is_label(namespace):
            yield Problem(path=path, message=f"not a namespace: {namespace!r}")
        if namespace in export_to[:index]:
            yield Problem(path=path, message=f"{namespace!r} stands there twice")
