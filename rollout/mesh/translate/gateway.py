"""The nouns of a Gateway."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from rollout.mesh.schema import Port


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerPort:
    """A port the gateway serves."""

    number: Port
    protocol: str
    name: str
    target_port: Port | None = None


class ServerTlsMode(StrEnum):
    """What the gateway does with TLS."""

    PASSTHROUGH = "PASSTHROUGH"
    SIMPLE = "SIMPLE"
    MUTUAL = "MUTUAL"
    AUTO_PASSTHROUGH = "AUTO_PASSTHROUGH"
    ISTIO_MUTUAL = "ISTIO_MUTUAL"
    OPTIONAL_MUTUAL = "OPTIONAL_MUTUAL"


class TlsVersion(StrEnum):
    """A version of TLS."""

    TLS_AUTO = "TLS_AUTO"
    TLSV1_0 = "TLSV1_0"
    TLSV1_1 = "TLSV1_1"
    TLSV1_2 = "TLSV1_2"
    TLSV1_3 = "TLSV1_3"


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificatePair:
    """One certificate of several."""

    server_certificate: str = ""
    private_key: str = ""
    ca_certificates: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTls:
    """TLS towards clients."""

    https_redirect: bool = False
    mode: ServerTlsMode = ServerTlsMode.PASSTHROUGH
    server_certificate: str = ""
    private_key: str = ""
    ca_certificates: str = ""
    ca_crl: str = ""
    credential_name: str = ""
    credential_names: tuple[str, ...] = ()
    ca_cert_credential_name: str = ""
    tls_certificates: tuple[CertificatePair, ...] = ()
    subject_alt_names: tuple[str, ...] = ()
    verify_certificate_spki: tuple[str, ...] = ()
    verify_certificate_hash: tuple[str, ...] = ()
    min_protocol_version: TlsVersion = TlsVersion.TLS_AUTO
    max_protocol_version: TlsVersion = TlsVersion.TLS_AUTO
    cipher_suites: tuple[str, ...] = ()
    insecure_skip_verify: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One listener of a gateway and the hosts it answers for."""

    port: ServerPort
    hosts: tuple[str, ...]
    name: str = ""
    bind: str = ""
    tls: ServerTls | None = None
    default_endpoint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """What enters the mesh at its edge."""

    servers: tuple[Server, ...] = ()
    selector: Mapping[str, str] = field(default_factory=dict)
