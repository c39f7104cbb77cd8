from typing import Any

import pytest

from rollout.mesh.registry import (
    Address,
    Protocol,
    Proxy,
    ProxyKind,
    Registry,
    Service,
    ServicePort,
    Workload,
    load_registry,
    parse_registry,
    service_of,
)
from rollout.mesh.translate.document import InvalidDocument, Key
from rollout.yaml_documents import key_path, load

Json = dict[str, Any]

SERVICE: Json = {"name": "reviews", "ports": [{"number": 9080}]}
POD: Json = {"pod": "reviews-v1-0", "workload": "reviews-v1", "address": "127.0.0.1:1"}
SIDECAR: Json = {"name": "productpage-v1", "namespace": "bookinfo"}
ENTRY: Json = {"name": "entry", "namespace": "edge", "kind": "gateway", "portMap": {"80": 0, "443": 0}}


def raw(**spec: object) -> Json:
    return {"apiVersion": "rollout.dev/v1alpha1", "kind": "MeshRegistry", "metadata": {"name": "a"}, "spec": spec}


def problems(document: object) -> list[tuple[str, str]]:
    with pytest.raises(InvalidDocument) as caught:
        parse_registry(document)
    return [(key_path(problem.path), problem.message) for problem in caught.value.problems]


def test_a_document_becomes_a_registry() -> None:
    ports = [{"number": 9080, "name": "http"}, {"number": 9081, "protocol": "GRPC"}]
    registry = parse_registry(
        raw(
            domain="example",
            services=[{"name": "reviews", "namespace": "bookinfo", "ports": ports, "selector": {"app": "reviews"}}],
            workloads=[POD | {"labels": {"app": "reviews"}}],
            proxies=[SIDECAR | {"port": 8080}, ENTRY | {"bind": "::1"}],
            honourTimeoutHeader=True,
            byteHistograms=True,
        )
    )

    assert registry == Registry(
        domain="example",
        services=(
            Service(
                name="reviews",
                namespace="bookinfo",
                ports=(ServicePort(number=9080, name="http"), ServicePort(number=9081, protocol=Protocol.GRPC)),
                selector={"app": "reviews"},
            ),
        ),
        workloads=(
            Workload(
                pod="reviews-v1-0",
                workload="reviews-v1",
                labels={"app": "reviews"},
                address=Address("127.0.0.1", 1),
            ),
        ),
        proxies=(
            Proxy(name="productpage-v1", namespace="bookinfo", port=8080),
            Proxy(name="entry", namespace="edge", kind=ProxyKind.GATEWAY, bind="::1", port_map={"80": 0, "443": 0}),
        ),
        honour_timeout_header=True,
        byte_histograms=True,
    )


def test_a_registry_survives_the_way_through_a_document() -> None:
    registry = parse_registry(raw(services=[SERVICE], workloads=[POD], proxies=[SIDECAR, ENTRY]))

    assert parse_registry(registry.document()) == registry
    assert parse_registry(raw()) == Registry()


NOT_ADDRESS = "; write it like 127.0.0.1:9080"


