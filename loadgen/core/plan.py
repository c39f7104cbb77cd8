"""What a load test is: targets, arms, stages of arrival rate, and the bounds within which it runs.

A plan is the one thing a worker is given. It says everything (the seed too), so the same plan sends the same requests
in the same order again. Wrong input dies here, with the key's path; what a caller may do to which host is `limits.py`.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import SplitResult, urlsplit

TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
FIELD_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")  # RFC 9110 5.5: no CR, LF, NUL; latin-1 is what the wire carries
URL_SAFE = re.compile(r"[\x21-\x7e]+")

Headers = tuple[tuple[str, str], ...]
SNAPSHOT_S = 0.1  # how often a worker says what it saw: a tenth of the two seconds in which a dead canary is taken out


def check_pattern(pattern: str, name: str) -> None:
    """A regular expression has to compile, and to be short enough to be somebody's intent."""
    if len(pattern) > 1000:
        raise ValueError(f"{name}: pattern longer than 1000 characters")
    try:
        re.compile(pattern.encode())
    except re.error as error:
        raise ValueError(f"{name}: {error}") from error


def check_headers(headers: Headers) -> None:
    """Nothing that could end a line early gets into a request."""
    for name, value in headers:
        if not TOKEN.fullmatch(name):
            raise ValueError(f"headers: {name!r} is no header name")
        if not FIELD_VALUE.fullmatch(value):
            raise ValueError(f"headers: the value of {name} has a control or non-latin-1 character")


def check_connect(connect: str) -> None:
    """Accept "host:port", "[v6]:port" or "unix:/path"."""
    if connect and not connect.startswith("unix:/"):
        _, separator, port = connect.rpartition(":")
        if not separator or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
            raise ValueError(f"connect: expected host:port or unix:/path, got {connect!r}")


