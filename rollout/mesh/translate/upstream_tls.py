"""TLS towards a service.

ISTIO_MUTUAL is what sidecars do between themselves; on loopback there is no second sidecar, so it is plaintext here.
"""

from rollout.mesh.translate.destination_rule import ClientTls, TlsMode
from rollout.mesh.translate.proto import Json, extension, given


def transport_socket(tls: ClientTls, default_sni: str) -> Json | None:
    """The transport socket of a cluster, or None for plaintext."""
    match tls.mode:
        case TlsMode.DISABLE | TlsMode.ISTIO_MUTUAL:
            return None
        case TlsMode.SIMPLE:
            return _socket(tls, tls.sni, [])
        case TlsMode.MUTUAL:
            certificate = {
                "certificate_chain": {"filename": tls.client_certificate},
                "private_key": {"filename": tls.private_key},
            }
            return _socket(tls, tls.sni or default_sni, [certificate])


def _socket(tls: ClientTls, server_name: str, certificates: list[Json]) -> Json:
    common = given(tls_certificates=certificates, validation_context=_validation(tls))
    return extension(
        "envoy.transport_sockets.tls",
        "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        common_tls_context=common,
        **given(sni=server_name),
    )


def _validation(tls: ClientTls) -> Json:
    if tls.insecure_skip_verify:
        return {}
    names = [
        {"san_type": kind, "matcher": {"exact": name}} for name in tls.subject_alt_names for kind in ("DNS", "URI")
    ]
    return {
        "trusted_ca": {"filename": tls.ca_certificates},
        **given(match_typed_subject_alt_names=names, crl=given(filename=tls.ca_crl)),
    }
