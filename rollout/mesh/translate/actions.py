"""What a matched route does: forward (split, rewrite, mirror, retry), redirect or answer by itself."""

from rollout.mesh.translate.destinations import Destinations
from rollout.mesh.translate.headers import authority, header_fields
from rollout.mesh.translate.matches import Caller
from rollout.mesh.translate.proto import Json, given, hundred, million
from rollout.mesh.translate.retries import retry_policy
from rollout.mesh.translate.virtual_service import (
    DerivePort,
    Destination,
    DirectResponse,
    Headers,
    HttpRoute,
    Percentage,
    Redirect,
    Rewrite,
    RouteDestination,
)

_REDIRECT_CODES = {
    301: "MOVED_PERMANENTLY",
    302: "FOUND",
    303: "SEE_OTHER",
    307: "TEMPORARY_REDIRECT",
    308: "PERMANENT_REDIRECT",
}
_DEFAULT_PORTS = {"http": 80, "https": 443}


def action(route: HttpRoute, namespace: str, caller: Caller, destinations: Destinations) -> Json:
    """The fields of an Envoy Route that say what happens, header operations included."""
    if route.redirect:
        return {**header_fields(route.headers), "redirect": _redirect(route.redirect, caller)}
    if route.direct_response:
        return {**header_fields(route.headers), "direct_response": _direct_response(route.direct_response)}
    return _Forward(route, namespace, caller, destinations).fields()


class _Forward:
    """One forwarding route in the making."""

    def __init__(self, route: HttpRoute, namespace: str, caller: Caller, destinations: Destinations) -> None:
        self._route, self._namespace, self._port, self._destinations = route, namespace, caller.port, destinations

    def fields(self) -> Json:
        route = self._route
        served = [item for item in route.route if item.weight or len(route.route) == 1]
        hashes = [policy for item in served for policy in self._hash(item.destination)]
        forward = {
            **self._targets(served),
            # Never max_stream_duration: beside it Envoy ignores `timeout`. Nor max_grpc_timeout, which is deprecated.
            "timeout": str(route.timeout) if route.timeout else "0s",
            **(_rewrite(route.rewrite) if route.rewrite else {}),
            **given(
                host_rewrite_literal=self._authority(),
                request_mirror_policies=self._mirrors(),
                hash_policy=hashes,
                retry_policy=retry_policy(route.retries, is_hashed=bool(hashes)),
            ),
        }
        only = route.route[0].headers if len(route.route) == 1 else Headers()
        return {**_joined(header_fields(route.headers), header_fields(only)), "route": forward}

    def _targets(self, served: list[RouteDestination]) -> Json:
        if len(self._route.route) == 1:
            return {"cluster": self._cluster(served[0].destination)}
        return {"weighted_clusters": {"clusters": [self._share(item) for item in served]}}

    def _share(self, item: RouteDestination) -> Json:
        return {
            "name": self._cluster(item.destination),
            "weight": item.weight,
            **header_fields(item.headers),
            **given(host_rewrite_literal=authority(item.headers)),
        }

    def _authority(self) -> str:
        route = self._route
        own = (route.rewrite.authority if route.rewrite else "") or authority(route.headers)
        return own or (authority(route.route[0].headers) if len(route.route) == 1 else "")

    def _mirrors(self) -> list[Json]:
        route = self._route
        asked = [(mirror.destination, _mirrored(mirror.percentage, None)) for mirror in route.mirrors]
        if route.mirror:
            old = route.mirror_percent if route.mirror_percent is not None else route.mirror_percent_snake
            asked.append((route.mirror, _mirrored(route.mirror_percentage, old)))
        return [
            {
                "cluster": self._cluster(destination),
                "runtime_fraction": {"default_value": fraction},
                "trace_sampled": False,
            }
            for destination, fraction in asked
            if fraction["numerator"]
        ]

    def _cluster(self, destination: Destination) -> str:
        return self._destinations.cluster(destination, self._namespace, self._port)

    def _hash(self, destination: Destination) -> list[Json]:
        return self._destinations.hash_policy(destination, self._namespace, self._port)


def _mirrored(percentage: Percentage | None, deprecated: int | None) -> Json:
    if percentage:
        return million(percentage)
    return hundred(100 if deprecated is None else deprecated)


def _joined(first: Json, second: Json) -> Json:
    return {key: first.get(key, []) + second.get(key, []) for key in {**first, **second}}


def _rewrite(rewrite: Rewrite) -> Json:
    if rewrite.uri_regex_rewrite:
        pattern = {"regex": rewrite.uri_regex_rewrite.match}
        return {"regex_rewrite": {"pattern": pattern, "substitution": rewrite.uri_regex_rewrite.rewrite}}
    return given(prefix_rewrite=rewrite.uri)


def _redirect(redirect: Redirect, caller: Caller) -> Json:
    return {
        "response_code": _REDIRECT_CODES[redirect.redirect_code],
        **given(
            host_redirect=redirect.authority,
            path_redirect=redirect.uri,
            prefix_rewrite=redirect.prefix_rewrite,
            scheme_redirect=redirect.scheme,
            port_redirect=_redirect_port(redirect, caller),
        ),
    }


def _redirect_port(redirect: Redirect, caller: Caller) -> int:
    """The port to name in the location; a scheme's own port is left unsaid."""
    wanted = caller.port if redirect.derive_port is DerivePort.FROM_REQUEST_PORT else redirect.port or 0
    scheme = redirect.scheme or ("https" if caller.is_tls else "http")
    return 0 if wanted == _DEFAULT_PORTS[scheme] else wanted


def _direct_response(response: DirectResponse) -> Json:
    if response.body is None:
        return {"status": response.status}
    if response.body.bytes is not None:
        return {"status": response.status, "body": {"inline_bytes": response.body.bytes}}
    return {"status": response.status, "body": {"inline_string": response.body.string or ""}}