@pytest.mark.parametrize(
    ("document", "path", "message"),
    [
        ([], "", "expected a mapping, got a list"),
        (
            raw() | {"kind": "Registry"},
            "kind",
            "expected rollout.dev/v1alpha1 MeshRegistry, got rollout.dev/v1alpha1 Registry",
        ),
        (raw() | {"apiVersion": "v1"}, "kind", "expected rollout.dev/v1alpha1 MeshRegistry, got v1 MeshRegistry"),
        (raw(service=[]), "spec.service", 'unknown key; did you mean "services"?'),
        (raw(domain=""), "spec.domain", "not a domain: ''"),
        (raw(domain="*.local"), "spec.domain", "not a domain: '*.local'"),
        (raw(services=[SERVICE | {"name": "a.b"}]), "spec.services[0].name", "not a name: 'a.b'"),
        (raw(services=[SERVICE | {"namespace": ""}]), "spec.services[0].namespace", "not a name: ''"),
        (raw(services=[SERVICE | {"ports": []}]), "spec.services[0].ports", "a service needs ports, each number once"),
        (
            raw(services=[SERVICE | {"ports": [{"number": 1}, {"number": 1}]}]),
            "spec.services[0].ports",
            "a service needs ports, each number once",
        ),
        (
            raw(services=[SERVICE | {"ports": [{"number": 70000}]}]),
            "spec.services[0].ports[0].number",
            "must be in 1..65535, got 70000",
        ),
        (
            raw(services=[SERVICE | {"ports": [{"number": 1, "protocol": "UDP"}]}]),
            "spec.services[0].ports[0].protocol",
            "must be one of HTTP, HTTP2, GRPC, TCP, got 'UDP'",
        ),
        (raw(services=[SERVICE, SERVICE]), "spec.services", "default/reviews stands there 2 times"),
        (raw(workloads=[POD | {"pod": "A"}]), "spec.workloads[0].pod", "not a name: 'A'"),
        (raw(workloads=[POD | {"workload": "a b"}]), "spec.workloads[0].workload", "not a name: 'a b'"),
        (raw(workloads=[POD, POD | {"workload": "b"}]), "spec.workloads", "default/reviews-v1-0 stands there 2 times"),
        (
            raw(workloads=[POD | {"address": "localhost:1"}]),
            "spec.workloads[0].address",
            "'localhost' does not appear to be an IPv4 or IPv6 address",
        ),
        *(
            (
                raw(workloads=[POD | {"address": address}]),
                "spec.workloads[0].address",
                f"not an address: {address!r}{NOT_ADDRESS}",
            )
            for address in (
                "127.0.0.1",
                "127.0.0.1:0",
                "127.0.0.1:65536",
                "127.0.0.1:１",
                "127.0.0.1:",
                "127.0.0.1:000001999999",
            )
        ),
        (raw(proxies=[SIDECAR, SIDECAR]), "spec.proxies", "bookinfo/productpage-v1 stands there 2 times"),
        (raw(proxies=[SIDECAR | {"name": ""}]), "spec.proxies[0].name", "not a name: ''"),
        (
            raw(proxies=[SIDECAR | {"portMap": {"80": 0}}]),
            "spec.proxies[0].portMap",
            "a gateway needs portMap ({80: 0}), a sidecar only port",
        ),
        (
            raw(proxies=[ENTRY | {"portMap": {}}]),
            "spec.proxies[0].portMap",
            "a gateway needs portMap ({80: 0}), a sidecar only port",
        ),
        (
            raw(proxies=[ENTRY | {"port": 8080}]),
            "spec.proxies[0].port",
            "a gateway has no port of its own, only portMap",
        ),
        *(
            (
                raw(proxies=[ENTRY | {"portMap": {number: 0}}]),
                "spec.proxies[0].portMap",
                "its keys are service ports, 1..65535",
            )
            for number in ("0", "65536", "http", "-1", "8٠", "080", "9" * 5000)
        ),
        (raw(proxies=[SIDECAR | {"bind": "localhost"}]), "spec.proxies[0].bind", "not an IP address: 'localhost'"),
        (
            raw(proxies=[SIDECAR | {"port": 8080}, ENTRY | {"portMap": {"80": 8080}}]),
            "spec.proxies[1]",
            "port 8080 is taken by productpage-v1.bookinfo",
        ),
        (raw(proxies=[SIDECAR | {"port": 65536}]), "spec.proxies[0].port", "must be in 0..65535, got 65536"),
    ],
)
def test_what_cannot_be_a_mesh_is_refused_at_its_key(document: object, path: str, message: str) -> None:
    assert problems(document) == [(path, message)]


def test_a_file_says_where_it_is_wrong() -> None:
    text = "apiVersion: rollout.dev/v1alpha1\nkind: MeshRegistry\nspec:\n  domain: '*'\n  services: [{name: a}]\n"

    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared
        load_registry(load(text, file="registry.yaml"))
    assert str(caught.value).splitlines() == [
        "registry.yaml:4:3 spec.domain: not a domain: '*'",
        "registry.yaml:5:14 spec.services[0].ports: a service needs ports, each number once",
    ]


@pytest.mark.parametrize("text", ["127.0.0.1:9080", "[::1]:9080"])
def test_addresses_are_written_as_they_are_read(text: str) -> None:
    assert str(Address.parse(text)) == text


def test_listeners_are_named_after_caller_or_gateway_port() -> None:
    registry = parse_registry(raw(proxies=[SIDECAR | {"port": 9080}, ENTRY]))

    assert registry.listeners == {"productpage-v1.bookinfo": 9080, "entry.edge:80": 0, "entry.edge:443": 0}


