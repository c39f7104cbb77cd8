"""The nouns of a VirtualService, as `networking.istio.io` defines them (v1, v1beta1 and v1alpha3 are one schema).

Only shape lives here; what must hold between keys is in `rules_http.py`. Of `tls` and `tcp` routes only the presence is
kept: the embedded mesh carries HTTP.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any

from rollout.mesh.schema import Bounds, Int32, Port, UInt32
from rollout.mesh.translate.duration import Span

WholePercent = Annotated[int, Bounds(0, 100)]
PRESENT = "*"  # as a regex: not RE2, but an old custom for "whatever its value"


@dataclass(frozen=True, slots=True, kw_only=True)
class StringMatch:
    """How a string is compared; none of the three means "is present"."""

    exact: str | None = None
    prefix: str | None = None
    regex: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PortSelector:
    """A service port by number."""

    number: Port


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A service, a subset of it, a port of it."""

    host: str
    subset: str = ""
    port: PortSelector | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderOperations:
    """What is done to the headers of one direction."""

    set: Mapping[str, str] = field(default_factory=dict)
    add: Mapping[str, str] = field(default_factory=dict)
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Headers:
    """Header operations of both directions."""

    request: HeaderOperations = HeaderOperations()
    response: HeaderOperations = HeaderOperations()


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteDestination:
    """One destination of a route and its share."""

    destination: Destination
    weight: Int32 = 0
    headers: Headers = Headers()


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpMatch:
    """Conditions that must all hold."""

    name: str = ""
    stat_prefix: str = ""
    uri: StringMatch | None = None
    ignore_uri_case: bool = False
    scheme: StringMatch | None = None
    method: StringMatch | None = None
    authority: StringMatch | None = None
    headers: Mapping[str, StringMatch] = field(default_factory=dict)
    without_headers: Mapping[str, StringMatch] = field(default_factory=dict)
    query_params: Mapping[str, StringMatch] = field(default_factory=dict)
    port: Port | None = None
    gateways: tuple[str, ...] = ()
    source_labels: Mapping[str, str] = field(default_factory=dict)
    source_namespace: str = ""


class DerivePort(StrEnum):
    """Where a redirect's port comes from when it is not given."""

    FROM_PROTOCOL_DEFAULT = "FROM_PROTOCOL_DEFAULT"
    FROM_REQUEST_PORT = "FROM_REQUEST_PORT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect:
    """Send the client elsewhere."""

    uri: str = ""
    authority: str = ""
    scheme: str = ""
    port: Port | None = None
    derive_port: DerivePort | None = None
    prefix_rewrite: str = ""
    redirect_code: UInt32 = 301


@dataclass(frozen=True, slots=True, kw_only=True)
class RegexRewrite:
    """Rewrite the path by a regular expression."""

    match: str
    rewrite: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrite:
    """Rewrite path or authority before forwarding."""

    uri: str = ""
    uri_regex_rewrite: RegexRewrite | None = None
    authority: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """The body of a direct response: text, or bytes in base64."""

    string: str | None = None
    bytes: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectResponse:
    """Answer without any upstream."""

    status: UInt32
    body: Body | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentage:
    """A share in percent; an empty one is 0."""

    value: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay:
    """Hold a share of requests back."""

    fixed_delay: Span | None = None
    exponential_delay: Span | None = None
    percentage: Percentage | None = None
    percent: Int32 = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Abort:
    """Answer a share of requests with an error."""

    http_status: Int32 | None = None
    grpc_status: str | None = None
    http2_error: str | None = None
    percentage: Percentage | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Injected trouble; the two draws are independent, one request can meet both."""

    delay: Delay | None = None
    abort: Abort | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """When and how often a request is tried again."""

    attempts: Int32 = 0
    per_try_timeout: Span | None = None
    retry_on: str = ""
    retry_remote_localities: bool | None = None
    retry_ignore_previous_hosts: bool | None = None
    backoff: Span | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorPolicy:
    """A copy of a share of the requests, replies thrown away."""

    destination: Destination
    percentage: Percentage | None = None


class UnmatchedPreflights(StrEnum):
    """What happens to a CORS preflight from an origin that is not allowed."""

    UNSPECIFIED = "UNSPECIFIED"
    FORWARD = "FORWARD"
    IGNORE = "IGNORE"


@dataclass(frozen=True, slots=True, kw_only=True)
class CorsPolicy:
    """Cross-origin resource sharing."""

    allow_origins: tuple[StringMatch, ...] = ()
    allow_origin: tuple[str, ...] = ()
    allow_methods: tuple[str, ...] = ()
    allow_headers: tuple[str, ...] = ()
    expose_headers: tuple[str, ...] = ()
    max_age: Span | None = None
    allow_credentials: bool | None = None
    unmatched_preflights: UnmatchedPreflights = UnmatchedPreflights.UNSPECIFIED


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegate:
    """Another VirtualService that holds the routes."""

    name: str
    namespace: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRoute:
    """One rule: when any of `match` holds, do this."""

    name: str = ""
    match: tuple[HttpMatch, ...] = ()
    route: tuple[RouteDestination, ...] = ()
    redirect: Redirect | None = None
    direct_response: DirectResponse | None = None
    delegate: Delegate | None = None
    rewrite: Rewrite | None = None
    timeout: Span | None = None
    retries: Retries | None = None
    fault: Fault | None = None
    mirror: Destination | None = None
    mirror_percentage: Percentage | None = None
    mirror_percent: WholePercent | None = None
    mirror_percent_snake: WholePercent | None = field(default=None, metadata={"key": "mirror_percent"})
    mirrors: tuple[MirrorPolicy, ...] = ()
    cors_policy: CorsPolicy | None = None
    headers: Headers = Headers()


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualService:
    """How requests to some hosts are routed."""

    hosts: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    http: tuple[HttpRoute, ...] = ()
    tls: tuple[Any, ...] = ()
    tcp: tuple[Any, ...] = ()
    export_to: tuple[str, ...] = ()
