"""Istio's standard metrics from a vanilla Envoy.

Every listener writes `istio_requests_total` and `istio_request_duration_milliseconds` with Istio's 25 labels, through
the `envoy.access_loggers.stats` access log, once as the source sees the call, and once as the destination would, when a
pod was really reached (Istio's server-side proxy writes that row; here there is none). The source's labels are
constants of the virtual sidecar, the destination's come from the metadata of cluster and endpoint. One label more than
Istio has, `destination_subset`, tells which canary a reply belongs to that no pod gave (UH, UO): there
`destination_version` is "unknown", on real Istio as well.

Envoy prefixes every name with `envoy_`; `scrape_config` takes it off again for `istio_*`.
"""

import json
from typing import Any

from rollout.mesh.registry import Proxy
from rollout.mesh.translate.endpoints import UNKNOWN, identity_of
from rollout.mesh.translate.proto import METADATA, Json, extension, typed

# An access log format has no literal fallback, but it can read an environment variable: Envoy is started with this one.
UNKNOWN_VARIABLE = "ROLLOUT_UNKNOWN"
_CLUSTER_ID = "embedded"  # Istio's label for "which Kubernetes cluster"
_STATS_CONFIG = "envoy.extensions.access_loggers.stats.v3.Config"

# Tags that Envoy lifts out of its own statistics' names, as istiod's bootstrap does. The cluster's name ends at `;`.
_STATS_TAGS = {
    "cluster_name": r"^cluster(\.(.+?);)",
    "destination_port": r"^cluster(\.outbound\|(\d+)\|[^;]*;)",
    "destination_subset": r"^cluster(\.outbound\|\d+\|([^|;]+)\|[^;]*;)",
    "destination_service": r"^cluster(\.outbound\|\d+\|[^|;]*\|([^;]+);)",
    "http_conn_manager_prefix": r"^http(\.(.+?);)",
    "response_code": r"_rq(_(\d{3}))$",
    "response_code_class": r"_rq(_(\dxx))$",
}
# Raw names, as the admin endpoint filters them: all of Istio's, and of each cluster's what tells a breaker, an
# ejection, a retry, a timeout or a saturated pool.
SCRAPED = (
    r"^istio\.|^cluster\..*;\.?(circuit_breakers|outlier_detection|membership_|"
    r"upstream_(rq_(\d|total|completed|active|retry|timeout|pending_overflow)|cx_(active|overflow|connect_fail)))"
)


def stats_config() -> Json:
    """The bootstrap's part: no default tags (they cut cluster names at the first dot), ours instead."""
    tags = [{"tag_name": name, "regex": regex} for name, regex in _STATS_TAGS.items()]
    return {"use_all_default_tags": False, "stats_tags": tags}


def scrape_config(admin_address: str, interval: str = "1s") -> Json:
    """A Prometheus scrape job for the mesh at *admin_address*; `envoy_istio_*` become `istio_*`."""
    return {
        "job_name": "rollout-mesh",
        "metrics_path": "/stats/prometheus",
        "params": {"usedonly": [""], "filter": [SCRAPED]},
        "scrape_interval": interval,
        "static_configs": [{"targets": [admin_address]}],
        "metric_relabel_configs": [
            {"source_labels": ["__name__"], "regex": "envoy_(istio_.*)", "target_label": "__name__"}
        ],
    }


def access_log(proxy: Proxy, *, byte_histograms: bool) -> list[Json]:
    """The two writers of a listener: reporter source for every request, destination where a pod was reached."""
    reached = extension(
        "envoy.access_loggers.extension_filters.cel",
        "envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter",
        expression="has(upstream.address)",
    )
    source = _writer(_tags(proxy, "source", "unknown"), byte_histograms=byte_histograms)
    destination = _writer(_tags(proxy, "destination", "none"), byte_histograms=byte_histograms)
    return [source, {**destination, "filter": {"extension_filter": reached}}]


def _writer(tags: list[Json], *, byte_histograms: bool) -> Json:
    histograms = [("request_duration_milliseconds", "Milliseconds", "%DURATION%")]
    if byte_histograms:
        histograms.append(("request_bytes", "Bytes", "%BYTES_RECEIVED%"))
        histograms.append(("response_bytes", "Bytes", "%BYTES_SENT%"))
    config = typed(
        _STATS_CONFIG,
        stats_scope={"prefix": "istio"},
        counters=[{"stat": {"name": "requests_total", "tags": tags}, "value_fixed": 1}],
        histograms=[
            {"stat": {"name": name, "tags": tags}, "unit": unit, "value_format": value}
            for name, unit, value in histograms
        ],
    )
    return {"name": "envoy.access_loggers.stats", "typed_config": config}


def _tags(proxy: Proxy, reporter: str, security: str) -> list[Json]:
    source = identity_of(proxy.labels)
    values: dict[str, Any] = {
        "reporter": reporter,
        "source_workload": proxy.name,
        "source_workload_namespace": proxy.namespace,
        "source_principal": UNKNOWN,
        "source_app": source["app"],
        "source_version": source["version"],
        "source_canonical_service": source["service"],
        "source_canonical_revision": source["revision"],
        "source_cluster": _CLUSTER_ID,
        "destination_workload": _endpoint("workload"),
        "destination_workload_namespace": _endpoint("namespace"),
        "destination_principal": UNKNOWN,
        "destination_app": _endpoint("app"),
        "destination_version": _endpoint("version"),
        "destination_service": _cluster("host"),
        "destination_service_name": _cluster("name"),
        "destination_service_namespace": _cluster("namespace"),
        "destination_canonical_service": _endpoint("service"),
        "destination_canonical_revision": _endpoint("revision"),
        "destination_cluster": _CLUSTER_ID,
        "destination_subset": _cluster("subset"),
        "request_protocol": "http",
        "response_code": "%RESPONSE_CODE%",
        "grpc_response_status": "%GRPC_STATUS_NUMBER%",
        "response_flags": "%RESPONSE_FLAGS%",
        "connection_security_policy": security,
    }
    return [{"name": name, "value_format": value} for name, value in values.items()]


def _endpoint(key: str) -> str:
    return _or_unknown(f"UPSTREAM_HOST:{METADATA}:{key}")


def _cluster(key: str) -> str:
    return _or_unknown(f"CLUSTER:{METADATA}:{key}")


def _or_unknown(metadata: str) -> str:
    operators = [{"command": "METADATA", "param": metadata}, {"command": "ENVIRONMENT", "param": UNKNOWN_VARIABLE}]
    return f"%COALESCE({json.dumps({'operators': operators}, separators=(',', ':'))})%"
