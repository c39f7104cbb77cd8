import pytest

from tests.rollout.mesh.translate.documents import Json, errors_in, to, virtual_service

HTTP = {"http": [{"route": [to()]}]}


@pytest.mark.parametrize(
    "spec",
    [
        {"hosts": ["reviews"], **HTTP},
        {"hosts": ["*"], "gateways": ["entry"], **HTTP},
        {"hosts": ["*.example.com", "a.example.org", "10.0.0.1"], "gateways": ["mesh", "edge/entry"], **HTTP},
        {"hosts": ["reviews"], "tcp": [{}]},
        {"hosts": ["reviews"], "tls": [{}]},
        {"hosts": ["reviews"], "exportTo": [".", "*", "other", "~"], **HTTP},
        HTTP,
    ],
)
def test_what_istiod_lets_in_comes_in(spec: Json) -> None:
    assert errors_in(virtual_service(spec)) == []


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"hosts": ["a"]}, [("spec", "http, tcp or tls must be provided")]),
        ({"hosts": ["a_b!"], **HTTP}, [("spec.hosts[0]", "not a host: 'a_b!'")]),
        ({"hosts": ["a.*.b"], **HTTP}, [("spec.hosts[0]", "not a host: 'a.*.b'")]),
        ({"hosts": ["*"], **HTTP}, [("spec.hosts[0]", 'host "*" needs gateways: it is not allowed on the mesh')]),
        (
            {"hosts": ["*"], "gateways": ["entry", "mesh"], **HTTP},
            [("spec.hosts[0]", 'host "*" needs gateways: it is not allowed on the mesh')],
        ),
        ({"hosts": ["a", "a"], **HTTP}, [("spec.hosts[1]", "'a' overlaps 'a'")]),
        (
            {"hosts": ["x.example.com", "*.example.com"], **HTTP},
            [("spec.hosts[1]", "'*.example.com' overlaps 'x.example.com'")],
        ),
        (
            {"hosts": ["a"], "gateways": ["a/b/c"], **HTTP},
            [("spec.gateways[0]", "not a gateway: 'a/b/c'; write name or namespace/name")],
        ),
        ({"hosts": ["a"], "exportTo": ["a.b"], **HTTP}, [("spec.exportTo[0]", "not a namespace: 'a.b'")]),
        ({"hosts": ["a"], "exportTo": ["*", "*"], **HTTP}, [("spec.exportTo[1]", "'*' stands there twice")]),
        (
            {"gateways": ["entry"], "tls": [{}], **HTTP},
            [
                ("spec.gateways", "a virtual service without hosts is a delegate: no gateways"),
                ("spec", "a virtual service without hosts is a delegate: only http"),
            ],
        ),
        ({"tcp": [{}]}, [("spec", "a virtual service without hosts is a delegate: only http")]),
    ],
)
def test_what_istiod_refuses_is_refused_at_its_key(spec: Json, expected: list[tuple[str, str]]) -> None:
    assert errors_in(virtual_service(spec)) == expected
