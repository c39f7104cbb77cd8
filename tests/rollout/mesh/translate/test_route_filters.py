import pytest

from tests.rollout.mesh.translate.documents import Json, route, to

FAULT = "envoy.filters.http.fault"
CORS = "envoy.filters.http.cors"


def filters(http: Json) -> Json:
    found: Json = route({"route": [to()], **http}).get("typed_per_filter_config", {})
    return found


def fault(**parts: Json) -> Json:
    return {"@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault", **parts}


def draws(parts: int) -> Json:
    return {"numerator": parts, "denominator": "MILLION"}


@pytest.mark.parametrize(
    ("asked", "made"),
    [
        (
            {"delay": {"fixedDelay": "7s", "percentage": {"value": 100}}},
            fault(delay={"fixed_delay": "7s", "percentage": draws(1_000_000)}),
        ),
        (
            {"delay": {"fixedDelay": "1s", "percent": 5}},
            fault(delay={"fixed_delay": "1s", "percentage": {"numerator": 5, "denominator": "HUNDRED"}}),
        ),
        (
            {"delay": {"fixedDelay": "1s"}},
            fault(delay={"fixed_delay": "1s", "percentage": {"numerator": 0, "denominator": "HUNDRED"}}),
        ),
        (
            {"abort": {"httpStatus": 503, "percentage": {"value": 0.1}}},
            fault(abort={"http_status": 503, "percentage": draws(1000)}),
        ),
        ({"abort": {"httpStatus": 503}}, fault(abort={"http_status": 503})),
        (
            {"abort": {"grpcStatus": "UNAVAILABLE", "percentage": {"value": 50}}},
            fault(abort={"grpc_status": 14, "percentage": draws(500_000)}),
        ),
        (
            {
                "delay": {"fixedDelay": "500ms", "percentage": {"value": 1}},
                "abort": {"grpcStatus": "OK", "percentage": {}},
            },
            fault(
                delay={"fixed_delay": "0.5s", "percentage": draws(10_000)},
                abort={"grpc_status": 0, "percentage": draws(0)},
            ),
        ),
    ],
)
def test_faults_are_injected_as_often_as_asked(asked: Json, made: Json) -> None:
    assert filters({"fault": asked}) == {FAULT: made}


def cors(**fields: object) -> Json:
    return {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy",
        "filter_enabled": {"default_value": {"numerator": 100, "denominator": "HUNDRED"}},
        "forward_not_matching_preflights": True,
        **fields,
    }


@pytest.mark.parametrize(
    ("asked", "made"),
    [
        ({}, cors()),
        (
            {"allowOrigins": [{"exact": "https://a"}, {"prefix": "https://b"}, {"regex": ".*"}]},
            cors(
                allow_origin_string_match=[
                    {"exact": "https://a"},
                    {"prefix": "https://b"},
                    {"safe_regex": {"regex": ".*"}},
                ]
            ),
        ),
        ({"allowOrigin": ["*"]}, cors(allow_origin_string_match=[{"exact": "*"}])),
        (
            {"allowOrigin": ["b"], "allowOrigins": [{"exact": "a"}]},
            cors(allow_origin_string_match=[{"exact": "a"}]),
        ),
        (
            {"allowMethods": ["GET", "POST"], "allowHeaders": ["x-a", "x-b"], "exposeHeaders": ["x-c"]},
            cors(allow_methods="GET,POST", allow_headers="x-a,x-b", expose_headers="x-c"),
        ),
        ({"maxAge": "24h"}, cors(max_age="86400")),
        ({"allowCredentials": False}, cors(allow_credentials=False)),
        ({"allowCredentials": True}, cors(allow_credentials=True)),
        ({"unmatchedPreflights": "IGNORE"}, cors(forward_not_matching_preflights=False)),
        ({"unmatchedPreflights": "FORWARD"}, cors()),
    ],
)
def test_origins_get_what_the_policy_says(asked: Json, made: Json) -> None:
    assert filters({"corsPolicy": asked}) == {CORS: made}


def test_a_route_without_either_configures_no_filter() -> None:
    assert filters({}) == {}