def parts_of(url: str) -> SplitResult:
    """Take a URL apart, or say what is wrong with it."""
    if not URL_SAFE.fullmatch(url):
        raise ValueError(f"url: {url!r} is empty or has spaces, control or non-ASCII characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"url: {url!r}: {error}") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise ValueError(f"url: {url!r} is not http:// or https:// with a host")
    if parts.username is not None or parts.password is not None:
        raise ValueError("url: user and password belong into a header")
    return parts


class Arrivals(StrEnum):
    """How arrivals are spaced around the rate."""

    CONSTANT = "constant"
    POISSON = "poisson"


class Late(StrEnum):
    """What happens to a request that is due while every connection is busy."""

    CATCH_UP = "catch_up"  # it waits and is sent late; its response time counts from when it was due
    SKIP = "skip"  # it is dropped, and counted at its due time


class Pace(StrEnum):
    """How precisely we wake for a due time, and what that costs."""

    TIMER = "timer"  # one absolute timer per wake: some 50 µs late
    SPIN = "spin"  # wakes 60 µs early and polls: some 1 µs late, a whole core at high rates
    ECONOMY = "economy"  # wakes once per millisecond: up to 1 ms late, a third of the CPU


class VersionSource(StrEnum):
    """Where the version behind a response is written."""

    NONE = "none"
    HEADER = "header"
    COOKIE = "cookie"
    BODY = "body"  # the first group of a regular expression
    TARGET = "target"  # the target's own name


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionFrom:
    """How to tell versions apart."""

    source: VersionSource = VersionSource.HEADER
    key: str = "x-rollout-version"

    def __post_init__(self) -> None:
        match self.source:
            case VersionSource.HEADER | VersionSource.COOKIE:
                if not TOKEN.fullmatch(self.key):
                    raise ValueError(f"key: {self.key!r} is no header or cookie name")
            case VersionSource.BODY:
                check_pattern(self.key, "key")
            case VersionSource.NONE | VersionSource.TARGET:
                pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Ramp linearly from one arrival rate to another."""

    from_per_s: float
    to_per_s: float
    duration_s: float

    def __post_init__(self) -> None:
        if not (0 <= self.from_per_s < 1e9 and 0 <= self.to_per_s < 1e9):
            raise ValueError("from_per_s and to_per_s must be at least 0 and finite")
        if not 0 < self.duration_s <= 1e6:
            raise ValueError("duration_s must be above 0 and at most 1e6")

    @property
    def arrivals(self) -> float:
        """How many requests become due during the stage."""
        return (self.from_per_s + self.to_per_s) / 2 * self.duration_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is asked of whom."""

    url: str
    method: str = "GET"
    headers: Headers = ()
    body: bytes = b""
    connect: str = ""  # "host:port" or "unix:/path" to connect to instead of the URL's own host
    weight: int = 1
    name: str = ""

    def __post_init__(self) -> None:
        parts_of(self.url)
        if not TOKEN.fullmatch(self.method):
            raise ValueError(f"method: {self.method!r} is no HTTP method")
        if not 1 <= self.weight <= 1000:
            raise ValueError("weight must be 1 to 1000")
        check_headers(self.headers)
        check_connect(self.connect)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One side of a comparison: the same requests with other headers, or to another place."""

    name: str
    share: float = 1.0
    headers: Headers = ()
    connect: str = ""

    def __post_init__(self) -> None:
        if not self.name or len(self.name) > 64:
            raise ValueError("name must have 1 to 64 characters")
        if not 0 < self.share <= 1000:
            raise ValueError("share must be above 0 and at most 1000")
        check_headers(self.headers)
        check_connect(self.connect)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Whom we believe, and who we say we are."""

    verify: bool = True
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    server_name: str = ""  # SNI and certificate name, when not the URL's host


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """How host names become addresses."""

    resolve: str = ""  # an IP address to use whatever the name says
    family: str = "any"  # any, ip4 or ip6
    first_only: bool = False  # otherwise connections go round-robin over all addresses
    refresh_s: float = 0.0  # ask again this often; 0 asks once

    def __post_init__(self) -> None:
        if self.family not in {"any", "ip4", "ip6"}:
            raise ValueError("family must be any, ip4 or ip6")
        if not 0 <= self.refresh_s <= 86400:
            raise ValueError("refresh_s must be 0 to 86400")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reuse:
    """How long a connection lives, so that a change of weights reaches warm connections too. 0 means no bound."""

    requests_min: int = 0
    requests_max: int = 0
    age_max_s: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.requests_min <= self.requests_max or self.age_max_s < 0:
            raise ValueError("expected 0 <= requests_min <= requests_max and age_max_s >= 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A whole load test."""

    targets: tuple[Target, ...]
    arms: tuple[Arm, ...] = (Arm(name="all"),)
    stages: tuple[Stage, ...] = ()
    closed: bool = False  # closed loop: each connection sends its next request when the last one ended
    requests: int = 0  # stop after this many; 0 means the stages decide
    even_split: bool = False  # closed loop: each connection makes requests // connections calls, the first the rest too
    arrivals: Arrivals = Arrivals.CONSTANT
    pairing: bool = False  # each due time fires every arm, in random order
    noise_share: float = 0.0  # with pairing: this share of the pairs sends the first arm twice, to see the noise floor
    seed: int = 1
    connections: int = 64  # times streams: also the in-flight cap
    http2: bool = False  # by prior knowledge on http://, by ALPN on https://; needs the extra of that name
    streams: int = 1  # HTTP/2: requests at a time on each connection
    warm_connections: int = -1  # opened before the clock starts; -1 means all of them
    timeout_s: float = 3.0  # from the due time to the last byte; fortio's default
    warmup_s: float = 0.0  # requests due before this are sent but not reported
    late: Late = Late.CATCH_UP
    pace: Pace = Pace.TIMER
    version: VersionFrom = VersionFrom()
    ok_status: tuple[tuple[int, int], ...] = ((200, 399),)
    expect_body: str = ""  # a regular expression that a good body contains
    reject_body: str = ""  # one that a good body does not contain
    response_bytes_max: int = 16 << 20  # more is too_large; we never decompress
    trace: bool = True  # send a W3C traceparent, keep the slowest requests' trace ids
    trace_sampled: float = 0.01  # this share carries the sampled flag
    marker: bool = True  # send x-synthetic: loadgen, so that business metrics can leave us out
    breaker: bool = True  # back off when the target is failing
    retry_stale: bool = False  # send once more when a kept connection turns out dead before any byte; counted
    stratum_s: float = 1.0
    snapshot_s: float = SNAPSHOT_S
    recent: int = 64  # outcomes kept in order per arm and snapshot
    tls: Tls = Tls()
    names: Names = Names()
    reuse: Reuse = Reuse()
    allow_hosts: tuple[str, ...] = ()  # hosts that may be loaded although they are public

    def __post_init__(self) -> None:
        if not self.targets or not self.arms:
            raise ValueError("targets and arms must not be empty")
        if len({arm.name for arm in self.arms}) != len(self.arms):
            raise ValueError("arms: two have the same name")
        check_load(self)
        check_bounds(self)
        for name, pattern in (("expect_body", self.expect_body), ("reject_body", self.reject_body)):
            check_pattern(pattern, name)

    @property
    def duration_s(self) -> float:
        """How long the stages last."""
        return sum(stage.duration_s for stage in self.stages)

    @property
    def rate_max_per_s(self) -> float:
        """The highest arrival rate asked for."""
        return max((max(stage.from_per_s, stage.to_per_s) for stage in self.stages), default=0.0)

    @property
    def reads_body(self) -> bool:
        """Whether somebody wants to see the responses' bodies."""
        return bool(self.expect_body or self.reject_body or self.version.source is VersionSource.BODY)


def check_load(plan: Plan) -> None:
    """How much is asked for must be said, and mean something."""
    if not plan.stages and not plan.requests:
        raise ValueError("stages or requests: nothing says when to stop")
    if not plan.stages and not plan.closed:
        raise ValueError("stages: an open loop needs an arrival rate")
    if len({target.method == "HEAD" for target in plan.targets}) > 1:
        raise ValueError("targets: HEAD cannot be mixed with other methods, its responses are framed differently")
    if plan.even_split and not (plan.closed and plan.requests):
        raise ValueError("even_split needs closed and requests")
    if plan.streams > 1 and not plan.http2:
        raise ValueError("streams: HTTP/1.1 carries one request at a time on a connection; more need http2")
    if plan.even_split and plan.http2:
        raise ValueError("even_split needs HTTP/1.1")
    if plan.pairing and (plan.closed or len(plan.arms) < 2):
        raise ValueError("pairing needs an open loop and at least two arms")
    if plan.noise_share and not plan.pairing:
        raise ValueError("noise_share needs pairing")


def check_bounds(plan: Plan) -> None:
    """Each number has a range; outside it the plan means nothing or would hurt."""
    bounds: tuple[tuple[str, float, float, float], ...] = (
        ("requests", plan.requests, 0, 10**9),
        ("connections", plan.connections, 1, 10_000),
        ("streams", plan.streams, 1, 1000),
        ("warm_connections", plan.warm_connections, -1, plan.connections),
        ("timeout_s", plan.timeout_s, 0.001, 3600),
        ("warmup_s", plan.warmup_s, 0, 3600),
        ("noise_share", plan.noise_share, 0, 1),
        ("trace_sampled", plan.trace_sampled, 0, 1),
        ("response_bytes_max", plan.response_bytes_max, 1, 1 << 33),
        ("stratum_s", plan.stratum_s, 0.01, 3600),
        ("snapshot_s", plan.snapshot_s, 0.01, 60),
        ("recent", plan.recent, 0, 4096),
        ("seed", plan.seed, 0, (1 << 63) - 1),
    )
    for name, value, low, high in bounds:
        if not low <= value <= high:
            raise ValueError(f"{name} must be {low} to {high}, got {value}")
    if not all(100 <= low <= high <= 599 for low, high in plan.ok_status):
        raise ValueError("ok_status: expected ranges within 100 to 599")
