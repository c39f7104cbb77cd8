"""What istiod demands of one HTTP route: one outcome, weights that add up to something, faults that can happen."""

import base64
import binascii
from collections.abc import Iterator
from enum import StrEnum, auto
from http import HTTPStatus

from rollout.mesh.schema import Problem, Severity
from rollout.mesh.translate.grpc_status import GrpcStatus
from rollout.mesh.translate.headers import authorities
from rollout.mesh.translate.names import is_host, is_label, is_object_name, is_subset_name
from rollout.mesh.translate.rules_match import (
    HEADER_NAME,
    match_problems,
    operation_problems,
    regex_problems,
    removal_problems,
    string_problems,
)
from rollout.mesh.translate.virtual_service import (
    Abort,
    CorsPolicy,
    Delay,
    Destination,
    DirectResponse,
    Fault,
    Headers,
    HttpRoute,
    Percentage,
    Redirect,
    Retries,
    Rewrite,
    RouteDestination,
    StringMatch,
)
from rollout.yaml_documents import Path

# What Envoy's x-envoy-retry-on and x-envoy-retry-grpc-on know; status codes may stand between them.
RETRY_ON = {
    *("5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "refused-stream"),
    *("retriable-4xx", "retriable-status-codes", "retriable-headers", "envoy-ratelimited"),
    *("http3-post-connect-failure", "cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable"),
}
REDIRECT_CODES = (301, 302, 303, 307, 308)  # those Envoy can send; istiod drops a route with any other 3xx
BODY_BYTES_MAX = 1024 * 1024  # istiod's webhook; the route configuration allows as much
BODY_BYTES_WARN = 100 * 1024  # "may impact performance", istiod says
WEIGHT_SUM_MAX = 2**32 - 1  # Envoy's cluster weights are summed in 32 bits
_PERCENT_MIN = 0.0001  # one in a million: the finest fraction Envoy draws
_CODES = {str(int(status)) for status in HTTPStatus}


class RouteRole(StrEnum):
    """An ordinary route, one that hands over to a delegate, or one of a delegate."""

    INDEPENDENT = auto()
    ROOT = auto()
    DELEGATE = auto()


def route_problems(route: HttpRoute, path: Path, role: RouteRole) -> Iterator[Problem]:
    """Everything wrong with one route."""
    yield from _outcome_problems(route, path, role)
    for index, match in enumerate(route.match):
        yield from match_problems(match, (*path, "match", index), is_delegated=role is not RouteRole.INDEPENDENT)
    yield from _destinations_problems(route.route, (*path, "route"))
    yield from _headers_problems(route.headers, (*path, "headers"))
    yield from _mirror_problems(route, path)
    if route.redirect:
        yield from _redirect_problems(route.redirect, (*path, "redirect"))
        if route.redirect.prefix_rewrite and any(match.uri and match.uri.prefix is None for match in route.match):
            message = "prefixRewrite needs matches whose uri is a prefix"
            yield Problem(path=(*path, "redirect", "prefixRewrite"), message=message)
    if route.direct_response:
        yield from _direct_response_problems(route.direct_response, (*path, "directResponse"))
    if route.rewrite:
        yield from _rewrite_problems(route.rewrite, (*path, "rewrite"))
    yield from _authority_problems(route, path)
    if route.retries:
        yield from _retries_problems(route.retries, (*path, "retries"))
    if route.fault:
        yield from _fault_problems(route.fault, (*path, "fault"))
    if route.cors_policy:
        yield from _cors_problems(route.cors_policy, (*path, "corsPolicy"))


def _outcome_problems(route: HttpRoute, path: Path, role: RouteRole) -> Iterator[Problem]:
    given = [key for key in ("route", "redirect", "direct_response") if getattr(route, key)]
    shown = " and ".join({"direct_response": "directResponse"}.get(key, key) for key in given)
    if role is RouteRole.ROOT:
        if given:
            yield Problem(path=path, message=f"a route with a delegate must not specify {shown}")
    elif len(given) != 1:
        found = f"{shown} are given" if given else "none is given"
        yield Problem(path=path, message=f"exactly one of route, redirect, directResponse: {found}")
    if role is RouteRole.DELEGATE and route.delegate:
        yield Problem(path=(*path, "delegate"), message="a delegate cannot delegate again")
    if route.delegate and not is_object_name(route.delegate.name):
        yield Problem(path=(*path, "delegate", "name"), message=f"not a name: {route.delegate.name!r}")
    if route.delegate and route.delegate.namespace and not is_label(route.delegate.namespace):
        yield Problem(path=(*path, "delegate", "namespace"), message=f"not a namespace: {route.delegate.namespace!r}")
    if route.redirect or route.direct_response:
        for key in ("fault", "rewrite"):
            if getattr(route, key):
                yield Problem(path=(*path, key), message=f"{key} cannot be combined with {shown}")


def _destinations_problems(destinations: tuple[RouteDestination, ...], path: Path) -> Iterator[Problem]:
    for index, destination in enumerate(destinations):
        yield from destination_problems(destination.destination, (*path, index, "destination"))
        yield from _headers_problems(destination.headers, (*path, index, "headers"))
        if destination.weight < 0:
            yield Problem(path=(*path, index, "weight"), message=f"must not be negative, got {destination.weight}")
    total = sum(destination.weight for destination in destinations)
    if len(destinations) > 1 and total == 0:
        yield Problem(path=path, message="total destination weight = 0")
    if total > WEIGHT_SUM_MAX:
        yield Problem(path=path, message=f"total destination weight {total} is more than {WEIGHT_SUM_MAX}")


def destination_problems(destination: Destination, path: Path) -> Iterator[Problem]:
    """A destination is one host, and its subset one label."""
    if not is_host(destination.host) or destination.host == "*":
        yield Problem(path=(*path, "host"), message=f"not a host: {destination.host!r}")
    if destination.subset and not is_subset_name(destination.subset):
        yield Problem(path=(*path, "subset"), message=f"not a subset name: {destination.subset!r}")


def _headers_problems(headers: Headers, path: Path) -> Iterator[Problem]:
    for direction in ("request", "response"):
        operations = getattr(headers, direction)
        is_request = direction == "request"
        yield from operation_problems(operations.set, (*path, direction, "set"), may_set_authority=is_request)
        yield from operation_problems(operations.add, (*path, direction, "add"), may_set_authority=is_request)
        yield from removal_problems(operations.remove, (*path, direction, "remove"))


def _mirror_problems(route: HttpRoute, path: Path) -> Iterator[Problem]:
    if route.mirror and route.mirrors:
        yield Problem(path=(*path, "mirrors"), message="only one of mirror and mirrors")
    if route.mirror:
        yield from destination_problems(route.mirror, (*path, "mirror"))
    yield from _percentage_problems(route.mirror_percentage, (*path, "mirrorPercentage"))
    if route.mirror_percent is not None or route.mirror_percent_snake is not None:
        message = "mirrorPercent is deprecated, use mirrorPercentage"
        yield Problem(path=(*path, "mirrorPercent"), message=message, severity=Severity.WARNING)
    for index, mirror in enumerate(route.mirrors):
        yield from destination_problems(mirror.destination, (*path, "mirrors", index, "destination"))
        yield from _percentage_problems(mirror.percentage, (*path, "mirrors", index, "percentage"))


def _percentage_problems(percentage: Percentage | None, path: Path) -> Iterator[Problem]:
    if percentage and percentage.value != 0 and not _PERCENT_MIN <= percentage.value <= 100:
        message = f"must be 0 or in {_PERCENT_MIN}..100, got {percentage.value:g}"
        yield Problem(path=(*path, "value"), message=message)


def _redirect_problems(redirect: Redirect, path: Path) -> Iterator[Problem]:
    if not (redirect.uri or redirect.authority or redirect.scheme or redirect.port or redirect.prefix_rewrite):
        yield Problem(path=path, message="needs a uri, authority, scheme, port or prefixRewrite")
    if redirect.redirect_code not in REDIRECT_CODES:
        codes = ", ".join(map(str, REDIRECT_CODES))
        yield Problem(path=(*path, "redirectCode"), message=f"must be one of {codes}, got {redirect.redirect_code}")
    if redirect.scheme not in ("", "http", "https"):
        yield Problem(path=(*path, "scheme"), message=f"must be http or https, got {redirect.scheme!r}")
    if redirect.port and redirect.derive_port:
        yield Problem(path=path, message="only one of port and derivePort")
    if redirect.uri and redirect.prefix_rewrite:
        yield Problem(path=path, message="only one of uri and prefixRewrite")


def _direct_response_problems(response: DirectResponse, path: Path) -> Iterator[Problem]:
    yield from _status_problems(response.status, (*path, "status"))
    body = response.body
    if body is None:
        return
    if body.string is not None and body.bytes is not None:
        yield Problem(path=(*path, "body"), message="only one of string and bytes")
    try:
        size = len(base64.b64decode(body.bytes, validate=True) if body.bytes else (body.string or "").encode())
    except binascii.Error as error:
        yield Problem(path=(*path, "body", "bytes"), message=f"not base64: {error}")
        return
    if size > BODY_BYTES_MAX:
        yield Problem(path=(*path, "body"), message=f"{size} bytes are too many, at most {BODY_BYTES_MAX}")
    elif size > BODY_BYTES_WARN:
        message = f"{size} bytes travel with every configuration update, better at most {BODY_BYTES_WARN}"
        yield Problem(path=(*path, "body"), message=message, severity=Severity.WARNING)


def _status_problems(status: int, path: Path) -> Iterator[Problem]:
    if not 200 <= status <= 599:
        yield Problem(path=path, message=f"must be in 200..599, got {status}")


def _rewrite_problems(rewrite: Rewrite, path: Path) -> Iterator[Problem]:
    if not (rewrite.uri or rewrite.authority or rewrite.uri_regex_rewrite):
        yield Problem(path=path, message="needs a uri, a uriRegexRewrite or an authority")
    if rewrite.uri_regex_rewrite:
        if rewrite.uri:
            yield Problem(path=path, message="only one of uri and uriRegexRewrite")
        yield from regex_problems(rewrite.uri_regex_rewrite.match, (*path, "uriRegexRewrite", "match"))
        if not rewrite.uri_regex_rewrite.rewrite:
            yield Problem(path=(*path, "uriRegexRewrite", "rewrite"), message="must not be empty")


def _authority_problems(route: HttpRoute, path: Path) -> Iterator[Problem]:
    given = authorities(route.headers)
    if route.rewrite and route.rewrite.authority:
        given.append(route.rewrite.authority)
    if len(given) > 1:
        message = f"the authority can be set only once: {' and '.join(map(repr, given))} are given"
        yield Problem(path=path, message=message)


def _retries_problems(retries: Retries, path: Path) -> Iterator[Problem]:
    if retries.attempts < 0:
        yield Problem(path=(*path, "attempts"), message=f"must not be negative, got {retries.attempts}")
    if retries.attempts == 0 and (retries.per_try_timeout or retries.retry_on or retries.backoff):
        yield Problem(path=path, message="attempts is 0 (no retries), yet other keys are given")
    for word in filter(None, (part.strip() for part in retries.retry_on.split(","))):
        if word not in RETRY_ON and word not in _CODES:
            yield Problem(path=(*path, "retryOn"), message=f"unknown condition {word!r}")


def _fault_problems(fault: Fault, path: Path) -> Iterator[Problem]:
    if not (fault.delay or fault.abort):
        yield Problem(path=path, message="needs a delay or an abort")
    if fault.delay:
        yield from _delay_problems(fault.delay, (*path, "delay"))
    if fault.abort:
        yield from _abort_problems(fault.abort, (*path, "abort"))


def _delay_problems(delay: Delay, path: Path) -> Iterator[Problem]:
    if delay.exponential_delay:
        yield Problem(path=(*path, "exponentialDelay"), message="exponentialDelay not supported yet")
    elif not delay.fixed_delay:
        yield Problem(path=(*path, "fixedDelay"), message="missing")
    yield from _percentage_problems(delay.percentage, (*path, "percentage"))
    if not 0 <= delay.percent <= 100:
        yield Problem(path=(*path, "percent"), message=f"must be in 0..100, got {delay.percent}")
    if delay.percentage is None:
        message = "percent is deprecated, use percentage" if delay.percent else "no percentage: never injected"
        yield Problem(path=path, message=message, severity=Severity.WARNING)


def _abort_problems(abort: Abort, path: Path) -> Iterator[Problem]:
    given = [key for key in ("http_status", "grpc_status", "http2_error") if getattr(abort, key) is not None]
    if len(given) != 1:
        yield Problem(path=path, message="exactly one of httpStatus and grpcStatus")
    if abort.http2_error is not None:
        yield Problem(path=(*path, "http2Error"), message="HTTP/2 abort fault injection not supported yet")
    if abort.grpc_status is not None and abort.grpc_status not in GrpcStatus.__members__:
        yield Problem(path=(*path, "grpcStatus"), message=f"gRPC status {abort.grpc_status!r} is not supported")
    if abort.http_status is not None:
        yield from _status_problems(abort.http_status, (*path, "httpStatus"))
    yield from _percentage_problems(abort.percentage, (*path, "percentage"))
    if abort.percentage is None:
        yield Problem(path=path, message="no percentage: never injected", severity=Severity.WARNING)


def _cors_problems(cors: CorsPolicy, path: Path) -> Iterator[Problem]:
    if cors.allow_origin:
        message = "allowOrigin is deprecated, use allowOrigins"
        yield Problem(path=(*path, "allowOrigin"), message=message, severity=Severity.WARNING)
    for index, origin in enumerate(cors.allow_origins):
        yield from string_problems(origin, (*path, "allowOrigins", index))
        if origin in (StringMatch(), StringMatch(exact="")):
            yield Problem(path=(*path, "allowOrigins", index), message="needs exact, prefix or regex")
    if cors.max_age and cors.max_age.nanoseconds % 10**9:
        yield Problem(path=(*path, "maxAge"), message="must be whole seconds")
    words = {
        "allowMethods": cors.allow_methods,
        "allowHeaders": cors.allow_headers,
        "exposeHeaders": cors.expose_headers,
    }
    for key, names in words.items():
        for index, name in enumerate(names):
            if not HEADER_NAME.fullmatch(name):
                yield Problem(path=(*path, key, index), message=f"not a word HTTP allows: {name!r}")
