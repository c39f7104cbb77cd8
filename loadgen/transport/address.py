"""Where to connect: names become addresses, each one checked before anything is sent to it."""

import contextlib
import socket
import ssl
import threading
from dataclasses import dataclass

from loadgen.core import limits
from loadgen.core.plan import Arm, Names, Plan, Target, Tls, parts_of
from loadgen.transport.clock import now_ns

Where = tuple[int, str | tuple[str, int] | tuple[str, int, int, int]]  # address family, socket address

FAMILIES = {"any": socket.AF_UNSPEC, "ip4": socket.AF_INET, "ip6": socket.AF_INET6}


class UnreachableError(OSError):
    """A name has no address, or a file that TLS needs cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One place to connect to, before its name is resolved."""

    host: str
    port: int
    unix: str = ""
    server_name: str = ""  # empty means no TLS


def endpoint_of(plan: Plan, target: Target, arm: Arm) -> Endpoint:
    """Say where an arm's requests to a target go."""
    parts = parts_of(target.url)
    host = str(parts.hostname)
    is_tls = parts.scheme == "https"
    server_name = (plan.tls.server_name or host) if is_tls else ""
    connect = arm.connect or target.connect
    if connect.startswith("unix:"):
        return Endpoint(host="", port=0, unix=connect[5:], server_name=server_name)
    port = parts.port or (443 if is_tls else 80)
    if connect:
        place, _, digits = connect.rpartition(":")
        return Endpoint(host=place.strip("[]"), port=int(digits), server_name=server_name)
    return Endpoint(host=plan.names.resolve or host, port=port, server_name=server_name)


def resolve(endpoint: Endpoint, names: Names, allow_hosts: tuple[str, ...]) -> tuple[list[Where], bool]:
    """Give the addresses of an endpoint, every one of them allowed; and whether all are on this machine."""
    if endpoint.unix:
        return [(socket.AF_UNIX, endpoint.unix)], True
    try:
        found = socket.getaddrinfo(endpoint.host, endpoint.port, FAMILIES[names.family], socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise UnreachableError(f"{endpoint.host}: {error}") from error
    addresses: list[Where] = list(dict.fromkeys((int(family), address) for family, _, _, _, address in found))  # type: ignore[misc]
    loopback = [limits.check_address(str(where[0]), endpoint.host, allow_hosts) for _, where in addresses]
    return (addresses[:1] if names.first_only else addresses), all(loopback)


def tls_context(tls: Tls, protocol: str = "http/1.1") -> ssl.SSLContext:
    """Build the TLS side for one protocol (ALPN): verification is on unless the plan says otherwise, loudly."""
    context = ssl.create_default_context()
    try:
        if tls.ca_file:
            context = ssl.create_default_context(cafile=tls.ca_file)
        if tls.cert_file:
            context.load_cert_chain(tls.cert_file, tls.key_file or None)
    except (OSError, ssl.SSLError) as error:
        raise UnreachableError(f"tls: {tls.ca_file or tls.cert_file}: {error}") from error
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols([protocol])
    return context


class AddressBook:
    """The addresses of one endpoint, round-robin, asked for again every *refresh_s* in a thread of its own."""

    def __init__(self, endpoint: Endpoint, names: Names, allow_hosts: tuple[str, ...]) -> None:
        self._endpoint, self._names, self._allow_hosts = endpoint, names, allow_hosts
        self._addresses, self.is_local = resolve(endpoint, names, allow_hosts)
        self._turn = 0
        self._refreshed_ns = now_ns()
        self._asking: threading.Thread | None = None

    def next(self) -> Where:
        """Give the next address."""
        self._turn += 1
        return self._addresses[self._turn % len(self._addresses)]

    def refresh(self, at_ns: int) -> None:
        """Ask for the addresses again when they are old; never wait for the answer."""
        if not self._names.refresh_s or at_ns - self._refreshed_ns < self._names.refresh_s * 1e9:
            return
        self._refreshed_ns = at_ns
        if self._asking is None or not self._asking.is_alive():
            self._asking = threading.Thread(target=self._ask, name="loadgen-names", daemon=True)
            self._asking.start()

    def _ask(self) -> None:
        with contextlib.suppress(UnreachableError, limits.NotAllowedError):  # keep what we have
            self._addresses = resolve(self._endpoint, self._names, self._allow_hosts)[0]
