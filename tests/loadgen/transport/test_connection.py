import errno
import socket
import ssl
import threading
from typing import Any

import pytest

from loadgen.core.outcome import Outcome
from loadgen.core.plan import Target, Tls
from loadgen.transport.connection import Phase, outcome_of_error, outcome_of_timeout
from tests.loadgen.core.plans import closed, steady
from tests.loadgen.runs import run
from tests.loadgen.servers import CERTIFICATE, OK, Answers, Server, read_request


@pytest.mark.parametrize(
    ("error", "phase", "outcome"),
    [
        (OSError(errno.ECONNREFUSED, ""), Phase.CONNECTING, Outcome.CONNECT),
        (OSError(errno.EHOSTUNREACH, ""), Phase.CONNECTING, Outcome.CONNECT),
        (OSError(errno.ECONNRESET, ""), Phase.CONNECTING, Outcome.CONNECT),
        (OSError(errno.ECONNRESET, ""), Phase.SHAKING, Outcome.TLS),
        (OSError(errno.ECONNRESET, ""), Phase.OPEN, Outcome.RESET),
        (OSError(errno.EPIPE, ""), Phase.OPEN, Outcome.RESET),
        (OSError(errno.EHOSTUNREACH, ""), Phase.OPEN, Outcome.CONNECT),
        (OSError(errno.EMFILE, ""), Phase.CONNECTING, Outcome.CLIENT),
        (OSError(errno.EADDRNOTAVAIL, ""), Phase.CONNECTING, Outcome.CLIENT),
        (ssl.SSLError(1, "bad certificate"), Phase.SHAKING, Outcome.TLS),
        (ssl.SSLError(1, "bad record"), Phase.OPEN, Outcome.RESET),
    ],
)
def test_an_error_is_ours_or_the_networks_or_the_other_sides(error: OSError, phase: Phase, outcome: Outcome) -> None:
    assert outcome_of_error(error, phase) is outcome


def test_a_wait_that_was_too_long_is_named_after_what_was_waited_for() -> None:
    assert [outcome_of_timeout(phase) for phase in Phase] == [
        Outcome.TIMEOUT,
        Outcome.CONNECT,
        Outcome.TLS,
        Outcome.TIMEOUT,
    ]


def test_a_connection_that_hangs_is_given_up_after_the_timeout_and_aged_by_it() -> None:
    """A full backlog: the kernel drops our SYN and says nothing."""
    with socket.socket() as listener, socket.socket() as one, socket.socket() as two:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for filler in (one, two):
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        found = run(steady(50, 0.3, url=url, warm_connections=0, timeout_s=0.2))
    assert found.outcomes == {Outcome.CONNECT: 15}
    least_s = found.report.response().min_s()
    assert least_s is not None
    assert least_s >= 0.199


# ---- TLS


def https(server: Server, **tls: Any) -> Any:
    return {"url": server.url, "tls": Tls(**tls), "connections": 2}


def test_over_tls_a_certificate_is_verified() -> None:
    with Server(Answers(), tls=True) as server:
        trusting = run(closed(10, **https(server, ca_file=str(CERTIFICATE))))
        suspicious = run(closed(3, **https(server)))
        careless = run(closed(3, **https(server, verify=False)))
        elsewhere = run(closed(3, **https(server, ca_file=str(CERTIFICATE), server_name="other"), breaker=False))
    assert trusting.outcomes == {Outcome.OK: 10}
    assert suspicious.outcomes == {Outcome.TLS: 3}
    assert careless.outcomes == {Outcome.OK: 3}
    assert elsewhere.outcomes == {Outcome.TLS: 3}


def test_large_bodies_travel_both_ways_over_tls() -> None:
    large = b"HTTP/1.1 200 OK\r\ncontent-length: 300000\r\n\r\n" + b"x" * 300_000
    answers = Answers(large)
    with Server(answers, tls=True) as server:
        target = Target(url=server.url, method="POST", body=b"z" * 2_000_000)
        found = run(closed(4, targets=(target,), tls=Tls(verify=False), connections=1))
    assert found.outcomes == {Outcome.OK: 4}
    assert found.report.bytes_received == 4 * len(large)
    assert {len(request) for request in answers.asked} == {len(answers.asked[0])}
    assert server.accepted == 1


def test_more_than_was_asked_for_over_tls_does_not_reach_the_next_request() -> None:
    """The rest waits in the TLS layer, where no poller sees it."""

    def talk(connection: Any) -> None:
        while True:
            read_request(connection)
            connection.sendall(OK + b"HTTP/1.1 500 Injected\r\ncontent-length: 0\r\n\r\n")

    with Server(talk, tls=True) as server:
        found = run(closed(4, **https(server, verify=False)))
    assert found.outcomes == {Outcome.PROTOCOL: 4}


def test_a_handshake_that_stalls_is_one_sample() -> None:
    released = threading.Event()

    def stall(connection: Any) -> None:
        released.wait(2)

    with Server(stall) as server:
        url = server.url.replace("http:", "https:")
        found = run(steady(20, 0.2, url=url, tls=Tls(verify=False), timeout_s=0.2))
        released.set()
    assert found.outcomes == {Outcome.TLS: 4}
