import pytest

from tests.rollout.mesh.translate.documents import REVIEWS, Json, cluster

FILES = {"clientCertificate": "/c", "privateKey": "/k"}
PAIR = {"certificate_chain": {"filename": "/c"}, "private_key": {"filename": "/k"}}
TRUSTED = {"trusted_ca": {"filename": "/a"}}
SNI = f"outbound_.9080_.v1_.{REVIEWS}"


def socket(**tls: object) -> Json | None:
    subsets = [{"name": "v1", "trafficPolicy": {"tls": tls}}]
    found: Json | None = cluster({"subsets": subsets}, subset="v1").get("transport_socket")
    return found


@pytest.mark.parametrize("mode", ["DISABLE", "ISTIO_MUTUAL"])
def test_on_loopback_there_is_no_second_sidecar_to_be_mutual_with(mode: str) -> None:
    assert socket(mode=mode) is None


@pytest.mark.parametrize(
    ("tls", "sni", "common"),
    [
        ({"mode": "SIMPLE", "caCertificates": "/a"}, None, {"validation_context": TRUSTED}),
        ({"mode": "SIMPLE", "caCertificates": "/a", "sni": "s"}, "s", {"validation_context": TRUSTED}),
        ({"mode": "SIMPLE", "insecureSkipVerify": True}, None, {}),
        (
            {"mode": "SIMPLE", "insecureSkipVerify": True, "caCertificates": "/a", "subjectAltNames": ["n"]},
            None,
            {},
        ),
        (
            {"mode": "MUTUAL", "caCertificates": "/a", **FILES},
            SNI,
            {"tls_certificates": [PAIR], "validation_context": TRUSTED},
        ),
        (
            {"mode": "MUTUAL", "caCertificates": "/a", "sni": "s", **FILES},
            "s",
            {"tls_certificates": [PAIR], "validation_context": TRUSTED},
        ),
        (
            {"mode": "SIMPLE", "caCertificates": "/a", "caCrl": "/r", "subjectAltNames": ["n"]},
            None,
            {
                "validation_context": {
                    **TRUSTED,
                    "crl": {"filename": "/r"},
                    "match_typed_subject_alt_names": [
                        {"san_type": "DNS", "matcher": {"exact": "n"}},
                        {"san_type": "URI", "matcher": {"exact": "n"}},
                    ],
                }
            },
        ),
    ],
)
def test_tls_towards_a_service(tls: Json, sni: str | None, common: Json) -> None:
    assert socket(**tls) == {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            "common_tls_context": common,
            **({"sni": sni} if sni else {}),
        },
    }
