"""Weights, probe routes and cohort routes of an Istio VirtualService.

The document belongs to its authors. Of it a rollout owns, while it runs: the weights of its two subsets in one http
route, the response header on these two destinations that names the version, and the http routes whose names begin
with "rollout-". edited() changes nothing else; restored() leaves no trace but the outcome's weights. Both are
idempotent, so that comparing their result with the live document tells whether there is anything left to do.
"""

import copy
from typing import Any

from rollout.core.routes.target import (
    COHORT_ROUTE,
    OWN_ROUTE_PREFIX,
    PROBE_ROUTE,
    VERSION_HEADER,
    Json,
    RouteProblem,
    RouteScope,
    RouteTarget,
)

Node = dict[str, Any]
_MIRRORS = ("mirror", "mirrors", "mirrorPercentage", "mirrorPercent", "mirror_percent")


def find_route(document: Json, scope: RouteScope) -> Node:
    """Return the http route that carries the service's stable version (or, failing that, its canary).

    Raises RouteProblem when there is none, or several and no name to choose by.
    """
    routes = _candidates(document, scope)
    carrying = [route for route in routes if _entry(route.get("route") or [], scope, scope.stable)]
    carrying = carrying or [route for route in routes if _entry(route.get("route") or [], scope, scope.canary)]
    return _only(carrying, document, scope, f"subset {scope.stable} or {scope.canary} of {scope.service}")


def find_service_route(document: Json, scope: RouteScope) -> Node:
    """Return the http route that carries the service, whatever the versions: the one without a match if there are more.

    Raises RouteProblem as find_route does.
    """
    routes = [
        route
        for route in _candidates(document, scope)
        if any(scope.owns_host(entry["destination"]["host"]) for entry in route.get("route") or ())
    ]
    catch_all = [route for route in routes if not route.get("match")]
    return _only(catch_all or routes, document, scope, scope.service)


def _candidates(document: Json, scope: RouteScope) -> list[Node]:
    routes = [route for route in document.get("spec", {}).get("http") or () if not _is_ours(route)]
    if scope.http is None:
        return routes
    named = [route for route in routes if route.get("name") == scope.http]
    if not named:
        raise RouteProblem(f"VirtualService {document['metadata']['name']} has no http route named {scope.http!r}")
    return named


def _only(routes: list[Node], document: Json, scope: RouteScope, what: str) -> Node:
    where = f"VirtualService {document['metadata']['name']}"
    if not routes:
        raise RouteProblem(f"{where} has no http route to {what}")
    if len(routes) > 1:
        names = ", ".join(route.get("name") or "one without a name" for route in routes)
        raise RouteProblem(f"{where} has several http routes to {scope.service} ({names}): name one in route.http")
    return routes[0]


def shares(route: Json, scope: RouteScope) -> dict[str, float]:
    """Percent of an http route's requests per destination ("v1"; "host/subset" for another service).

    One destination gets everything, whatever its weight says; entries of weight 0 are left out (Istio's rules).
    """
    destinations = route["route"]
    if len(destinations) == 1:
        return {_label(destinations[0], scope): 100.0}
    total = sum(entry.get("weight", 0) for entry in destinations)
    found: dict[str, float] = {}
    for entry in destinations:
        if weight := entry.get("weight", 0):
            label = _label(entry, scope)
            found[label] = found.get(label, 0.0) + 100 * weight / total
    return found


def destinations_of(document: Json, scope: RouteScope) -> list[Node]:
    """Return a copy of the http route's destinations: what restored() needs to leave no trace."""
    return copy.deepcopy(list(find_route(document, scope)["route"]))


def edited(document: Json, scope: RouteScope, target: RouteTarget) -> Node:
    """Return *document* with the wanted weights, version headers, and our own routes first in the list."""
    result = copy.deepcopy(dict(document))
    route = find_route(result, scope)
    _refuse_third_parties(route, scope)
    for subset, percent in ((scope.stable, 100 - target.canary_percent), (scope.canary, target.canary_percent)):
        entry = _entry(route["route"], scope, subset) or _added_entry(route["route"], scope, subset)
        entry["weight"] = percent
        _child(_child(_child(entry, "headers"), "response"), "set")[VERSION_HEADER] = subset
    ours = [_probe_route(route, scope, subset) for subset in (scope.canary, scope.stable)]
    if target.cohort is not None:
        ours.append(_cohort_route(route, scope, target.cohort))
    result["spec"]["http"] = [*ours, *_theirs(result)]
    return result


def restored(document: Json, scope: RouteScope, original: list[Node], *, promoted: bool) -> Node:
    """Return *document* without anything of ours: all traffic on the canary if *promoted*, else as in *original*."""
    result = copy.deepcopy(dict(document))
    route = find_route(result, scope)
    for entry in route["route"]:
        _forget_version_header(entry, _before(entry, original))
    if promoted:
        for subset, percent in ((scope.stable, 0), (scope.canary, 100)):
            entry = _entry(route["route"], scope, subset) or _added_entry(route["route"], scope, subset)
            entry["weight"] = percent
    else:
        route["route"] = [entry for entry in route["route"] if _stays_after_rollback(entry, scope, original)]
        for entry in route["route"]:
            _put_weight_back(entry, _before(entry, original))
    result["spec"]["http"] = _theirs(result)
    return result


