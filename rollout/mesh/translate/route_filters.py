"""Faults and CORS: VirtualService settings that live in a route's per-filter configuration."""

from typing import Any

from rollout.mesh.translate.grpc_status import GrpcStatus
from rollout.mesh.translate.proto import Json, given, hundred, million, string_matcher, typed
from rollout.mesh.translate.virtual_service import Abort, CorsPolicy, Delay, Fault, HttpRoute, UnmatchedPreflights

FAULT = "envoy.filters.http.fault"
FAULT_MESSAGE = "envoy.extensions.filters.http.fault.v3.HTTPFault"
CORS = "envoy.filters.http.cors"


def route_filters(route: HttpRoute) -> Json:
    """The filters this route configures."""
    return given(
        **{
            FAULT: fault_filter(route.fault) if route.fault else None,
            CORS: cors_filter(route.cors_policy) if route.cors_policy else None,
        }
    )


def fault_filter(fault: Fault) -> Json:
    """Delay and abort draw independently; a fault without percentage never happens."""
    parts: dict[str, Any] = given(
        delay=_delay(fault.delay) if fault.delay else None, abort=_abort(fault.abort) if fault.abort else None
    )
    return typed(FAULT_MESSAGE, **parts)


def _delay(delay: Delay) -> Json:
    percentage = million(delay.percentage) if delay.percentage else hundred(delay.percent)
    return {"fixed_delay": str(delay.fixed_delay), "percentage": percentage}


def _abort(abort: Abort) -> Json:
    percentage = {"percentage": million(abort.percentage)} if abort.percentage else {}
    if abort.grpc_status is not None:
        return {"grpc_status": int(GrpcStatus[abort.grpc_status]), **percentage}
    return {"http_status": abort.http_status, **percentage}


def cors_filter(cors: CorsPolicy) -> Json:
    """Envoy answers preflights of allowed origins itself."""
    origins = [string_matcher(origin) for origin in cors.allow_origins] or [
        {"exact": origin} for origin in cors.allow_origin
    ]
    return typed(
        "envoy.extensions.filters.http.cors.v3.CorsPolicy",
        filter_enabled={"default_value": hundred(100)},
        forward_not_matching_preflights=cors.unmatched_preflights is not UnmatchedPreflights.IGNORE,
        **given(
            allow_origin_string_match=origins,
            allow_methods=",".join(cors.allow_methods),
            allow_headers=",".join(cors.allow_headers),
            expose_headers=",".join(cors.expose_headers),
            max_age=str(cors.max_age.whole_seconds) if cors.max_age else "",
        ),
        **({} if cors.allow_credentials is None else {"allow_credentials": cors.allow_credentials}),
    )
