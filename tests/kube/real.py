"""A real kube-apiserver and etcd by the envtest convention: KUBEBUILDER_ASSETS names the directory of the binaries.

Nothing here builds or downloads one; `setup-envtest use -p path` is how a user gets the assets.
"""

import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.kube.certificates import Certificates, make_signing_key

ADMIN_TOKEN = "admin-token"
TOKENS = f'{ADMIN_TOKEN},admin,1,"system:masters"\n'


@dataclass(frozen=True)
class RealKube:
    """Where it listens."""

    base: str


def why_not() -> str:
    """Why there is no real API server to test with; "" when there is."""
    assets = os.environ.get("KUBEBUILDER_ASSETS", "")
    if not assets and not os.environ.get("TEST_ASSET_KUBE_APISERVER"):
        return "KUBEBUILDER_ASSETS is not set (see CONTRIBUTING.md: setup-envtest)"
    missing = [name for name in ("kube-apiserver", "etcd") if not _binary(name)]
    return f"KUBEBUILDER_ASSETS={assets} has no {' and no '.join(missing)}" if missing else ""


def _binary(name: str) -> str | None:
    """TEST_ASSET_* first, then the assets, then (etcd only) whatever is installed: Debian packages one."""
    named = os.environ.get("TEST_ASSET_" + name.upper().replace("-", "_"))
    if named:
        return named
    path = Path(os.environ.get("KUBEBUILDER_ASSETS", "")) / name
    if path.is_file():
        return str(path)
    return shutil.which(name) if name == "etcd" else None


@contextmanager
def real_kube(certificates: Certificates, directory: Path) -> Iterator[RealKube]:
    """Start etcd and the API server, and stop both."""
    limit_s = float(os.environ.get("KUBEBUILDER_CONTROLPLANE_START_TIMEOUT", "60").rstrip("s"))
    client, peer, port = _free_port(), _free_port(), _free_port()
    private, public = make_signing_key(directory)
    (directory / "tokens.csv").write_text(TOKENS)
    etcd, apiserver = _binary("etcd"), _binary("kube-apiserver")
    assert etcd is not None
    assert apiserver is not None
    with ExitStack() as stack:
        url = f"http://127.0.0.1:{client}"
        own = f"http://127.0.0.1:{peer}"
        child = stack.enter_context(
            _running(
                directory / "etcd.log",
                etcd,
                f"--data-dir={directory / 'etcd'}",
                f"--listen-client-urls={url}",
                f"--advertise-client-urls={url}",
                f"--listen-peer-urls={own}",
                f"--initial-advertise-peer-urls={own}",
                f"--initial-cluster=default={own}",
            )
        )
        _wait_ready(f"{url}/health", child, limit_s)
        base = f"https://127.0.0.1:{port}"
        child = stack.enter_context(
            _running(
                directory / "kube-apiserver.log",
                apiserver,
                f"--etcd-servers={url}",
                "--bind-address=127.0.0.1",
                "--advertise-address=127.0.0.1",
                f"--secure-port={port}",
                f"--cert-dir={directory}",
                f"--tls-cert-file={certificates.server}",
                f"--tls-private-key-file={certificates.server_key}",
                f"--client-ca-file={certificates.ca}",
                f"--token-auth-file={directory / 'tokens.csv'}",
                "--authorization-mode=RBAC",
                "--service-cluster-ip-range=10.0.0.0/24",
                "--disable-admission-plugins=ServiceAccount",
                f"--service-account-issuer={base}/",
                f"--service-account-key-file={public}",
                f"--service-account-signing-key-file={private}",
            )
        )
        _wait_ready(f"{base}/readyz", child, limit_s, certificates.ca)
        yield RealKube(base)


@contextmanager
def _running(log: Path, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        child = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            yield child
        finally:
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def _wait_ready(url: str, child: subprocess.Popen[bytes], limit_s: float, ca: Path | None = None) -> None:
    context = ssl.create_default_context(cafile=ca) if ca else None
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {ADMIN_TOKEN}"})
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        if child.poll() is not None:
            raise RuntimeError(f"{child.args!r} ended with {child.returncode}")
        try:
            with urllib.request.urlopen(request, timeout=2, context=context) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(f"{url} is not ready after {limit_s:g} s")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
