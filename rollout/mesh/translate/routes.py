"""A VirtualService -> the Envoy routes one caller gets of it, in order, up to the first that catches everything."""

from rollout.mesh.translate.actions import action
from rollout.mesh.translate.destinations import Destinations
from rollout.mesh.translate.document import Parsed
from rollout.mesh.translate.matches import Caller, is_catch_all, route_match
from rollout.mesh.translate.names import cluster_name
from rollout.mesh.translate.proto import METADATA, Json, given
from rollout.mesh.translate.retries import retry_policy
from rollout.mesh.translate.route_filters import route_filters
from rollout.mesh.translate.virtual_service import HttpMatch, HttpRoute, VirtualService


def routes_of(service: Parsed[VirtualService], caller: Caller, destinations: Destinations) -> list[Json]:
    """The routes of *service* that concern *caller*; none means that another VirtualService, or the default, speaks."""
    routes: list[Json] = []
    for index, route in enumerate(service.spec.http):
        for match in route.match or (None,):
            if match is None or caller.is_meant_by(match, service.key.namespace):
                routes.append(_route(service, index, match, caller, destinations))
                if is_catch_all(routes[-1]["match"]):
                    return routes
    return routes


def default_route(host: str, port: int, hash_policy: list[Json]) -> Json:
    """Where requests go when no VirtualService speaks: to all of the service, with istiod's retries and no timeout."""
    forward = {
        "cluster": cluster_name(port, "", host),
        "timeout": "0s",
        "retry_policy": retry_policy(None, is_hashed=False),  # istiod does not ask here whether it is hashed
        **given(hash_policy=hash_policy),
    }
    return {"name": "default", "match": route_match(None), "route": forward}


def _route(
    service: Parsed[VirtualService],
    index: int,
    match: HttpMatch | None,
    caller: Caller,
    destinations: Destinations,
) -> Json:
    route = service.spec.http[index]
    return {
        **given(name=_name(route, match), stat_prefix=match.stat_prefix if match else ""),
        "match": route_match(match),
        "metadata": {"filter_metadata": {METADATA: {"virtual_service": str(service.key), "http": index}}},
        **action(route, service.key.namespace, caller, destinations),
        **given(typed_per_filter_config=route_filters(route)),
    }


def _name(route: HttpRoute, match: HttpMatch | None) -> str:
    return f"{route.name}.{match.name}" if match and match.name else route.name
