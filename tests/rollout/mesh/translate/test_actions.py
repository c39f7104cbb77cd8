import pytest

from tests.rollout.mesh.translate.documents import (
    RATINGS,
    REVIEWS,
    Json,
    reviews,
    route,
    routes,
    to,
)

V1, V2 = f"outbound|9080|v1|{REVIEWS}", f"outbound|9080|v2|{REVIEWS}"
ALL, OTHER = f"outbound|9080||{REVIEWS}", f"outbound|9080||{RATINGS}"


def forward(**http: object) -> Json:
    made: Json = route({"route": [to()], **http})["route"]
    return made


@pytest.mark.parametrize("weight", [0, 1, 7, 100])
def test_a_single_destination_gets_everything_whatever_its_weight(weight: int) -> None:
    made = route({"route": [to(subset="v1", weight=weight)]})["route"]

    assert made["cluster"] == V1
    assert "weighted_clusters" not in made


@pytest.mark.parametrize(
    ("weights", "clusters"),
    [
        ((80, 20), [{"name": V1, "weight": 80}, {"name": V2, "weight": 20}]),
        ((1, 199), [{"name": V1, "weight": 1}, {"name": V2, "weight": 199}]),
        ((0, 100), [{"name": V2, "weight": 100}]),
    ],
)
def test_several_destinations_share_by_weight_and_those_without_drop_out(
    weights: tuple[int, int], clusters: list[Json]
) -> None:
    made = route({"route": [to(subset=f"v{index + 1}", weight=weight) for index, weight in enumerate(weights)]})

    assert made["route"]["weighted_clusters"] == {"clusters": clusters}
    assert "cluster" not in made["route"]


@pytest.mark.parametrize(
    ("http", "fields"),
    [
        ({}, {"timeout": "0s"}),
        ({"timeout": "500ms"}, {"timeout": "0.5s"}),
        ({"rewrite": {"uri": "/new"}}, {"prefix_rewrite": "/new"}),
        ({"rewrite": {"authority": "a"}}, {"host_rewrite_literal": "a"}),
        (
            {"rewrite": {"uriRegexRewrite": {"match": "^/(.*)", "rewrite": r"/x/\1"}, "authority": "a"}},
            {
                "regex_rewrite": {"pattern": {"regex": "^/(.*)"}, "substitution": r"/x/\1"},
                "host_rewrite_literal": "a",
            },
        ),
    ],
)
def test_timeout_and_rewrite(http: Json, fields: Json) -> None:
    made = forward(**http)

    assert {key: made[key] for key in fields} == fields


def test_nothing_is_sent_that_was_not_asked_for() -> None:
    assert set(forward()) == {"cluster", "timeout", "retry_policy"}


@pytest.mark.parametrize("http", [{"timeout": "1s"}, {}])
def test_a_route_never_limits_streams_because_that_would_switch_its_timeout_off(http: Json) -> None:
    assert not {"max_stream_duration", "max_grpc_timeout"} & set(forward(**http))


def mirrored(cluster: str, numerator: int, denominator: str) -> Json:
    fraction = {"numerator": numerator, "denominator": denominator}
    return {"cluster": cluster, "runtime_fraction": {"default_value": fraction}, "trace_sampled": False}


@pytest.mark.parametrize(
    ("http", "policies"),
    [
        ({"mirror": {"host": "ratings"}}, [mirrored(OTHER, 100, "HUNDRED")]),
        (
            {"mirror": {"host": "ratings"}, "mirrorPercentage": {"value": 12.5}},
            [mirrored(OTHER, 125_000, "MILLION")],
        ),
        ({"mirror": {"host": "ratings"}, "mirrorPercentage": {"value": 0}}, None),
        ({"mirror": {"host": "ratings"}, "mirrorPercentage": {}}, None),
        ({"mirror": {"host": "ratings"}, "mirrorPercent": 5}, [mirrored(OTHER, 5, "HUNDRED")]),
        ({"mirror": {"host": "ratings"}, "mirror_percent": 6}, [mirrored(OTHER, 6, "HUNDRED")]),
        ({"mirror": {"host": "ratings"}, "mirrorPercent": 0}, None),
        (
            {"mirror": {"host": "ratings"}, "mirrorPercent": 5, "mirrorPercentage": {"value": 1}},
            [mirrored(OTHER, 10_000, "MILLION")],
        ),
        (
            {
                "mirrors": [
                    {"destination": {"host": "ratings"}, "percentage": {"value": 50}},
                    {"destination": {"host": "reviews", "subset": "v2"}},
                ]
            },
            [mirrored(OTHER, 500_000, "MILLION"), mirrored(V2, 100, "HUNDRED")],
        ),
    ],
)
def test_mirrors_get_their_share(http: Json, policies: list[Json] | None) -> None:
    assert forward(**http).get("request_mirror_policies") == policies


@pytest.mark.parametrize(
    ("redirect", "made"),
    [
        ({"uri": "/new"}, {"response_code": "MOVED_PERMANENTLY", "path_redirect": "/new"}),
        (
            {"authority": "a", "prefixRewrite": "/p", "redirectCode": 302},
            {"response_code": "FOUND", "host_redirect": "a", "prefix_rewrite": "/p"},
        ),
        ({"scheme": "https", "redirectCode": 303}, {"response_code": "SEE_OTHER", "scheme_redirect": "https"}),
        ({"port": 8443, "redirectCode": 307}, {"response_code": "TEMPORARY_REDIRECT", "port_redirect": 8443}),
        ({"port": 443, "redirectCode": 308}, {"response_code": "PERMANENT_REDIRECT", "port_redirect": 443}),
        ({"port": 80}, {"response_code": "MOVED_PERMANENTLY"}),
        (
            {"port": 80, "scheme": "https"},
            {"response_code": "MOVED_PERMANENTLY", "scheme_redirect": "https", "port_redirect": 80},
        ),
        ({"port": 443, "scheme": "https"}, {"response_code": "MOVED_PERMANENTLY", "scheme_redirect": "https"}),
        (
            {"uri": "/", "derivePort": "FROM_PROTOCOL_DEFAULT"},
            {"response_code": "MOVED_PERMANENTLY", "path_redirect": "/"},
        ),
        (
            {"uri": "/", "derivePort": "FROM_REQUEST_PORT"},
            {"response_code": "MOVED_PERMANENTLY", "path_redirect": "/", "port_redirect": 9080},
        ),
    ],
)
def test_redirects_leave_a_schemes_own_port_unsaid(redirect: Json, made: Json) -> None:
    assert route({"redirect": redirect})["redirect"] == made


@pytest.mark.parametrize(
    ("response", "made"),
    [
        ({"status": 204}, {"status": 204}),
        ({"status": 200, "body": {"string": "hello"}}, {"status": 200, "body": {"inline_string": "hello"}}),
        ({"status": 200, "body": {"bytes": "AAEC"}}, {"status": 200, "body": {"inline_bytes": "AAEC"}}),
        ({"status": 200, "body": {}}, {"status": 200, "body": {"inline_string": ""}}),
    ],
)
def test_direct_responses_come_from_the_proxy_itself(response: Json, made: Json) -> None:
    found = routes(reviews({"directResponse": response}))[0]

    assert found["direct_response"] == made
    assert "route" not in found


def test_a_destination_may_name_its_port() -> None:
    found = route({"route": [{"destination": {"host": "reviews", "port": {"number": 80}}}]})

    assert found["route"]["cluster"] == f"outbound|80||{REVIEWS}"
