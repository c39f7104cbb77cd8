"""What became of one request, and whose fault that is.

Only the service's and the proxy's faults move a canary's verdict; ours (no file descriptors, no ports) and the
network's say something about the measurement. Numbers 38-44 of the bad-input catalogue each map to exactly one.
"""

from enum import StrEnum


class Outcome(StrEnum):
    """How a request ended. Every due request ends in exactly one of these."""

    OK = "ok"  # a complete response with an expected status and body
    HTTP_3XX = "http_3xx"  # an unexpected redirect (never followed)
    HTTP_4XX = "http_4xx"
    HTTP_5XX = "http_5xx"
    PROXY_5XX = "proxy_5xx"  # answered by Envoy itself: it names no upstream service time
    BODY = "body"  # the status was right, the body was not
    TIMEOUT = "timeout"  # no complete response within the timeout after the due time
    CONNECT = "connect"  # refused or unreachable
    RESET = "reset"  # the connection was torn down
    EOF = "eof"  # the connection was closed before the response was complete
    TLS = "tls"  # handshake or certificate
    PROTOCOL = "protocol"  # the bytes are not HTTP
    TOO_LARGE = "too_large"  # more bytes than we are willing to read
    DNS = "dns"  # no address that we may connect to
    CLIENT = "client"  # our own machine: no file descriptors, no ports, no memory
    UNFINISHED = "unfinished"  # still in flight when the run was stopped: lasted at least its age
    DROPPED = "dropped"  # due but never sent: the in-flight cap or the backlog's bound was reached
    WITHHELD = "withheld"  # due but never sent: the load breaker was not closed


class Fault(StrEnum):
    """Who is to blame."""

    NOBODY = "nobody"
    CLIENT = "client"
    NETWORK = "network"
    PROXY = "proxy"
    SERVICE = "service"


UNSENT = frozenset({Outcome.DROPPED, Outcome.WITHHELD})
TRANSPORT = frozenset({Outcome.CONNECT, Outcome.RESET, Outcome.EOF, Outcome.TLS, Outcome.TIMEOUT, Outcome.DNS})


def fault_of(outcome: Outcome) -> Fault:
    """Blame somebody."""
    match outcome:
        case Outcome.OK:
            return Fault.NOBODY
        case Outcome.CLIENT | Outcome.DROPPED | Outcome.WITHHELD | Outcome.UNFINISHED | Outcome.DNS:
            return Fault.CLIENT
        case Outcome.CONNECT | Outcome.RESET | Outcome.TLS:
            return Fault.NETWORK
        case Outcome.PROXY_5XX:
            return Fault.PROXY
        case (
            Outcome.HTTP_3XX
            | Outcome.HTTP_4XX
            | Outcome.HTTP_5XX
            | Outcome.BODY
            | Outcome.TIMEOUT
            | Outcome.EOF
            | Outcome.PROTOCOL
            | Outcome.TOO_LARGE
        ):
            return Fault.SERVICE


def is_failure(outcome: Outcome) -> bool:
    """A request that was sent and did not end well. One that was never sent says nothing about the service."""
    return outcome is not Outcome.OK and outcome not in UNSENT


def of_status(status: int, *, from_proxy: bool) -> Outcome:
    """Name an unexpected status."""
    if status >= 500:
        return Outcome.PROXY_5XX if from_proxy else Outcome.HTTP_5XX
    return Outcome.HTTP_4XX if status >= 400 else Outcome.HTTP_3XX
