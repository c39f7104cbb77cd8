"""A certificate authority and a server certificate for 127.0.0.1, by the openssl command."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True, slots=True)
class Certificates:
    """Where the files are."""

    directory: Path

    @property
    def ca(self) -> Path:
        return self.directory / "ca.crt"

    @property
    def server(self) -> Path:
        return self.directory / "server.crt"

    @property
    def server_key(self) -> Path:
        return self.directory / "server.key"


def make_certificates(directory: Path) -> Certificates:
    """Python verifies strictly from 3.13 on: the CA says what it is for, the leaf says who signed it."""
    made = Certificates(directory)
    request, extensions = directory / "server.csr", directory / "server.ext"
    extensions.write_text(
        "subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth\n"
        "authorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n"
    )
    authority = ("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    ca_key = directory / "ca.key"
    _openssl(
        "req", "-x509", *_KEY, "-days", "3", "-keyout", ca_key, "-out", made.ca, "-subj", "/CN=test-ca", *authority
    )
    _openssl("req", *_KEY, "-keyout", made.server_key, "-out", request, "-subj", "/CN=kube-apiserver")
    signed_by = ("-CA", made.ca, "-CAkey", ca_key, "-CAcreateserial", "-days", "3", "-extfile", extensions)
    _openssl("x509", "-req", "-in", request, "-out", made.server, *signed_by)
    return made


def make_signing_key(directory: Path) -> tuple[Path, Path]:
    """A key pair for ServiceAccount tokens: private, public."""
    private, public = directory / "sa.key", directory / "sa.pub"
    _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", private)
    _openssl("ec", "-in", private, "-pubout", "-out", public)
    return private, public


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
