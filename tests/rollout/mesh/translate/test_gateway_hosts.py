import pytest

from tests.rollout.mesh.translate.documents import (
    RATINGS,
    Json,
    gateway,
    pick,
    registry,
    to,
    translated,
    virtual_service,
)

FILES = {"serverCertificate": "/c", "privateKey": "/k"}
HTTP: Json = {"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}
HTTPS: Json = {
    "port": {"number": 443, "name": "https", "protocol": "HTTPS"},
    "hosts": ["*"],
    "tls": {"mode": "SIMPLE", **FILES},
}
EDGE = registry(
    proxies=[
        {
            "name": "entry",
            "namespace": "edge",
            "kind": "gateway",
            "labels": {"istio": "in"},
            "portMap": {"80": 0, "443": 0},
        }
    ]
)


def entry(*servers: Json, **more: object) -> Json:
    return gateway({"selector": {"istio": "in"}, "servers": list(servers) or [HTTP], **more})


def served(hosts: list[str], *http: Json, name: str = "it", created: str = "", **more: object) -> Json:
    routes = list(http) or [{"route": [to()]}]
    return virtual_service({"hosts": hosts, "gateways": ["entry"], "http": routes, **more}, name, created=created)


def at_the_edge(name: str, *documents: Json) -> list[Json]:
    """The virtual hosts of one route configuration of the gateway."""
    hosts: list[Json] = translated(*documents, over=EDGE).rds[name]["virtual_hosts"]
    return hosts


def domains(*documents: Json, name: str = "entry.edge:80") -> list[str]:
    found = at_the_edge(name, *documents)
    assert all(host["domains"] == [host["name"].rpartition(":")[0]] for host in found[:-1])
    return [domain for host in found for domain in host["domains"] if not host["name"].startswith("blackhole")]


@pytest.mark.parametrize(
    ("servers", "hosts", "expected"),
    [
        (["*"], ["a.example.com"], ["a.example.com"]),
        (["a.example.com"], ["*"], ["a.example.com"]),
        (["*.example.com", "b.example.org"], ["*"], ["b.example.org", "*.example.com"]),
        (["*.example.com"], ["a.example.com", "a.example.org"], ["a.example.com"]),
        (["*.com", "*.example.com"], ["a.example.com"], ["a.example.com"]),
        (["a.example.com"], ["b.example.com"], []),
        (["*"], ["reviews"], ["reviews.bookinfo.svc.cluster.local"]),
        (["bookinfo/*"], ["a.example.com"], ["a.example.com"]),
        (["./*"], ["a.example.com"], ["a.example.com"]),
        (["*/*"], ["a.example.com"], ["a.example.com"]),
        (["other/*"], ["a.example.com"], []),
    ],
)
def test_a_gateway_serves_the_hosts_it_has_in_common_with_a_virtual_service(
    servers: list[str], hosts: list[str], expected: list[str]
) -> None:
    assert domains(entry(HTTP | {"hosts": servers}), served(hosts)) == expected


def test_a_dot_means_the_gateways_own_namespace() -> None:
    away = gateway({"selector": {"istio": "in"}, "servers": [HTTP | {"hosts": ["./*"]}]}, namespace="edge")
    service = served(["a.example.com"]) | {}
    service["spec"]["gateways"] = ["edge/entry"]

    assert domains(away, service) == []


@pytest.mark.parametrize(
    ("gateways", "more", "is_served"),
    [
        (["entry"], {}, True),
        (["bookinfo/entry"], {}, True),
        (["mesh", "entry"], {}, True),
        (["other/entry"], {}, False),
        (["mesh"], {}, False),
        ([], {}, False),
        (["entry"], {"exportTo": ["."]}, False),
        (["entry"], {"exportTo": ["edge"]}, True),
    ],
)
def test_a_virtual_service_binds_to_the_gateways_it_names(gateways: list[str], more: Json, is_served: bool) -> None:
    service = served(["a.example.com"], **more)
    service["spec"]["gateways"] = gateways

    assert bool(domains(entry(), service)) is is_served


@pytest.mark.parametrize(("selector", "is_served"), [({}, True), ({"istio": "in"}, True), ({"istio": "out"}, False)])
def test_a_gateway_is_opened_by_the_proxies_it_selects(selector: Json, is_served: bool) -> None:
    assert bool(domains(entry(selector=selector), served(["a.example.com"]))) is is_served


def test_what_nobody_claims_is_not_found() -> None:
    (nothing,) = at_the_edge("entry.edge:80", entry())

    assert (nothing["name"], nothing["domains"]) == ("blackhole:80", ["*"])
    assert nothing["routes"] == [{"name": "blackhole", "match": {"prefix": "/"}, "direct_response": {"status": 404}}]


def test_ports_in_the_host_header_are_ignored_and_missing_clusters_let_through() -> None:
    configuration = translated(entry(), served(["*"]), over=EDGE).rds["entry.edge:80"]

    assert pick(configuration, ("name", "ignore_port_in_host_matching", "validate_clusters")) == {
        "name": "entry.edge:80",
        "ignore_port_in_host_matching": True,
        "validate_clusters": False,
    }


def test_virtual_services_on_one_host_are_joined_the_oldest_first_and_catch_alls_last() -> None:
    def named(name: str, created: str) -> Json:
        narrow = {"name": f"{name}-narrow", "match": [{"uri": {"exact": f"/{name}"}}], "route": [to()]}
        return served(["a.example.com"], narrow, {"name": name, "route": [to()]}, name=name, created=created)

    (host, _) = at_the_edge("entry.edge:80", entry(), named("new", "2025-01-01"), named("old", "2024-01-01"))
    assert [route["name"] for route in host["routes"]] == ["old-narrow", "new-narrow", "old", "new"]
    assert host["include_request_attempt_count"] is True


def test_routes_of_a_gateway_are_for_its_port_and_its_name() -> None:
    http = {
        "match": [
            {"uri": {"exact": "/mesh"}, "gateways": ["mesh"]},
            {"uri": {"exact": "/edge"}, "gateways": ["entry"]},
            {"uri": {"exact": "/port"}, "port": 443},
            {"uri": {"exact": "/all"}},
        ],
        "route": [to("ratings")],
    }
    (host, _) = at_the_edge("entry.edge:80", entry(), served(["a.example.com"], http))

    assert [route["match"]["path"] for route in host["routes"]] == ["/edge", "/all"]
    assert host["routes"][0]["route"]["cluster"] == f"outbound|9080||{RATINGS}"


def test_plain_requests_are_sent_to_https_whether_or_not_there_are_routes() -> None:
    redirecting = HTTP | {"hosts": ["./a.example.com", "b.example.com"], "tls": {"httpsRedirect": True}}
    a, b, rest = at_the_edge("entry.edge:80", entry(redirecting), served(["a.example.com"]))

    assert (a["domains"], a["require_tls"], len(a["routes"])) == (["a.example.com"], "ALL", 1)
    assert (b["domains"], b["require_tls"], len(b["routes"])) == (["b.example.com"], "ALL", 0)
    assert "require_tls" not in rest


def test_https_servers_are_told_apart_by_the_name_asked_for() -> None:
    secure = [
        HTTPS | {"hosts": ["./a.example.com", "*.example.org"]},
        HTTPS | {"port": HTTPS["port"] | {"name": "rest"}},
    ]
    found = translated(entry(*secure), served(["*"]), over=EDGE)

    chains = found.lds["entry.edge:443"]["filter_chains"]
    assert [chain.get("filter_chain_match") for chain in chains] == [
        {"server_names": ["a.example.com", "*.example.org"]},
        None,
    ]
    names = [chain["filters"][0]["typed_config"]["rds"]["route_config_name"] for chain in chains]
    assert names == ["entry.edge:443/https.bookinfo.entry", "entry.edge:443/rest.bookinfo.entry"]
    hosts = found.rds[names[0]]["virtual_hosts"]
    assert [host["domains"] for host in hosts] == [["a.example.com"], ["*.example.org"], ["*"]]
    (inspector,) = found.lds["entry.edge:443"]["listener_filters"]
    assert inspector["name"] == "envoy.filters.listener.tls_inspector"
    assert "listener_filters" not in found.lds["entry.edge:80"]


@pytest.mark.parametrize(
    ("tls", "asks", "trusted"),
    [
        ({"mode": "SIMPLE"}, None, None),
        ({"mode": "MUTUAL", "caCertificates": "/a"}, True, {"trusted_ca": {"filename": "/a"}}),
        ({"mode": "OPTIONAL_MUTUAL", "caCertificates": "/a"}, None, {"trusted_ca": {"filename": "/a"}}),
    ],
)
def test_tls_ends_at_the_gateway(tls: Json, asks: bool | None, trusted: Json | None) -> None:
    found = translated(entry(HTTPS | {"tls": FILES | tls}), over=EDGE).lds["entry.edge:443"]

    context = found["filter_chains"][0]["transport_socket"]["typed_config"]
    assert context["@type"].endswith("DownstreamTlsContext")
    assert context.get("require_client_certificate") == asks
    common = context["common_tls_context"]
    assert common.get("validation_context") == trusted
    assert common["alpn_protocols"] == ["h2", "http/1.1"]
    assert common["tls_certificates"] == [{"certificate_chain": {"filename": "/c"}, "private_key": {"filename": "/k"}}]


def test_behind_tls_the_port_a_redirect_leaves_unsaid_is_443() -> None:
    moved = served(["*"], {"redirect": {"port": 443}})
    (host,) = at_the_edge("entry.edge:443/https.bookinfo.entry", entry(HTTPS), moved)

    assert host["routes"][0]["redirect"] == {"response_code": "MOVED_PERMANENTLY"}


@pytest.mark.parametrize(
    "server",
    [
        {**HTTP, "port": {"number": 80, "name": "a", "protocol": "TCP"}},
        {**HTTP, "port": {"number": 80, "name": "a", "protocol": "HTTPS"}, "tls": {"mode": "PASSTHROUGH"}},
        {**HTTP, "port": {"number": 8080, "name": "a", "protocol": "HTTP"}},
    ],
)
def test_servers_that_are_not_http_or_on_another_port_are_not_opened(server: Json) -> None:
    assert domains(entry(server), served(["*"])) == []
