"""Delegation: a root VirtualService hands a route over to another one, which may only narrow it.

Every route of the delegate is merged into the root's: both matches must hold, the delegate's own settings win over the
root's. A delegate route whose match is not narrower than the root's is dropped, as istiod does.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from rollout.mesh.translate.document import Key, Parsed
from rollout.mesh.translate.names import is_visible
from rollout.mesh.translate.virtual_service import Delegate, Headers, HttpMatch, HttpRoute, StringMatch, VirtualService

_COMPARED = ("uri", "scheme", "method", "authority")
_MAPPED = ("headers", "without_headers", "query_params")
_REPLACED = ("port", "source_namespace", "gateways", "stat_prefix")
_INHERITED = (
    *("rewrite", "timeout", "retries", "fault", "cors_policy"),
    *("mirror", "mirror_percent", "mirror_percent_snake", "mirror_percentage"),
)


def delegate_key(delegate: Delegate, namespace: str) -> Key:
    """Which VirtualService *delegate* means, said in *namespace*."""
    return Key("VirtualService", delegate.namespace or namespace, delegate.name)


def with_delegates(
    root: Parsed[VirtualService], delegates: Mapping[Key, Parsed[VirtualService]]
) -> Parsed[VirtualService]:
    """*root* with each delegating route replaced by its delegate's merged routes; a missing delegate leaves nothing."""
    if not any(route.delegate for route in root.spec.http):
        return root
    http = tuple(merged for route in root.spec.http for merged in _expanded(route, root.key.namespace, delegates))
    return dataclasses.replace(root, spec=dataclasses.replace(root.spec, http=http))


def _expanded(route: HttpRoute, namespace: str, delegates: Mapping[Key, Parsed[VirtualService]]) -> Iterator[HttpRoute]:
    if route.delegate is None:
        yield route
        return
    found = delegates.get(delegate_key(route.delegate, namespace))
    if found and is_visible(found.spec.export_to, found.key.namespace, namespace):
        for leaf in found.spec.http:
            merged = _merged(route, leaf)
            if merged:
                yield merged


def _merged(root: HttpRoute, leaf: HttpRoute) -> HttpRoute | None:
    matches = _merged_matches(root.match, leaf.match)
    if matches is None:
        return None
    inherited = {key: getattr(root, key) for key in _INHERITED if getattr(leaf, key) is None}
    return dataclasses.replace(
        leaf,
        name=_name(root.name, leaf.name),
        match=matches,
        headers=root.headers if leaf.headers == Headers() else leaf.headers,
        mirrors=leaf.mirrors or root.mirrors,
        **inherited,
    )


def _name(root: str, leaf: str) -> str:
    return f"{root}-{leaf}" if root and leaf else root or leaf


def _merged_matches(roots: tuple[HttpMatch, ...], leaves: tuple[HttpMatch, ...]) -> tuple[HttpMatch, ...] | None:
    if not roots or not leaves:
        return roots or leaves
    merged: list[HttpMatch] = []
    for leaf in leaves:
        narrowed = [_merged_match(root, leaf) for root in roots if not _conflict(root, leaf)]
        if not narrowed:
            return None
        merged += narrowed
    return tuple(merged)


def _merged_match(root: HttpMatch, leaf: HttpMatch) -> HttpMatch:
    merged: dict[str, Any] = {key: getattr(leaf, key) or getattr(root, key) for key in (*_COMPARED, *_REPLACED)}
    merged |= {key: {**getattr(root, key), **getattr(leaf, key)} for key in (*_MAPPED, "source_labels")}
    return dataclasses.replace(leaf, name=_name(root.name, leaf.name), **merged)


def _conflict(root: HttpMatch, leaf: HttpMatch) -> bool:
    pairs = [(getattr(root, key), getattr(leaf, key)) for key in _COMPARED]
    for key in _MAPPED:
        pairs += [(getattr(root, key).get(name), string) for name, string in getattr(leaf, key).items()]
    if any(first and second and not _narrows(first, second) for first, second in pairs):
        return True
    is_other_port = bool(root.port and leaf.port and root.port != leaf.port)
    return is_other_port or root.ignore_uri_case != leaf.ignore_uri_case or _is_other_source(root, leaf)


def _is_other_source(root: HttpMatch, leaf: HttpMatch) -> bool:
    differing = any(root.source_labels.get(key, value) != value for key, value in leaf.source_labels.items())
    return (
        differing
        or bool(root.source_namespace and leaf.source_namespace != root.source_namespace)
        or bool(root.gateways and not set(leaf.gateways) <= set(root.gateways))
    )


def _narrows(root: StringMatch, leaf: StringMatch) -> bool:
    """Whether everything *leaf* lets through, *root* lets through as well; regular expressions are not compared."""
    if root.exact:
        return leaf.exact == root.exact
    if root.prefix:
        return (leaf.exact or leaf.prefix or "").startswith(root.prefix)
    return False
