"""Which pods are behind a cluster: the service's selector and the subset's labels must both fit."""

from collections.abc import Iterable, Mapping

from rollout.mesh.registry import Service, Workload
from rollout.mesh.translate.matches import includes
from rollout.mesh.translate.proto import METADATA, Json, given

UNKNOWN = "unknown"
_NO_LABELS: Mapping[str, str] = {}


def endpoints_of(
    service: Service, workloads: Iterable[Workload], labels: Mapping[str, str] = _NO_LABELS
) -> list[Workload]:
    """The pods of *service* that carry *labels*; a service without selector has none."""
    if not service.selector:
        return []
    wanted = {**service.selector, **labels}
    return [
        workload
        for workload in workloads
        if workload.namespace == service.namespace and includes(workload.labels, wanted)
    ]


def load_assignment(name: str, workloads: Iterable[Workload]) -> Json:
    """The endpoints of cluster *name*; each carries who it is, for the access log."""
    endpoints = [_endpoint(workload) for workload in workloads]
    return {"cluster_name": name, **given(endpoints=[{"lb_endpoints": endpoints}] if endpoints else [])}


def _endpoint(workload: Workload) -> Json:
    address = {"address": workload.address.ip, "port_value": workload.address.port}
    identity = {
        "workload": workload.workload,
        "namespace": workload.namespace,
        "pod": workload.pod,
        **identity_of(workload.labels),
    }
    return {
        "endpoint": {"address": {"socket_address": address}},
        "metadata": {"filter_metadata": {METADATA: identity}},
    }


def identity_of(labels: Mapping[str, str]) -> dict[str, str]:
    """The four names Istio's metrics derive from pod labels."""
    app = labels.get("app") or labels.get("istio") or UNKNOWN
    version = labels.get("version")
    return {
        "app": app,
        "version": version or UNKNOWN,
        "service": labels.get("service.istio.io/canonical-name", app),
        "revision": labels.get("service.istio.io/canonical-revision", version or "latest"),
    }
