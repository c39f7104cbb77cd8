"""What istiod demands of a DestinationRule."""

from collections.abc import Iterator

from rollout.mesh.schema import Problem, Severity
from rollout.mesh.translate.destination_rule import (
    ClientTls,
    ConnectionPool,
    ConsistentHash,
    DestinationRule,
    H2UpgradePolicy,
    HttpCookie,
    HttpSettings,
    LoadBalancer,
    OutlierDetection,
    PortTrafficPolicy,
    SimpleLb,
    Subset,
    TlsMode,
    TrafficPolicy,
)
from rollout.mesh.translate.names import is_host, is_subset_name
from rollout.mesh.translate.rules_match import HEADER_NAME
from rollout.mesh.translate.rules_virtual_service import export_problems
from rollout.yaml_documents import Path

_SPEC: Path = ("spec",)
MAGLEV_TABLE_MAX = 5_000_011  # Envoy's own limit


def destination_rule_problems(rule: DestinationRule) -> Iterator[Problem]:
    """Everything wrong with *rule*."""
    if not is_host(rule.host):
        yield Problem(path=(*_SPEC, "host"), message=f"not a host: {rule.host!r}")
    yield from export_problems(rule.export_to)
    if rule.workload_selector is not None:
        message = "has no effect in the embedded mesh: all callers share one policy"
        yield Problem(path=(*_SPEC, "workloadSelector"), message=message, severity=Severity.WARNING)
    if rule.traffic_policy:
        yield from _policy_problems(rule.traffic_policy, (*_SPEC, "trafficPolicy"))
    names = [subset.name for subset in rule.subsets]
    for index, subset in enumerate(rule.subsets):
        if subset.name in names[:index]:
            message = f"duplicate subset name {subset.name!r}"
            yield Problem(path=(*_SPEC, "subsets", index, "name"), message=message)
        yield from _subset_problems(subset, (*_SPEC, "subsets", index))


def _subset_problems(subset: Subset, path: Path) -> Iterator[Problem]:
    if not is_subset_name(subset.name):
        yield Problem(path=(*path, "name"), message=f"not a subset name: {subset.name!r}")
    if subset.traffic_policy:
        yield from _policy_problems(subset.traffic_policy, (*path, "trafficPolicy"))


def _policy_problems(policy: TrafficPolicy, path: Path) -> Iterator[Problem]:
    if policy == TrafficPolicy():
        yield Problem(path=path, message="must have at least one field")
    yield from _block_problems(policy, path)
    for index, port in enumerate(policy.port_level_settings):
        inner = (*path, "portLevelSettings", index)
        if port == PortTrafficPolicy(port=port.port):
            yield Problem(path=inner, message="must have at least one field beside port")
        yield from _block_problems(port, inner)
    for key, given in (("tunnel", policy.tunnel), ("proxyProtocol", policy.proxy_protocol)):
        if given is not None:
            message = "has no effect in the embedded mesh"
            yield Problem(path=(*path, key), message=message, severity=Severity.WARNING)


def _block_problems(policy: TrafficPolicy | PortTrafficPolicy, path: Path) -> Iterator[Problem]:
    if policy.connection_pool:
        yield from _pool_problems(policy.connection_pool, (*path, "connectionPool"))
    if policy.outlier_detection:
        yield from _outlier_problems(policy.outlier_detection, (*path, "outlierDetection"))
    if policy.load_balancer:
        yield from _balancer_problems(policy.load_balancer, (*path, "loadBalancer"))
    if policy.tls:
        yield from _tls_problems(policy.tls, (*path, "tls"))


def _pool_problems(pool: ConnectionPool, path: Path) -> Iterator[Problem]:
    if pool.tcp is None and pool.http is None:
        yield Problem(path=path, message="must have at least one field")
    if pool.tcp and pool.tcp.max_connections < 0:
        yield Problem(path=(*path, "tcp", "maxConnections"), message="must not be negative")
    if pool.http:
        yield from _http_problems(pool.http, (*path, "http"))


def _http_problems(http: HttpSettings, path: Path) -> Iterator[Problem]:
    limits = {
        "http1MaxPendingRequests": http.http1_max_pending_requests,
        "http2MaxRequests": http.http2_max_requests,
        "maxRequestsPerConnection": http.max_requests_per_connection,
        "maxRetries": http.max_retries,
        "maxConcurrentStreams": http.max_concurrent_streams,
    }
    for key, limit in limits.items():
        if limit < 0:
            yield Problem(path=(*path, key), message=f"must not be negative, got {limit}")
    if http.http2_keep_alive and not http.http2_keep_alive.timeout:
        yield Problem(path=(*path, "http2KeepAlive", "timeout"), message="missing")
    if http.use_client_protocol and http.h2_upgrade_policy is H2UpgradePolicy.UPGRADE:
        yield Problem(path=path, message="useClientProtocol and h2UpgradePolicy UPGRADE contradict each other")


