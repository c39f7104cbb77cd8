import pytest

from tests.rollout.mesh.translate.documents import Json, errors_in, gateway, warnings_in

FILES = {"serverCertificate": "/c", "privateKey": "/k"}


def serving(protocol: str = "HTTP", *, tls: Json | None = None, port: Json | None = None, **more: object) -> Json:
    whole = {"number": 80, "name": "http", "protocol": protocol, **(port or {})}
    return gateway({"selector": {"istio": "in"}, "servers": [{"port": whole, "hosts": ["*"], "tls": tls, **more}]})


@pytest.mark.parametrize(
    "document",
    [
        serving(),
        serving("HTTP2", hosts=["*.example.com", "./a.example.com", "*/b.example.com", "ns/c.example.com"]),
        serving("GRPC"),
        serving("GRPC-WEB"),
        serving(tls={"httpsRedirect": True}),
        serving("HTTPS", tls={"mode": "SIMPLE", **FILES}),
        serving("HTTPS", tls={"mode": "MUTUAL", "caCertificates": "/a", **FILES}),
        serving("HTTPS", tls={"mode": "OPTIONAL_MUTUAL", **FILES}),
    ],
)
def test_what_istiod_lets_in_comes_in_without_a_warning(document: Json) -> None:
    assert errors_in(document) == []
    assert warnings_in(document) == []


@pytest.mark.parametrize(
    ("document", "path", "message"),
    [
        (gateway({}), "", "a gateway needs servers"),
        (
            gateway({"servers": serving()["spec"]["servers"] * 2}),
            "[1].port.name",
            "port names must be unique: 'http' stands there twice",
        ),
        (serving(port={"name": ""}), "[0].port.name", "must not be empty"),
        (serving(port={"targetPort": 8080}), "[0].port.targetPort", "has no effect on gateways"),
        (
            serving("http"),
            "[0].port.protocol",
            "must be one of HTTP, HTTP2, GRPC, GRPC-WEB, HTTPS, MONGO, TCP, TLS, got 'http'",
        ),
        (serving(hosts=[]), "[0].hosts", "a server needs hosts"),
        (serving(hosts=["a/b/c"]), "[0].hosts[0]", "not a host: 'a/b/c'; write host or namespace/host"),
        (serving(hosts=["a", "x.y/b"]), "[0].hosts[1]", "not a host: 'x.y/b'; write host or namespace/host"),
        (serving(hosts=["ns/!"]), "[0].hosts[0]", "not a host: 'ns/!'; write host or namespace/host"),
        (serving("HTTPS"), "[0].tls", "protocol HTTPS needs tls"),
        (serving(tls={"mode": "SIMPLE"}), "[0].tls", "tls on protocol HTTP can only be httpsRedirect"),
        (
            serving("HTTPS", tls={"mode": "SIMPLE", "httpsRedirect": True, **FILES}),
            "[0].tls.httpsRedirect",
            "only plain HTTP can be redirected to HTTPS",
        ),
        (serving("HTTPS", tls={"mode": "SIMPLE"}), "[0].tls", "mode SIMPLE needs serverCertificate and privateKey"),
        (
            serving("HTTPS", tls={"mode": "MUTUAL", **FILES}),
            "[0].tls.caCertificates",
            "mode MUTUAL needs caCertificates",
        ),
        *(
            (
                serving("HTTPS", tls={"mode": "SIMPLE", key: value}),
                "[0].tls",
                "secrets are not available in the embedded mesh: name serverCertificate and privateKey files",
            )
            for key, value in (("credentialName", "a"), ("credentialNames", ["a"]), ("tlsCertificates", [{}]))
        ),
    ],
)
def test_what_cannot_work_is_refused_at_its_key(document: Json, path: str, message: str) -> None:
    assert errors_in(document) == [(f"spec.servers{path}", message)]


@pytest.mark.parametrize(
    ("document", "path", "message"),
    [
        (serving("TCP"), "port.protocol", "not served: the embedded mesh carries HTTP and HTTPS"),
        (
            serving(bind="0.0.0.0"),
            "bind",
            "has no effect in the embedded mesh: the registry says where a gateway listens",
        ),
        (
            serving("HTTPS", tls={"mode": "PASSTHROUGH"}),
            "tls.mode",
            "mode PASSTHROUGH is not served: the embedded mesh terminates SIMPLE and MUTUAL",
        ),
    ],
)
def test_what_is_not_served_is_a_warning(document: Json, path: str, message: str) -> None:
    assert warnings_in(document) == [(f"spec.servers[0].{path}", message)]
