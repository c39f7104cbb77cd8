"""The nouns of a DestinationRule. Shape only; what must hold between keys is in `rules_destination.py`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any

from rollout.mesh.schema import Bounds, Int32, Percent, UInt32
from rollout.mesh.translate.duration import Duration, Span
from rollout.mesh.translate.virtual_service import PortSelector

RingSize = Annotated[int, Bounds(0, 8 * 1024 * 1024)]  # Envoy's own limit


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpKeepalive:
    """Keep idle upstream connections from being dropped by middleboxes."""

    probes: UInt32 | None = None
    time: Span | None = None
    interval: Span | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpSettings:
    """Limits of the connections to a service."""

    max_connections: Int32 = 0
    connect_timeout: Span | None = None
    tcp_keepalive: TcpKeepalive | None = None
    max_connection_duration: Span | None = None
    idle_timeout: Duration | None = None


class H2UpgradePolicy(StrEnum):
    """Whether HTTP/1.1 requests travel as HTTP/2."""

    DEFAULT = "DEFAULT"
    DO_NOT_UPGRADE = "DO_NOT_UPGRADE"
    UPGRADE = "UPGRADE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Http2KeepAlive:
    """HTTP/2 pings."""

    interval: Span | None = None
    timeout: Span | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """Limits of the requests to a service; 0 means no limit."""

    http1_max_pending_requests: Int32 = 0
    http2_max_requests: Int32 = 0
    max_requests_per_connection: Int32 = 0
    max_retries: Int32 = 0
    idle_timeout: Span | None = None
    h2_upgrade_policy: H2UpgradePolicy = H2UpgradePolicy.DEFAULT
    use_client_protocol: bool = False
    max_concurrent_streams: Int32 = 0
    http2_keep_alive: Http2KeepAlive | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionPool:
    """The circuit breaker in the electrical sense: how much may be in flight."""

    tcp: TcpSettings | None = None
    http: HttpSettings | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutlierDetection:
    """Which endpoints are taken out for misbehaving, and for how long."""

    consecutive_5xx_errors: UInt32 | None = None
    consecutive_gateway_errors: UInt32 | None = None
    consecutive_errors: Int32 | None = None
    consecutive_local_origin_failures: UInt32 | None = None
    split_external_local_origin_errors: bool = False
    interval: Span | None = None
    base_ejection_time: Span | None = None
    max_ejection_percent: Annotated[int, Bounds(0, 100)] | None = None
    min_health_percent: Annotated[int, Bounds(0, 100)] | None = None
    outlier_detection_http_error_codes: tuple[Annotated[int, Bounds(100, 599)], ...] = ()


class SimpleLb(StrEnum):
    """Balancing without memory."""

    UNSPECIFIED = "UNSPECIFIED"
    LEAST_CONN = "LEAST_CONN"
    RANDOM = "RANDOM"
    PASSTHROUGH = "PASSTHROUGH"
    ROUND_ROBIN = "ROUND_ROBIN"
    LEAST_REQUEST = "LEAST_REQUEST"


@dataclass(frozen=True, slots=True, kw_only=True)
class CookieAttribute:
    """An attribute of a generated cookie."""

    name: str
    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpCookie:
    """A cookie that is hashed; with a `ttl` it is generated when missing."""

    name: str
    path: str = ""
    ttl: Duration | None = None
    attributes: tuple[CookieAttribute, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RingHash:
    """Ketama."""

    minimum_ring_size: RingSize = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Maglev:
    """Google's Maglev table."""

    table_size: UInt32 = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsistentHash:
    """The same key goes to the same endpoint."""

    http_header_name: str = ""
    http_cookie: HttpCookie | None = None
    use_source_ip: bool = False
    http_query_parameter_name: str = ""
    ring_hash: RingHash | None = None
    maglev: Maglev | None = None
    minimum_ring_size: RingSize = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Warmup:
    """How a new endpoint's share grows."""

    duration: Span
    minimum_percent: Percent | None = None
    aggression: Annotated[float, Bounds(0, 1e6)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadBalancer:
    """Which endpoint a request goes to; locality settings are read and have no effect on one machine."""

    simple: SimpleLb | None = None
    consistent_hash: ConsistentHash | None = None
    warmup: Warmup | None = None
    warmup_duration_secs: Span | None = None
    locality_lb_setting: Mapping[str, Any] | None = None
    zone_aware_lb_setting: Mapping[str, Any] | None = None


class TlsMode(StrEnum):
    """How connections to the service are secured."""

    DISABLE = "DISABLE"
    SIMPLE = "SIMPLE"
    MUTUAL = "MUTUAL"
    ISTIO_MUTUAL = "ISTIO_MUTUAL"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTls:
    """TLS towards the service."""

    mode: TlsMode = TlsMode.DISABLE
    sni: str = ""
    ca_certificates: str = ""
    ca_crl: str = ""
    client_certificate: str = ""
    private_key: str = ""
    credential_name: str = ""
    subject_alt_names: tuple[str, ...] = ()
    insecure_skip_verify: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryBudget:
    """Retries as a share of the requests in flight."""

    percent: Percent | None = None
    min_retry_concurrency: UInt32 | None = None
    budget_interval: Duration | None = None


class ProxyProtocolVersion(StrEnum):
    """HAProxy's PROXY protocol."""

    V1 = "V1"
    V2 = "V2"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyProtocol:
    """Prefix upstream connections with the client's address."""

    version: ProxyProtocolVersion = ProxyProtocolVersion.V1


@dataclass(frozen=True, slots=True, kw_only=True)
class PortTrafficPolicy:
    """The policy of one port; it inherits nothing from the level above."""

    port: PortSelector
    connection_pool: ConnectionPool | None = None
    outlier_detection: OutlierDetection | None = None
    load_balancer: LoadBalancer | None = None
    tls: ClientTls | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficPolicy:
    """How requests travel to a service once the route is chosen."""

    connection_pool: ConnectionPool | None = None
    outlier_detection: OutlierDetection | None = None
    load_balancer: LoadBalancer | None = None
    tls: ClientTls | None = None
    retry_budget: RetryBudget | None = None
    proxy_protocol: ProxyProtocol | None = None
    tunnel: Mapping[str, Any] | None = None
    port_level_settings: tuple[PortTrafficPolicy, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Subset:
    """A named part of a service's endpoints: a version."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    traffic_policy: TrafficPolicy | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationRule:
    """Subsets and policies of one service."""

    host: str
    subsets: tuple[Subset, ...] = ()
    traffic_policy: TrafficPolicy | None = None
    export_to: tuple[str, ...] = ()
    workload_selector: Mapping[str, Any] | None = None
