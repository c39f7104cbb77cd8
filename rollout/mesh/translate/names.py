"""Names: what a host, a subset, a cluster and a virtual host are called, exactly as istiod calls them."""

import re

DOMAIN = "cluster.local"
ROOT_NAMESPACE = "istio-system"
MESH = "mesh"  # the reserved gateway name: all sidecars

_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
_SUBSET = re.compile(r"[a-zA-Z0-9](?:[-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?")
_HOST_PART = re.compile(r"[a-zA-Z0-9_](?:[-a-zA-Z0-9_]{0,61}[a-zA-Z0-9_])?")
_IPV4 = re.compile(r"(?:\d{1,3}\.){3}\d{1,3}")
HOST_MAX = 255  # RFC 1035


def is_label(name: str) -> bool:
    """Whether *name* is an RFC 1123 label, the form of namespaces and services."""
    return _LABEL.fullmatch(name) is not None


def is_object_name(name: str) -> bool:
    """Whether *name* may name a Kubernetes object: labels joined by dots."""
    return len(name) <= HOST_MAX and all(is_label(part) for part in name.split("."))


def is_subset_name(name: str) -> bool:
    """Whether *name* may name a subset: a label, upper case allowed."""
    return _SUBSET.fullmatch(name) is not None


def is_host(host: str) -> bool:
    """Whether *host* is a DNS name, possibly with `*` as its first label."""
    if not host or len(host) > HOST_MAX:
        return False
    first, *rest = host.removesuffix(".").split(".")
    return (first == "*" or _HOST_PART.fullmatch(first) is not None) and all(map(_HOST_PART.fullmatch, rest))


def qualify(host: str, namespace: str, domain: str = DOMAIN) -> str:
    """The full name of a short host; a dot, a wildcard or an address is taken literally (no `reviews.prod`)."""
    return host if "." in host or host == "*" or ":" in host else f"{host}.{namespace}.svc.{domain}"


def host_matches(pattern: str, host: str) -> bool:
    """Whether *pattern* (which may begin with `*`) covers *host* (which may, too)."""
    return pattern in ("*", host) or (pattern.startswith("*") and host.removeprefix("*").endswith(pattern[1:]))


def specificity(pattern: str) -> tuple[bool, int]:
    """Sorts hosts: exact ones first, then wildcards, the longer first."""
    return pattern.startswith("*"), -len(pattern)


def intersection(one: str, other: str) -> str | None:
    """The narrower of two host patterns when one covers the other."""
    if host_matches(one, other):
        return other
    return one if host_matches(other, one) else None


def cluster_name(port: int, subset: str, host: str) -> str:
    """`outbound|9080|v3|reviews.bookinfo.svc.cluster.local`."""
    return f"outbound|{port}|{subset}|{host}"


def subset_of(cluster: str) -> str:
    """The subset in a cluster's name; "" is all of the service."""
    return cluster.split("|")[2] if cluster.count("|") == 3 else ""


def sni(port: int, subset: str, host: str) -> str:
    """The server name a sidecar asks for."""
    return f"outbound_.{port}_.{subset}_.{host}"


def gateway_name(name: str, namespace: str) -> str:
    """A gateway as VirtualServices refer to it: `mesh`, or `namespace/name`."""
    return name if name == MESH or "/" in name else f"{namespace}/{name}"


def is_visible(export_to: tuple[str, ...], namespace: str, viewer: str) -> bool:
    """Whether an object of *namespace* is exported to *viewer*; nothing said means everywhere."""
    return not export_to or bool({"*", viewer} & set(export_to)) or ("." in export_to and namespace == viewer)