def test_ports_that_were_chosen_fill_in_those_that_were_free() -> None:
    registry = parse_registry(raw(proxies=[SIDECAR, ENTRY | {"portMap": {"80": 8080, "443": 0}}]))
    chosen = registry.with_ports({"productpage-v1.bookinfo": 1, "entry.edge:80": 2, "entry.edge:443": 3})

    assert chosen.listeners == {"productpage-v1.bookinfo": 1, "entry.edge:80": 8080, "entry.edge:443": 3}
    assert registry.with_ports({}) == registry


def test_services_are_added_and_replaced_by_name_and_namespace() -> None:
    def service(namespace: str, port: int) -> Service:
        return Service(name="a", namespace=namespace, ports=(ServicePort(number=port),))

    registry = Registry(services=(service("x", 1), service("y", 2))).with_services([service("x", 3), service("z", 4)])

    assert [(item.namespace, item.ports[0].number) for item in registry.services] == [("x", 3), ("y", 2), ("z", 4)]


def test_workloads_are_replaced_as_a_whole() -> None:
    pod = Workload(pod="a", workload="a", address=Address("::1", 1))

    assert Registry(workloads=(pod,)).with_workloads([]).workloads == ()
    assert Registry().with_workloads(iter([pod])).workloads == (pod,)


def kubernetes(*ports: object, **spec: object) -> Service | None:
    document = {"kind": "Service", "spec": {"ports": list(ports), **spec}}
    return service_of(document, Key("Service", "bookinfo", "reviews"))


@pytest.mark.parametrize(
    ("port", "protocol"),
    [
        ({}, Protocol.HTTP),
        ({"name": "http"}, Protocol.HTTP),
        ({"name": "http-web"}, Protocol.HTTP),
        ({"name": "http2-web"}, Protocol.HTTP2),
        ({"name": "grpc"}, Protocol.GRPC),
        ({"name": "GRPC-a"}, Protocol.GRPC),
        ({"name": "tcp-db"}, Protocol.TCP),
        ({"name": "mysql"}, Protocol.TCP),
        ({"name": "https"}, Protocol.TCP),
        ({"name": "metrics", "protocol": "TCP"}, Protocol.HTTP),
        ({"name": "dns", "protocol": "UDP"}, Protocol.TCP),
        ({"name": "tcp", "appProtocol": "http"}, Protocol.HTTP),
        ({"name": "http", "appProtocol": "kubernetes.io/h2c"}, Protocol.HTTP2),
        ({"appProtocol": "redis"}, Protocol.TCP),
    ],
)
def test_the_protocol_is_told_by_app_protocol_or_the_ports_name(port: Json, protocol: Protocol) -> None:
    service = kubernetes({"port": 80, "targetPort": 8080, **port}, selector={"app": "a"}, type="ClusterIP")

    assert service == Service(
        name="reviews",
        namespace="bookinfo",
        ports=(ServicePort(number=80, name=port.get("name", ""), protocol=protocol),),
        selector={"app": "a"},
    )


def test_which_protocols_carry_http_and_which_http2() -> None:
    ports = {protocol: ServicePort(number=1, protocol=protocol) for protocol in Protocol}

    assert {protocol for protocol, port in ports.items() if not port.is_http} == {Protocol.TCP}
    assert {protocol for protocol, port in ports.items() if port.is_http2} == {Protocol.HTTP2, Protocol.GRPC}


@pytest.mark.parametrize("spec", [None, {}, {"ports": []}, {"ports": 5}, []])
def test_a_service_without_ports_is_none(spec: object) -> None:
    assert service_of({"spec": spec}, Key("Service", "bookinfo", "reviews")) is None


@pytest.mark.parametrize(
    ("ports", "more", "path", "message"),
    [
        ([{"port": "80"}], {}, "spec.ports[0].port", "expected a whole number, got '80'"),
        ([{"port": 80}, 5], {}, "spec.ports[1].port", "missing"),
        ([{"port": 80, "name": 5}], {}, "spec.ports[0].name", "expected a string, got 5; put it in quotes"),
        ([{"port": 80}], {"selector": []}, "spec.selector", "expected a mapping, got a list"),
    ],
)
def test_a_kubernetes_service_that_is_wrong_is_refused_in_its_own_words(
    ports: list[object], more: Json, path: str, message: str
) -> None:
    with pytest.raises(InvalidDocument) as caught:
        kubernetes(*ports, **more)
    assert [(key_path(problem.path), problem.message) for problem in caught.value.problems] == [(path, message)]
