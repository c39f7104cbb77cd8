import socket
from typing import Any

import pytest

from loadgen.core.outcome import Outcome
from loadgen.core.plan import Names, Tls
from loadgen.transport.address import AddressBook, Endpoint, tls_context
from loadgen.transport.exchange import Caller, limit
from tests.loadgen.servers import CERTIFICATE, OK, Answers, Server, Talk, once, resets, says, swallows
from tests.loadgen.transport.test_http1 import CHUNKED, HEAD

REQUEST = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"


def caller(port: int, *, unix: str = "", **fields: Any) -> Caller:
    endpoint = Endpoint(host="127.0.0.1", port=port, unix=unix)
    return Caller(
        AddressBook(endpoint, Names(), ()),
        fields.pop("server_name", ""),
        fields.pop("context", None),
        **{"timeout_s": 0.3, "size_max": 100_000, **fields},
    )


def test_a_connection_is_kept_while_it_can_be() -> None:
    with Server(Answers(OK, OK, HEAD + b"connection: close\r\ncontent-length: 0\r\n\r\n")) as server:
        who = caller(server.port)
        answers = [who.call(REQUEST) for _ in range(4)]
        assert who.connected_to == [f"127.0.0.1:{server.port}"] * 2
        who.close()
    assert [answer.closes for answer in answers] == [False, False, True, True]
    assert [answer.body for answer in answers] == [b"hello", b"hello", b"", b""]
    assert len(who.connect_ns) == server.accepted == 2
    assert not who.is_open


def test_a_body_is_unwrapped_and_the_raw_bytes_are_kept() -> None:
    response = CHUNKED + b"5\r\nhello\r\n0\r\n\r\n"
    with Server(Answers(response)) as server, caller(server.port) as who:
        answer = who.call(REQUEST)
    assert (answer.head, answer.body, answer.raw) == (CHUNKED, b"hello", response)


@pytest.mark.parametrize(
    ("talk", "outcome"),
    [
        (swallows, Outcome.TIMEOUT),
        (says(b"", then_close=True), Outcome.EOF),
        (says(HEAD + b"\r\nto the end", then_close=True), Outcome.OK),
        (resets, Outcome.RESET),
        (says(b"banana\r\n\r\n"), Outcome.PROTOCOL),
        (says(HEAD + b"content-length: 200000\r\n\r\n"), Outcome.TOO_LARGE),
    ],
)
def test_whatever_happens_has_a_name_and_ends_the_connection(talk: Talk, outcome: Outcome) -> None:
    with Server(once(talk)) as server:
        who = caller(server.port)
        answer = who.call(REQUEST)
    assert (answer.outcome, answer.closes, who.is_open) == (outcome, True, False)


def test_nobody_there_has_a_name_too() -> None:
    assert caller(1).call(REQUEST).outcome is Outcome.CONNECT


def test_it_speaks_over_unix_sockets_and_tls(tmp_path: Any) -> None:
    path = tmp_path / "s"
    with Server(Answers(), unix=path) as server:
        who = caller(0, unix=str(path))
        assert who.call(REQUEST).status == 200
        assert who.connected_to == [str(path)]
        who.close()
    with Server(Answers(), tls=True) as server:
        who = caller(server.port, server_name="localhost", context=tls_context(Tls(ca_file=str(CERTIFICATE))))
        assert who.call(REQUEST).status == 200
        who.close()
        assert caller(server.port, server_name="localhost", context=tls_context(Tls())).call(REQUEST).outcome is (
            Outcome.TLS
        )


def test_the_time_that_is_left_may_be_none() -> None:
    with socket.socket() as sock, pytest.raises(TimeoutError):
        limit(sock, 0)
