"""fortio's flags, and what they ask for."""

import base64
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadgen.core.plan import Arm, Headers, Names, Plan, Stage, Target, Tls
from loadgen.core.request import Template, encode
from loadgen.fortio.go import Flag, parse_flags

VERSION = "1.75.2"  # the release whose behaviour was read
LEVELS = ("Debug", "Verbose", "Info", "Warning", "Error", "Critical", "Fatal")
INFO, WARNING, ERROR = 2, 3, 4
UNSUPPORTED = {
    name: Flag(kind=kind, default=default)
    for kind, default, names in (
        (bool, False, "h2 L http1.0 halfclose grpc ping health stream curl mtls"),
        (str, "", "grpc-method healthservice access-log-file profile P M"),
    )
    for name in names.split()
}
LOAD = {
    "qps": Flag(kind=float, default=8.0),
    "c": Flag(kind=int, default=4),
    "t": Flag(kind=None, default=5.0),
    "n": Flag(kind=int, default=0),
    "p": Flag(kind=str, default="50,75,90,99,99.9"),
    "r": Flag(kind=float, default=0.001),
    "offset": Flag(kind=None, default=0.0),
    "uniform": Flag(kind=bool, default=False),
    "jitter": Flag(kind=bool, default=False),
    "nocatchup": Flag(kind=bool, default=False),
    "calc-qps": Flag(kind=bool, default=False),
    "sequential-warmup": Flag(kind=bool, default=False),
    "allow-initial-errors": Flag(kind=bool, default=False),
    "abort-on": Flag(kind=int, default=0),
    "connection-reuse": Flag(kind=str, default=""),
    "json": Flag(kind=str, default=""),
    "a": Flag(kind=bool, default=False),
    "data-dir": Flag(kind=str, default="."),
    "labels": Flag(kind=str, default=""),
    "runid": Flag(kind=int, default=0),
    "log-errors": Flag(kind=bool, default=True),
    "gomaxprocs": Flag(kind=int, default=0),
}
REQUEST = {
    "H": Flag(kind=list, default=""),
    "X": Flag(kind=str, default=""),
    "payload": Flag(kind=str, default=""),
    "payload-file": Flag(kind=str, default=""),
    "payload-size": Flag(kind=int, default=0),
    "content-type": Flag(kind=str, default=""),
    "user": Flag(kind=str, default=""),
    "keepalive": Flag(kind=bool, default=True),
    "compression": Flag(kind=bool, default=False),
    "stdclient": Flag(kind=bool, default=False),
    "timeout": Flag(kind=None, default=3.0),
    "k": Flag(kind=bool, default=False),
    "https-insecure": Flag(kind=bool, default=False),
    "cacert": Flag(kind=str, default=""),
    "cert": Flag(kind=str, default=""),
    "key": Flag(kind=str, default=""),
    "unix-socket": Flag(kind=str, default=""),
    "resolve": Flag(kind=str, default=""),
    "resolve-ip-type": Flag(kind=str, default="ip4"),
    "dns-method": Flag(kind=str, default="cached-rr"),
    "no-reresolve": Flag(kind=bool, default=False),
    "httpbufferkb": Flag(kind=int, default=128),
    "httpccch": Flag(kind=bool, default=False),
    "quiet": Flag(kind=bool, default=False),
    "loglevel": Flag(kind=str, default="Info"),
    "curl-stdout-headers": Flag(kind=bool, default=False),
    "logger-json": Flag(kind=bool, default=True),
    "logger-timestamp": Flag(kind=bool, default=True),
    "logger-file-line": Flag(kind=bool, default=True),
    "logger-goroutine": Flag(kind=bool, default=True),
    "logger-force-color": Flag(kind=bool, default=False),
    "logger-no-color": Flag(kind=bool, default=False),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """One fortio command line."""

    values: dict[str, Any]
    url: str
    assumed_http: bool
    level: int
    percentiles: tuple[float, ...]
    reuse: tuple[int, int]  # 0, 0 without bound
    plan: Plan

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    @property
    def target(self) -> Target:
        """What is asked for."""
        return self.plan.targets[0]

    def template(self) -> Template:
        """Give the request's bytes."""
        return encode(self.plan, self.target, self.plan.arms[0])


def options_of(arguments: list[str]) -> Options:
    """Read a command line. Raises ValueError."""
    flags = {**UNSUPPORTED, **LOAD, **REQUEST}
    values, rest = parse_flags(arguments, flags)
    for name, flag in UNSUPPORTED.items():
        if values[name] != flag.default:
            raise ValueError(f"-{name} is not supported by loadgen fortio")
    if len(rest) != 1:
        raise ValueError(f"fortio load/curl needs a url or destination, got {len(rest)} arguments")
    url = rest[0]
    has_scheme = "://" in url
    url = url if has_scheme else f"http://{url}"
    return Options(
        values=values,
        url=url,
        assumed_http=not has_scheme,
        level=ERROR if values["quiet"] else level_of(str(values["loglevel"])),
        percentiles=percentiles_of(str(values["p"])),
        reuse=reuse_of(str(values["connection-reuse"])),
        plan=plan_of(values, url),
    )


def level_of(text: str) -> int:
    """Read a log level."""
    names = [level.lower() for level in LEVELS]
    if text.lower() not in names:
        raise ValueError(f"invalid log level {text!r}: expected one of {', '.join(LEVELS)}")
    return names.index(text.lower())


def percentiles_of(text: str) -> tuple[float, ...]:
    """Read "50,99.9"."""
    percentiles = tuple(float(part) for part in text.split(",")) if text else ()
    if not all(0 < percent < 100 for percent in percentiles):
        raise ValueError(f"-p {text}: percentiles are above 0 and below 100")
    return percentiles


def reuse_of(text: str) -> tuple[int, int]:
    """Read "min:max" or a number."""
    if not text:
        return 0, 0
    low, _, high = text.partition(":")
    reuse = int(low), int(high or low)
    if not 1 <= reuse[0] <= reuse[1]:
        raise ValueError(f"-connection-reuse {text}: expected min:max")
    return reuse


def plan_of(values: dict[str, Any], url: str) -> Plan:
    """Make a plan of one request, for its bytes, its checks and its limits."""
    body = body_of(values)
    is_post = bool(body or values["content-type"] or values["payload-size"])
    unix, qps = values["unix-socket"], max(0.0, values["qps"])
    timed = values["t"] > 0 and not values["n"]
    return Plan(
        targets=(
            Target(
                url=url,
                method=values["X"] or ("POST" if is_post else "GET"),
                headers=headers_of(values, has_body=is_post),
                body=body,
                connect=f"unix:{unix}" if unix else "",
            ),
        ),
        arms=(Arm(name="all"),),
        stages=(Stage(from_per_s=qps, to_per_s=qps, duration_s=values["t"]),) if timed else (),
        requests=values["n"] or int(not timed),
        closed=True,
        trace=False,
        connections=max(1, values["c"]),
        timeout_s=values["timeout"],
        response_bytes_max=64 << 20,
        tls=Tls(
            verify=not (values["k"] or values["https-insecure"]),
            ca_file=values["cacert"],
            cert_file=values["cert"],
            key_file=values["key"],
        ),
        names=Names(
            resolve=values["resolve"],
            family={"ip4": "ip4", "ip6": "ip6"}.get(values["resolve-ip-type"], "any"),
            first_only=values["dns-method"] == "first",
        ),
    )


def body_of(values: dict[str, Any]) -> bytes:
    """Give the request's body: of so many random bytes, from a file, or as it is."""
    if values["payload-size"] > 0:
        return os.urandom(values["payload-size"])
    if values["payload-file"]:
        try:
            return Path(values["payload-file"]).read_bytes()
        except OSError as error:
            raise ValueError(f"-payload-file: {error}") from error
    return str(values["payload"]).encode()


def headers_of(values: dict[str, Any], *, has_body: bool) -> Headers:
    """Read -H, -user, -content-type and what follows from a body."""
    headers: list[tuple[str, str]] = []
    for text in values["H"]:
        name, separator, value = text.partition(":")
        if not separator:
            raise ValueError(f"-H {text}: expected key:value")
        headers.append((name.strip(), value.strip()))
    given = {name.lower() for name, _ in headers}
    kind = values["content-type"] or ("application/octet-stream" if has_body else "")
    if kind and "content-type" not in given:
        headers.append(("Content-Type", kind))
    if values["user"]:
        headers.append(("Authorization", "Basic " + base64.b64encode(values["user"].encode()).decode("ascii")))
    if values["compression"]:
        headers.append(("Accept-Encoding", "gzip"))
    if not values["keepalive"]:
        headers.append(("Connection", "close"))
    return tuple(headers)
