import pytest

from tests.rollout.mesh.translate.documents import Json, cluster, pick

FIELDS = (
    "lb_policy",
    "round_robin_lb_config",
    "least_request_lb_config",
    "ring_hash_lb_config",
    "maglev_lb_config",
)
OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def balanced(balancer: Json) -> Json:
    return pick(cluster({"trafficPolicy": {"loadBalancer": balancer}}), FIELDS)


def slowly(seconds: str, aggression: float = 1.0, **more: object) -> Json:
    return {
        "slow_start_config": {
            "slow_start_window": seconds,
            "aggression": {"default_value": aggression, "runtime_key": ""},
            **more,
        }
    }


@pytest.mark.parametrize(
    ("balancer", "made"),
    [
        ({}, {"lb_policy": "LEAST_REQUEST"}),
        ({"simple": "UNSPECIFIED"}, {"lb_policy": "LEAST_REQUEST"}),
        ({"simple": "LEAST_CONN"}, {"lb_policy": "LEAST_REQUEST"}),
        ({"simple": "LEAST_REQUEST"}, {"lb_policy": "LEAST_REQUEST"}),
        ({"simple": "ROUND_ROBIN"}, {"lb_policy": "ROUND_ROBIN"}),
        ({"simple": "RANDOM"}, {"lb_policy": "RANDOM"}),
        ({"simple": "PASSTHROUGH"}, {"lb_policy": "LEAST_REQUEST"}),
        (
            {"simple": "ROUND_ROBIN", "warmup": {"duration": "30s", "minimumPercent": 0, "aggression": 2}},
            {
                "lb_policy": "ROUND_ROBIN",
                "round_robin_lb_config": slowly("30s", 2.0, min_weight_percent={"value": 0.0}),
            },
        ),
        (
            {"warmup": {"duration": "30s"}},
            {"lb_policy": "LEAST_REQUEST", "least_request_lb_config": slowly("30s")},
        ),
        (
            {"warmupDurationSecs": "1m"},
            {"lb_policy": "LEAST_REQUEST", "least_request_lb_config": slowly("60s")},
        ),
        (
            {"consistentHash": {"useSourceIp": True}},
            {"lb_policy": "RING_HASH", "ring_hash_lb_config": {"minimum_ring_size": 1024}},
        ),
        (
            {"consistentHash": {"useSourceIp": True, "minimumRingSize": 64}},
            {"lb_policy": "RING_HASH", "ring_hash_lb_config": {"minimum_ring_size": 64}},
        ),
        (
            {"consistentHash": {"useSourceIp": True, "ringHash": {"minimumRingSize": 32}}},
            {"lb_policy": "RING_HASH", "ring_hash_lb_config": {"minimum_ring_size": 32}},
        ),
        (
            {"consistentHash": {"useSourceIp": True, "ringHash": {}}},
            {"lb_policy": "RING_HASH", "ring_hash_lb_config": {"minimum_ring_size": 1024}},
        ),
        (
            {"consistentHash": {"useSourceIp": True, "maglev": {"tableSize": 65537}}},
            {"lb_policy": "MAGLEV", "maglev_lb_config": {"table_size": 65537}},
        ),
    ],
)
def test_an_endpoint_is_chosen_as_asked(balancer: Json, made: Json) -> None:
    assert balanced(balancer) == made


@pytest.mark.parametrize(
    ("outlier", "made"),
    [
        ({}, {}),
        (
            {"consecutive5xxErrors": 3},
            {"consecutive_5xx": 3, "enforcing_consecutive_5xx": 100},
        ),
        (
            {"consecutive5xxErrors": 0},
            {"consecutive_5xx": 0, "enforcing_consecutive_5xx": 0},
        ),
        (
            {"consecutiveGatewayErrors": 4},
            {"consecutive_gateway_failure": 4, "enforcing_consecutive_gateway_failure": 100},
        ),
        (
            {"consecutiveGatewayErrors": 0},
            {"consecutive_gateway_failure": 0, "enforcing_consecutive_gateway_failure": 0},
        ),
        (
            {"interval": "1s", "baseEjectionTime": "3m", "maxEjectionPercent": 100},
            {"interval": "1s", "base_ejection_time": "180s", "max_ejection_percent": 100},
        ),
        ({"maxEjectionPercent": 0}, {}),
        (
            {"splitExternalLocalOriginErrors": True},
            {"split_external_local_origin_errors": True, "enforcing_local_origin_success_rate": 0},
        ),
        (
            {"splitExternalLocalOriginErrors": True, "consecutiveLocalOriginFailures": 5},
            {
                "split_external_local_origin_errors": True,
                "enforcing_local_origin_success_rate": 0,
                "consecutive_local_origin_failure": 5,
                "enforcing_consecutive_local_origin_failure": 100,
            },
        ),
        (
            {"splitExternalLocalOriginErrors": True, "consecutiveLocalOriginFailures": 0},
            {
                "split_external_local_origin_errors": True,
                "enforcing_local_origin_success_rate": 0,
                "consecutive_local_origin_failure": 0,
                "enforcing_consecutive_local_origin_failure": 0,
            },
        ),
        ({"consecutiveErrors": 5}, {}),
    ],
)
def test_endpoints_are_ejected_for_errors_in_a_row_only(outlier: Json, made: Json) -> None:
    found = cluster({"trafficPolicy": {"outlierDetection": outlier}})

    assert found["outlier_detection"] == {"enforcing_success_rate": 0, **made}


def test_without_outlier_detection_nobody_is_ejected_and_envoy_may_panic() -> None:
    found = cluster({})

    assert "outlier_detection" not in found
    assert found["common_lb_config"] == {"update_merge_window": "0s"}


@pytest.mark.parametrize(("outlier", "percent"), [({}, 0), ({"minHealthPercent": 30}, 30)])
def test_all_ejected_means_503_unless_a_health_threshold_is_set(outlier: Json, percent: int) -> None:
    found = cluster({"trafficPolicy": {"outlierDetection": outlier}})

    assert found["common_lb_config"]["healthy_panic_threshold"] == {"value": percent}


def status(code: int) -> Json:
    header = {"name": ":status", "string_match": {"exact": str(code)}}
    return {"http_response_headers_match": {"headers": [header]}}


@pytest.mark.parametrize(
    ("codes", "made"),
    [
        ([], None),
        ([503], {"error_matcher": status(503)}),
        ([500, 503], {"error_matcher": {"or_match": {"rules": [status(500), status(503)]}}}),
    ],
)
def test_which_codes_are_errors_can_be_said(codes: list[int], made: Json | None) -> None:
    found = cluster({"trafficPolicy": {"outlierDetection": {"outlierDetectionHttpErrorCodes": codes}}})

    assert found["typed_extension_protocol_options"][OPTIONS].get("outlier_detection") == made
