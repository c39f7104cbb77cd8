"""A service port, as a whole and per subset -> Envoy clusters, with the limits of its DestinationRule.

Balancing and ejection are in `balancing.py`, TLS in `upstream_tls.py`, the endpoints themselves in `endpoints.py`: they
travel separately, so that a pod that comes or goes does not rebuild a cluster (which would forget its ejections).
"""

from rollout.mesh.registry import Service, ServicePort
from rollout.mesh.translate.balancing import balancing, error_matcher, outlier_detection
from rollout.mesh.translate.destination_rule import (
    ConnectionPool,
    H2UpgradePolicy,
    HttpSettings,
    RetryBudget,
    TcpKeepalive,
    TcpSettings,
    TrafficPolicy,
)
from rollout.mesh.translate.names import cluster_name, sni
from rollout.mesh.translate.proto import HTTP_PROTOCOL_OPTIONS, METADATA, Json, given, typed
from rollout.mesh.translate.upstream_tls import transport_socket

_NO_LIMIT = 4294967295  # istiod's "none": the largest the field holds
_CONNECT_TIMEOUT = "10s"  # istiod's mesh default
_RETRY_BUDGET_PERCENT = 20.0  # istiod's defaults where a retryBudget leaves them out
_RETRY_BUDGET_CONCURRENCY = 3


def cluster(*, service: Service, host: str, port: ServicePort, subset: str, policy: TrafficPolicy, eds: Json) -> Json:
    """The cluster of *subset* ("" is all of the service) on *port*; its endpoints come from *eds*."""
    name = cluster_name(port.number, subset, host)
    pool = policy.connection_pool or ConnectionPool()
    tcp, http = pool.tcp or TcpSettings(), pool.http or HttpSettings()
    identity = {"host": host, "name": service.name, "namespace": service.namespace, "subset": subset}
    merge = {"update_merge_window": "0s"}  # else workers learn of a second ejection a second late
    return {
        "name": name,
        "alt_stat_name": name + ";",  # the semicolon lets a tag regex lift the dotted name out of a statistic
        "type": "EDS",
        "eds_cluster_config": {"eds_config": eds, "service_name": name},
        "connect_timeout": str(tcp.connect_timeout) if tcp.connect_timeout else _CONNECT_TIMEOUT,
        "circuit_breakers": {"thresholds": [_thresholds(tcp, http, policy.retry_budget)]},
        "typed_extension_protocol_options": {HTTP_PROTOCOL_OPTIONS: _protocol(policy, is_http2=port.is_http2)},
        "metadata": {"filter_metadata": {METADATA: identity}},
        **balancing(policy.load_balancer),
        "common_lb_config": merge | _panic(policy),
        **given(
            outlier_detection=outlier_detection(policy.outlier_detection) if policy.outlier_detection else None,
            upstream_connection_options=_keepalive(tcp.tcp_keepalive) if tcp.tcp_keepalive else None,
            transport_socket=transport_socket(policy.tls, sni(port.number, subset, host)) if policy.tls else None,
        ),
    }


def _panic(policy: TrafficPolicy) -> Json:
    """Envoy would balance over ejected endpoints once half are gone; istiod turns that off: all gone is 503 UH."""
    if policy.outlier_detection is None:
        return {}
    return {"healthy_panic_threshold": {"value": policy.outlier_detection.min_health_percent or 0}}


def _thresholds(tcp: TcpSettings, http: HttpSettings, budget: RetryBudget | None) -> Json:
    thresholds: Json = {
        "max_connections": tcp.max_connections or _NO_LIMIT,
        "max_pending_requests": http.http1_max_pending_requests or _NO_LIMIT,
        "max_requests": http.http2_max_requests or _NO_LIMIT,
        "max_retries": http.max_retries or _NO_LIMIT,
        "track_remaining": True,
    }
    if budget:
        percent = _RETRY_BUDGET_PERCENT if budget.percent is None else budget.percent
        concurrency = budget.min_retry_concurrency
        thresholds["retry_budget"] = {
            "budget_percent": {"value": percent},
            "min_retry_concurrency": _RETRY_BUDGET_CONCURRENCY if concurrency is None else concurrency,
        }
    return thresholds


def _keepalive(keepalive: TcpKeepalive) -> Json:
    return {
        "tcp_keepalive": given(
            keepalive_probes=keepalive.probes,
            keepalive_time=keepalive.time.whole_seconds if keepalive.time else 0,
            keepalive_interval=keepalive.interval.whole_seconds if keepalive.interval else 0,
        )
    }


def _protocol(policy: TrafficPolicy, *, is_http2: bool) -> Json:
    pool = policy.connection_pool or ConnectionPool()
    tcp, http = pool.tcp or TcpSettings(), pool.http or HttpSettings()
    codes = policy.outlier_detection.outlier_detection_http_error_codes if policy.outlier_detection else ()
    idle = http.idle_timeout or tcp.idle_timeout
    common = given(
        idle_timeout=str(idle) if idle else "",
        max_requests_per_connection=http.max_requests_per_connection,
        max_connection_duration=str(tcp.max_connection_duration) if tcp.max_connection_duration else "",
    )
    return typed(
        HTTP_PROTOCOL_OPTIONS,
        **_codec(http, is_http2=is_http2),
        **given(common_http_protocol_options=common, outlier_detection=error_matcher(codes)),
    )


def _codec(http: HttpSettings, *, is_http2: bool) -> Json:
    keepalive = http.http2_keep_alive
    pings = given(
        interval=str(keepalive.interval) if keepalive and keepalive.interval else "",
        timeout=str(keepalive.timeout) if keepalive and keepalive.timeout else "",
    )
    http2 = given(max_concurrent_streams=http.max_concurrent_streams, connection_keepalive=pings)
    if http.use_client_protocol:
        return {"use_downstream_protocol_config": {"http_protocol_options": {}, "http2_protocol_options": http2}}
    wants_http2 = is_http2 and http.h2_upgrade_policy is not H2UpgradePolicy.DO_NOT_UPGRADE
    if wants_http2 or http.h2_upgrade_policy is H2UpgradePolicy.UPGRADE:
        return {"explicit_http_config": {"http2_protocol_options": http2}}
    return {"explicit_http_config": {"http_protocol_options": {}}}
