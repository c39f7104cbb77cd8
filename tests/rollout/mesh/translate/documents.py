"""Small Istio documents, and what becomes of them."""

from collections.abc import Iterable, Mapping
from typing import Any

from rollout.mesh.registry import Registry, parse_registry
from rollout.mesh.translate.configuration import Configuration, check_document, configuration_of
from rollout.mesh.translate.document import InvalidDocument
from rollout.mesh.translate.resources import Api, Resources, translate
from rollout.yaml_documents import key_path

Json = dict[str, Any]

REVIEWS = "reviews.bookinfo.svc.cluster.local"
RATINGS = "ratings.bookinfo.svc.cluster.local"


def document(kind: str, spec: Json, name: str = "it", namespace: str = "bookinfo", created: str = "") -> Json:
    metadata = {"name": name, "namespace": namespace} | ({"creationTimestamp": created} if created else {})
    return {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


def virtual_service(spec: Json, name: str = "it", namespace: str = "bookinfo", created: str = "") -> Json:
    return document("VirtualService", spec, name, namespace, created)


def destination_rule(spec: Json, name: str = "it", namespace: str = "bookinfo", created: str = "") -> Json:
    return document("DestinationRule", spec, name, namespace, created)


def gateway(spec: Json, name: str = "entry", namespace: str = "bookinfo", created: str = "") -> Json:
    return document("Gateway", spec, name, namespace, created)


def to(host: str = "reviews", subset: str = "", **more: Any) -> Json:
    """One destination of a route."""
    return {"destination": {"host": host} | ({"subset": subset} if subset else {}), **more}


def reviews(*http: Json, **more: Any) -> Json:
    """A VirtualService of reviews with these routes."""
    return virtual_service({"hosts": ["reviews"], "http": list(http), **more})


def registry(**more: Any) -> Registry:
    """Two services; a sidecar of productpage, and a gateway."""
    port = {"number": 9080, "name": "http"}
    labels = {"app": "productpage", "version": "v1"}
    spec = {
        "services": [
            {"name": name, "namespace": "bookinfo", "ports": [port], "selector": {"app": name}}
            for name in ("reviews", "ratings")
        ],
        "proxies": [
            {"name": "productpage-v1", "namespace": "bookinfo", "labels": labels},
            {"name": "entry", "namespace": "edge", "kind": "gateway", "labels": {"istio": "in"}, "portMap": {"80": 0}},
        ],
    }
    return parse_registry({"apiVersion": "rollout.dev/v1alpha1", "kind": "MeshRegistry", "spec": spec | more})


def configured(*documents: Json, over: Registry | None = None) -> Configuration:
    return configuration_of(over or registry(), documents)


def source(api: Api, name: str) -> Json:
    return {"path": f"{api}/{name}"}


def translated(*documents: Json, over: Registry | None = None) -> Resources:
    return translate(configured(*documents, over=over), source)


def routes(*documents: Json, proxy: str = "productpage-v1.bookinfo", host: str = f"{REVIEWS}:9080", **more: Any) -> Any:
    """The routes of one virtual host."""
    hosts = {item["name"]: item for item in translated(*documents, **more).rds[proxy]["virtual_hosts"]}
    return hosts[host]["routes"]


def route(http: Json, *others: Json, **more: Any) -> Any:
    """The first Envoy route of a VirtualService of reviews with the one route *http*."""
    return routes(reviews(http), *others, **more)[0]


def cluster(spec: Json, port: int = 9080, subset: str = "", **more: Any) -> Any:
    """The cluster of reviews under a DestinationRule."""
    rule = destination_rule({"host": "reviews", **spec})
    return translated(rule, **more).cds[f"outbound|{port}|{subset}|{REVIEWS}"]


def errors_in(raw: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Every error of a document: key path and message; [] when it is let in."""
    try:
        check_document(raw)
    except InvalidDocument as error:
        return [(key_path(problem.path), problem.message) for problem in error.problems]
    return []


def warnings_in(raw: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Every warning of a document that is let in."""
    return [(key_path(finding.path), finding.message) for finding in check_document(raw)[1]]


def without(value: Mapping[str, Any], *keys: str) -> Json:
    return {key: item for key, item in value.items() if key not in keys}


def pick(value: Mapping[str, Any], keys: Iterable[str]) -> Json:
    return {key: value[key] for key in keys if key in value}