def _outlier_problems(outlier: OutlierDetection, path: Path) -> Iterator[Problem]:
    if outlier.consecutive_errors is not None:
        message = "consecutiveErrors has no effect any more, use consecutive5xxErrors or consecutiveGatewayErrors"
        yield Problem(path=(*path, "consecutiveErrors"), message=message, severity=Severity.WARNING)
    if outlier.consecutive_local_origin_failures and not outlier.split_external_local_origin_errors:
        message = "needs splitExternalLocalOriginErrors: true"
        yield Problem(path=(*path, "consecutiveLocalOriginFailures"), message=message)


def _balancer_problems(balancer: LoadBalancer, path: Path) -> Iterator[Problem]:
    if balancer.simple is not None and balancer.consistent_hash is not None:
        yield Problem(path=path, message="only one of simple and consistentHash")
    if balancer.consistent_hash:
        yield from _hash_problems(balancer.consistent_hash, (*path, "consistentHash"))
    if balancer.warmup and balancer.warmup_duration_secs:
        yield Problem(path=path, message="only one of warmup and warmupDurationSecs")
    if (balancer.warmup or balancer.warmup_duration_secs) and (
        balancer.consistent_hash or balancer.simple in (SimpleLb.RANDOM, SimpleLb.PASSTHROUGH)
    ):
        yield Problem(path=path, message="warmup works with ROUND_ROBIN and LEAST_REQUEST only")
    for key, given in (
        ("localityLbSetting", balancer.locality_lb_setting),
        ("zoneAwareLbSetting", balancer.zone_aware_lb_setting),
    ):
        if given is not None:
            message = "has no effect in the embedded mesh: it is one locality"
            yield Problem(path=(*path, key), message=message, severity=Severity.WARNING)


def _hash_problems(given: ConsistentHash, path: Path) -> Iterator[Problem]:
    keys = (given.http_header_name, given.http_cookie, given.use_source_ip, given.http_query_parameter_name)
    if sum(map(bool, keys)) != 1:
        message = "exactly one of httpHeaderName, httpCookie, useSourceIp, httpQueryParameterName"
        yield Problem(path=path, message=message)
    if given.http_header_name and not HEADER_NAME.fullmatch(given.http_header_name.removeprefix(":")):
        yield Problem(path=(*path, "httpHeaderName"), message=f"not a header name: {given.http_header_name!r}")
    if given.http_cookie:
        yield from _cookie_problems(given.http_cookie, (*path, "httpCookie"))
    if sum(map(bool, (given.ring_hash, given.maglev, given.minimum_ring_size))) > 1:
        yield Problem(path=path, message="only one of ringHash, maglev and minimumRingSize")
    if given.minimum_ring_size:
        message = "minimumRingSize is deprecated, use ringHash"
        yield Problem(path=(*path, "minimumRingSize"), message=message, severity=Severity.WARNING)
    size = given.maglev.table_size if given.maglev else 2
    if size > MAGLEV_TABLE_MAX or not _is_prime(size):
        message = f"must be a prime number up to {MAGLEV_TABLE_MAX}, got {size}"
        yield Problem(path=(*path, "maglev", "tableSize"), message=message)


def _cookie_problems(cookie: HttpCookie, path: Path) -> Iterator[Problem]:
    if not cookie.name:
        yield Problem(path=(*path, "name"), message="must not be empty")
    names = [attribute.name for attribute in cookie.attributes]
    for index, name in enumerate(names):
        if not name or name in names[:index]:
            message = f"stands there twice: {name!r}" if name else "must not be empty"
            yield Problem(path=(*path, "attributes", index, "name"), message=message)


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % divisor for divisor in range(2, int(number**0.5) + 1))


def _tls_problems(tls: ClientTls, path: Path) -> Iterator[Problem]:
    files = (tls.client_certificate, tls.private_key, tls.ca_certificates)
    match tls.mode:
        case TlsMode.MUTUAL:
            if not tls.credential_name and not (tls.client_certificate and tls.private_key):
                yield Problem(path=path, message="mode MUTUAL needs clientCertificate and privateKey")
        case TlsMode.ISTIO_MUTUAL:
            if any(files) or tls.credential_name:
                yield Problem(path=path, message="mode ISTIO_MUTUAL brings its own certificates: name no others")
        case TlsMode.SIMPLE | TlsMode.DISABLE:
            pass
    is_checked = tls.mode in (TlsMode.SIMPLE, TlsMode.MUTUAL) and not tls.insecure_skip_verify
    if is_checked and not (tls.ca_certificates or tls.credential_name):
        # istiod falls back to the authorities of the sidecar's image; without any, Envoy trusts everybody.
        message = "missing: name a file of authorities to trust, or say insecureSkipVerify: true"
        yield Problem(path=(*path, "caCertificates"), message=message)
    if tls.credential_name:
        message = "secrets are not available in the embedded mesh: name certificate files"
        yield Problem(path=(*path, "credentialName"), message=message)
