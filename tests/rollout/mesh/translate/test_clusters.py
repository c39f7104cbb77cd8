import pytest

from tests.rollout.mesh.translate.documents import REVIEWS, Json, cluster, registry

OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
NO_LIMIT = 4294967295


def pooled(protocol: str = "HTTP", **pool: object) -> Json:
    ports = [{"number": 9080, "protocol": protocol}]
    service = {"name": "reviews", "namespace": "bookinfo", "ports": ports, "selector": {"app": "reviews"}}
    policy = {"trafficPolicy": {"connectionPool": pool}} if pool else {}
    made: Json = cluster(policy, over=registry(services=[service]))
    return made


def options(protocol: str = "HTTP", **pool: object) -> Json:
    made = pooled(protocol, **pool)["typed_extension_protocol_options"][OPTIONS]
    assert made.pop("@type") == f"type.googleapis.com/{OPTIONS}"
    return dict(made)


def test_a_cluster_has_istiods_defaults() -> None:
    thresholds = dict.fromkeys(("max_connections", "max_pending_requests", "max_requests", "max_retries"), NO_LIMIT)
    name = f"outbound|9080||{REVIEWS}"

    assert pooled() == {
        "name": name,
        "alt_stat_name": name + ";",
        "type": "EDS",
        "eds_cluster_config": {"eds_config": {"path": f"eds/{name}"}, "service_name": name},
        "connect_timeout": "10s",
        "lb_policy": "LEAST_REQUEST",
        "circuit_breakers": {"thresholds": [{**thresholds, "track_remaining": True}]},
        "common_lb_config": {"update_merge_window": "0s"},
        "typed_extension_protocol_options": {
            OPTIONS: {
                "@type": f"type.googleapis.com/{OPTIONS}",
                "explicit_http_config": {"http_protocol_options": {}},
            }
        },
        "metadata": {
            "filter_metadata": {"rollout": {"host": REVIEWS, "name": "reviews", "namespace": "bookinfo", "subset": ""}}
        },
    }


def test_a_subset_is_a_cluster_of_its_own() -> None:
    made = cluster({"subsets": [{"name": "v3", "labels": {"version": "v3"}}]}, subset="v3")

    assert made["metadata"]["filter_metadata"]["rollout"]["subset"] == "v3"
    assert made["eds_cluster_config"]["service_name"] == f"outbound|9080|v3|{REVIEWS}"


@pytest.mark.parametrize(
    ("pool", "changed"),
    [
        ({"tcp": {"maxConnections": 1}}, {"max_connections": 1}),
        ({"http": {"http1MaxPendingRequests": 2}}, {"max_pending_requests": 2}),
        ({"http": {"http2MaxRequests": 3}}, {"max_requests": 3}),
        ({"http": {"maxRetries": 4}}, {"max_retries": 4}),
        ({"tcp": {"maxConnections": 0}, "http": {"maxRetries": 0}}, {}),
    ],
)
def test_what_is_in_flight_is_limited_and_zero_is_no_limit(pool: Json, changed: Json) -> None:
    (made,) = pooled(**pool)["circuit_breakers"]["thresholds"]
    (default,) = pooled()["circuit_breakers"]["thresholds"]

    assert made == default | changed


@pytest.mark.parametrize(
    ("budget", "percent", "concurrency"),
    [({}, 20, 3), ({"percent": 0, "minRetryConcurrency": 0}, 0, 0), ({"percent": 25, "minRetryConcurrency": 5}, 25, 5)],
)
def test_retries_may_be_a_share_of_what_is_in_flight(budget: Json, percent: int, concurrency: int) -> None:
    (made,) = cluster({"trafficPolicy": {"retryBudget": budget}})["circuit_breakers"]["thresholds"]

    assert made["retry_budget"] == {"budget_percent": {"value": percent}, "min_retry_concurrency": concurrency}


def test_how_long_a_connection_attempt_may_take() -> None:
    assert pooled(tcp={"connectTimeout": "30ms"})["connect_timeout"] == "0.03s"


@pytest.mark.parametrize(
    ("keepalive", "made"),
    [
        (
            {"probes": 3, "time": "7200s", "interval": "75s"},
            {"keepalive_probes": 3, "keepalive_time": 7200, "keepalive_interval": 75},
        ),
        ({}, {}),
    ],
)
def test_idle_connections_are_probed(keepalive: Json, made: Json) -> None:
    found = pooled(tcp={"tcpKeepalive": keepalive})

    assert found["upstream_connection_options"] == {"tcp_keepalive": made}


@pytest.mark.parametrize(
    ("pool", "made"),
    [
        ({"http": {"idleTimeout": "5s"}, "tcp": {"idleTimeout": "9s"}}, {"idle_timeout": "5s"}),
        ({"tcp": {"idleTimeout": "9s"}}, {"idle_timeout": "9s"}),
        ({"tcp": {"idleTimeout": "0s"}}, {"idle_timeout": "0s"}),
        ({"http": {"maxRequestsPerConnection": 1}}, {"max_requests_per_connection": 1}),
        ({"http": {"maxRequestsPerConnection": 0}}, None),
        ({"tcp": {"maxConnectionDuration": "1h"}}, {"max_connection_duration": "3600s"}),
    ],
)
def test_how_long_connections_live(pool: Json, made: Json | None) -> None:
    assert options(**pool).get("common_http_protocol_options") == made


HTTP1: Json = {"explicit_http_config": {"http_protocol_options": {}}}
HTTP2: Json = {"explicit_http_config": {"http2_protocol_options": {}}}


@pytest.mark.parametrize(
    ("protocol", "http", "made"),
    [
        ("HTTP", {}, HTTP1),
        ("HTTP", {"h2UpgradePolicy": "UPGRADE"}, HTTP2),
        ("HTTP", {"h2UpgradePolicy": "DO_NOT_UPGRADE"}, HTTP1),
        ("HTTP2", {}, HTTP2),
        ("GRPC", {"h2UpgradePolicy": "DEFAULT"}, HTTP2),
        ("HTTP2", {"h2UpgradePolicy": "DO_NOT_UPGRADE"}, HTTP1),
        (
            "HTTP",
            {"useClientProtocol": True},
            {"use_downstream_protocol_config": {"http_protocol_options": {}, "http2_protocol_options": {}}},
        ),
        (
            "HTTP2",
            {"maxConcurrentStreams": 5, "http2KeepAlive": {"interval": "10s", "timeout": "1s"}},
            {
                "explicit_http_config": {
                    "http2_protocol_options": {
                        "max_concurrent_streams": 5,
                        "connection_keepalive": {"interval": "10s", "timeout": "1s"},
                    }
                }
            },
        ),
        (
            "HTTP2",
            {"http2KeepAlive": {"timeout": "1s"}},
            {"explicit_http_config": {"http2_protocol_options": {"connection_keepalive": {"timeout": "1s"}}}},
        ),
        ("HTTP", {"maxConcurrentStreams": 5}, HTTP1),
    ],
)
def test_which_http_is_spoken_upstream(protocol: str, http: Json, made: Json) -> None:
    assert options(protocol, http=http) == made
