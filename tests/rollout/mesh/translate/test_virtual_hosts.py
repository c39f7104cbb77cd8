import pytest

from tests.rollout.mesh.translate.documents import (
    REVIEWS,
    Json,
    gateway,
    pick,
    registry,
    reviews,
    routes,
    to,
    translated,
    virtual_service,
)

CALLER = "productpage-v1.bookinfo"


def domains(*documents: Json, proxy: str = CALLER, **more: object) -> dict[str, list[str]]:
    hosts = translated(*documents, over=registry(**more)).rds[proxy]["virtual_hosts"]
    return {host["name"]: host["domains"] for host in hosts}


def split(
    host: str, subset: str, name: str = "it", created: str = "", namespace: str = "bookinfo", **more: object
) -> Json:
    spec = {"hosts": [host], "http": [{"name": name, "route": [to("reviews", subset)]}], **more}
    return virtual_service(spec, name, namespace, created)


def test_a_service_answers_to_every_name_it_has_for_the_caller() -> None:
    assert domains() == {
        f"{REVIEWS}:9080": [
            f"{REVIEWS}:9080",
            "reviews.bookinfo.svc:9080",
            "reviews.bookinfo:9080",
            "reviews:9080",
            REVIEWS,
            "reviews.bookinfo.svc",
            "reviews.bookinfo",
            "reviews",
        ],
        "ratings.bookinfo.svc.cluster.local:9080": [
            name + port
            for port in (":9080", "")
            for name in ("ratings.bookinfo.svc.cluster.local", "ratings.bookinfo.svc", "ratings.bookinfo", "ratings")
        ],
        "block_all": ["*"],
    }


def test_the_short_name_is_known_in_the_services_namespace_only() -> None:
    stranger = {"name": "load", "namespace": "rollout-system"}

    found = domains(proxies=[stranger], proxy="load.rollout-system")[f"{REVIEWS}:9080"]
    assert {"reviews", "reviews:9080"}.isdisjoint(found)
    assert "reviews.bookinfo:9080" in found


@pytest.mark.parametrize(
    ("ports", "default"), [((9080, 9081), None), ((80, 9081), 80), ((9081, 80), 80), ((7000,), 7000)]
)
def test_a_name_without_port_means_the_only_port_or_80(ports: tuple[int, ...], default: int | None) -> None:
    service = {"name": "reviews", "namespace": "bookinfo", "ports": [{"number": port} for port in ports]}

    found = domains(services=[service])
    assert {port for port in ports if "reviews" in found[f"{REVIEWS}:{port}"]} == ({default} if default else set())
    assert all(f"reviews:{port}" in found[f"{REVIEWS}:{port}"] for port in ports)


def test_a_tcp_port_carries_no_routes() -> None:
    service = {"name": "db", "namespace": "bookinfo", "ports": [{"number": 3306, "protocol": "TCP"}]}

    assert list(domains(services=[service])) == ["block_all"]


def test_a_host_nobody_knows_is_answered_with_502() -> None:
    found = routes(host="block_all")

    assert found == [{"name": "block_all", "match": {"prefix": "/"}, "direct_response": {"status": 502}}]


def test_every_virtual_host_counts_attempts_and_missing_clusters_are_let_through() -> None:
    configuration = translated().rds[CALLER]

    assert all(host["include_request_attempt_count"] for host in configuration["virtual_hosts"])
    assert pick(configuration, set(configuration) - {"virtual_hosts"}) == {
        "name": CALLER,
        "validate_clusters": False,
        "ignore_port_in_host_matching": False,
        "max_direct_response_body_size_bytes": 1048576,
    }


@pytest.mark.parametrize(
    ("documents", "speaks"),
    [
        ([], "default"),
        ([split("reviews", "v1", "a")], "a"),
        ([split(REVIEWS, "v1", "a", namespace="other")], "a"),
        ([split("reviews", "v1", "a", namespace="other")], "default"),
        ([split("reviews", "v1", "b", "2025-01-01"), split("reviews", "v2", "a", "2024-01-01")], "a"),
        ([split("*.bookinfo.svc.cluster.local", "v1", "a")], "a"),
        ([split("*.bookinfo.svc.cluster.local", "v1", "a", "2024-01-01"), split("reviews", "v1", "b")], "b"),
        ([split("*.local", "v1", "a", "2024-01-01"), split("*.bookinfo.svc.cluster.local", "v1", "b")], "b"),
        ([split("*.example.com", "v1", "a")], "default"),
        ([split("reviews", "v1", "a", gateways=["entry"])], "default"),
        ([split("reviews", "v1", "a", gateways=["entry", "mesh"])], "a"),
        ([split("reviews", "v1", "a", exportTo=["other"])], "default"),
        ([split("reviews", "v1", "a", exportTo=["."])], "a"),
        ([split("reviews", "v1", "a", "2024-01-01", exportTo=["other"]), split("reviews", "v2", "b")], "b"),
    ],
)
def test_the_most_specific_then_oldest_virtual_service_speaks_for_a_host(documents: list[Json], speaks: str) -> None:
    assert [route["name"] for route in routes(*documents)] == [speaks]


def test_one_that_says_nothing_to_the_caller_leaves_the_word_to_the_next() -> None:
    other = reviews({"match": [{"sourceLabels": {"app": "ratings"}}], "route": [to()]})

    assert routes(other, split("reviews", "v1", "next"))[0]["name"] == "next"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("example.com", ["example.com", "example.com:80"]),
        ("*.example.com", ["*.example.com", "*.example.com:80"]),
        ("reviews.prod", ["reviews.prod", "reviews.prod:80"]),
        ("reviews.bookinfo", None),
        ("*.bookinfo.svc.cluster.local", None),
    ],
)
def test_a_host_without_a_service_is_served_on_port_80_under_that_name(host: str, expected: list[str] | None) -> None:
    document = virtual_service({"hosts": [host], "http": [{"route": [to()]}]})
    found = domains(document)

    if host == "reviews.bookinfo":  # a name the service has already: only the port is left
        assert found.get(f"{host}:80") == [f"{host}:80"]
    else:
        assert found.get(f"{host}:80") == expected


def test_a_host_without_a_service_and_without_routes_for_the_caller_is_unknown() -> None:
    other = {"match": [{"sourceLabels": {"app": "ratings"}}], "route": [to()]}
    twice = [virtual_service({"hosts": ["example.com"], "http": [other]}, name) for name in ("a", "b")]

    assert "example.com:80" not in domains(*twice)


def test_a_gateways_virtual_service_says_nothing_on_the_mesh() -> None:
    entry = gateway({"selector": {"istio": "in"}, "servers": []} | {})
    entry["spec"]["servers"] = [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}]
    document = virtual_service({"hosts": ["example.com"], "gateways": ["entry"], "http": [{"route": [to()]}]})

    assert "example.com:80" not in domains(entry, document)