def _refuse_third_parties(route: Json, scope: RouteScope) -> None:
    for entry in route["route"]:
        if _label(entry, scope) not in (scope.stable, scope.canary) and entry.get("weight", 0):
            raise RouteProblem(
                f"the http route to {scope.service} also sends weight {entry['weight']} to {_label(entry, scope)}:"
                " a rollout moves traffic between two versions only"
            )


def has_one_route(document: Json) -> bool:
    """Whether all of the document's http requests take the same route, ours aside."""
    return len(_theirs(document)) == 1


def _is_ours(route: Json) -> bool:
    return str(route.get("name", "")).startswith(OWN_ROUTE_PREFIX)


def _theirs(document: Json) -> list[Node]:
    return [route for route in document["spec"]["http"] if not _is_ours(route)]


def _entry(destinations: list[Node], scope: RouteScope, subset: str) -> Node | None:
    """The destination of the service's *subset*."""
    for entry in destinations:
        destination = entry["destination"]
        if destination.get("subset") == subset and scope.owns_host(destination["host"]):
            return entry
    return None


def _added_entry(destinations: list[Node], scope: RouteScope, subset: str) -> Node:
    """Append a destination for *subset*, addressed like its sibling (host, port)."""
    sibling = _entry(destinations, scope, scope.stable) or _entry(destinations, scope, scope.canary)
    assert sibling is not None, "find_route returns a route to one of the two versions"
    entry: Node = {"destination": {**sibling["destination"], "subset": subset}}
    destinations.append(entry)
    return entry


def _label(entry: Json, scope: RouteScope) -> str:
    destination = entry["destination"]
    subset = str(destination.get("subset", ""))
    return subset if scope.owns_host(destination["host"]) else f"{destination['host']}/{subset}"


def _child(node: Node, key: str) -> Node:
    """The mapping at *key*, made if it is absent or null."""
    if node.get(key) is None:
        node[key] = {}
    child: Node = node[key]
    return child


def _probe_route(route: Json, scope: RouteScope, subset: str) -> Node:
    """Requests that ask for *subset* by header. Mirrors and retries are left out: one probe is one sample."""
    kept = {key: value for key, value in route.items() if key not in _MIRRORS}
    return {
        **copy.deepcopy(kept),
        "name": PROBE_ROUTE.format(version=subset),
        "match": _narrowed(route, {VERSION_HEADER: {"exact": subset}}),
        "route": [_whole(route, scope, subset)],
        "retries": {"attempts": 0},
    }


def _cohort_route(route: Json, scope: RouteScope, headers: Json) -> Node:
    return {
        **copy.deepcopy(dict(route)),
        "name": COHORT_ROUTE,
        "match": _narrowed(route, headers),
        "route": [_whole(route, scope, scope.canary)],
    }


def _whole(route: Json, scope: RouteScope, subset: str) -> Node:
    entry = _entry(route["route"], scope, subset)
    assert entry is not None, "edited() has put both versions in"
    return {key: copy.deepcopy(value) for key, value in entry.items() if key != "weight"}


def _narrowed(route: Json, headers: Json) -> list[Node]:
    """The route's own matches (OR), each with *headers* required as well (AND)."""
    return [
        {**copy.deepcopy(match), "headers": {**match.get("headers", {}), **headers}}
        for match in route.get("match") or [{}]
    ]


def _before(entry: Json, original: list[Node]) -> Node | None:
    return next((known for known in original if known["destination"] == entry["destination"]), None)


def _stays_after_rollback(entry: Json, scope: RouteScope, original: list[Node]) -> bool:
    is_canary = entry["destination"].get("subset") == scope.canary and scope.owns_host(entry["destination"]["host"])
    return not is_canary or _before(entry, original) is not None


def _put_weight_back(entry: Node, before: Node | None) -> None:
    if before is not None and "weight" in before:
        entry["weight"] = before["weight"]
    elif before is not None:
        entry.pop("weight", None)


def _forget_version_header(entry: Node, before: Node | None) -> None:
    """Remove our response header, and the mappings around it that only it needed."""
    path = ("headers", "response", "set")
    nodes, known = [entry], [before or {}]
    for key in path:
        child = nodes[-1].get(key)
        if not isinstance(child, dict):
            return
        nodes.append(child)
        known.append(known[-1].get(key) or {} if key in known[-1] else {})
    nodes[-1].pop(VERSION_HEADER, None)
    for depth in (2, 1, 0):
        if not nodes[depth + 1] and path[depth] not in known[depth]:
            del nodes[depth][path[depth]]
