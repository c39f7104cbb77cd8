"""HTTP/2 over real sockets, against h2's server side."""

import socket
from collections.abc import Callable
from typing import Any

import pytest
from h2.connection import H2Connection
from h2.errors import ErrorCodes

from loadgen.core.outcome import Outcome
from loadgen.core.plan import Plan, Reuse, Stage, Target, Tls, VersionFrom, VersionSource
from tests.loadgen import runs
from tests.loadgen.http2_server import Http2, answers
from tests.loadgen.runs import Run
from tests.loadgen.servers import CERTIFICATE, Server, received, resets, says, swallows


def plan_of(url: str, **fields: Any) -> Plan:
    defaults: dict[str, Any] = {
        "targets": (Target(url=url),),
        "stages": (Stage(from_per_s=200, to_per_s=200, duration_s=5),),
        "requests": 20,
        "connections": 2,
        "http2": True,
        "streams": 4,
        "timeout_s": 2.0,
        "breaker": False,
    }
    return Plan(**{**defaults, **fields})


def ran(
    talk: Callable[[socket.socket], None], *, over_tls: bool = False, alpn: str = "h2", **fields: Any
) -> tuple[Run, Server]:
    with Server(talk, tls=over_tls, alpn=alpn) as server:
        return runs.run(plan_of(server.url, **fields)), server


def test_requests_share_connections_and_each_names_its_version() -> None:
    talk = Http2()
    run, server = ran(talk)
    assert run.outcomes == {Outcome.OK: 20}
    assert run.versions == {("all", "v2"): 20}
    assert server.accepted == 2
    assert sum(talk.asked) == 20
    assert run.report.closing.sockets == (1, 0, 0, 0, 1, 0, 0, 0)
    assert {fields[":path"] for fields in talk.fields} == {"/"}
    assert len({fields["traceparent"] for fields in talk.fields}) == 20
    assert run.report.bytes_received > 20 * 5


def test_a_closed_loop_keeps_every_stream_busy() -> None:
    talk = Http2()
    run, _ = ran(talk, closed=True, stages=(), requests=200, connections=1)
    assert run.outcomes == {Outcome.OK: 200}
    assert talk.asked == [200]


TRUSTING: dict[str, Any] = {"tls": Tls(ca_file=str(CERTIFICATE)), "requests": 5}


def test_it_speaks_over_tls_with_those_who_agree_and_with_nobody_else() -> None:
    run, _ = ran(Http2(), over_tls=True, **TRUSTING)
    assert run.outcomes == {Outcome.OK: 5}
    other, _ = ran(Http2(), over_tls=True, alpn="http/1.1", **TRUSTING)
    assert other.outcomes == {Outcome.PROTOCOL: 5}


def test_no_more_streams_are_open_than_the_server_allows() -> None:
    talk = Http2(streams=2)
    run, _ = ran(talk, closed=True, stages=(), requests=100, connections=1, streams=8)
    assert run.outcomes == {Outcome.OK: 100}
    assert talk.open_max <= 2


def test_bodies_larger_than_every_window_arrive_whole_both_ways() -> None:
    talk = Http2(lambda connection, stream: answers(connection, stream, b"y" * 60_000))
    with Server(talk) as server:
        target = Target(url=server.url, method="POST", body=b"x" * 3_000_000)
        run = runs.run(plan_of(server.url, targets=(target,), requests=3, connections=1, expect_body="y{1000}"))
    assert run.outcomes == {Outcome.OK: 3}
    assert talk.received == 9_000_000
    assert run.report.bytes_received > 180_000


def test_the_version_is_read_from_the_body_too() -> None:
    version = VersionFrom(source=VersionSource.BODY, key="h(el)lo")
    run, _ = ran(Http2(), version=version, requests=3)
    assert run.versions == {("all", "el"): 3}


def resets_stream(connection: H2Connection, stream: int) -> None:
    connection.reset_stream(stream, ErrorCodes.INTERNAL_ERROR)


def refuses(connection: H2Connection, stream: int) -> None:
    connection.reset_stream(stream, ErrorCodes.REFUSED_STREAM)


def floods(connection: H2Connection, stream: int) -> None:
    for _ in range(9):
        connection.send_headers(stream, [(":status", "103")])


def no_number(connection: H2Connection, stream: int) -> None:
    connection.send_headers(stream, [(":status", "abc")], end_stream=True)


def never(connection: H2Connection, stream: int) -> None:
    """Say nothing."""


def too_much(connection: H2Connection, stream: int) -> None:
    answers(connection, stream, b"x" * 2000)


def hurries(connection: H2Connection, stream: int) -> None:
    connection.send_headers(stream, [(":status", "200"), ("content-length", "9")])
    connection.send_data(stream, b"short", end_stream=True)


def first(misbehave: Callable[[H2Connection, int], None]) -> Http2:
    """Misbehave on the first request of all."""
    seen: list[int] = []

    def act(connection: H2Connection, stream: int) -> None:
        seen.append(stream)
        (misbehave if len(seen) == 1 else answers)(connection, stream)

    return Http2(act)


@pytest.mark.parametrize(
    ("misbehave", "outcome"),
    [
        (resets_stream, Outcome.RESET),
        (refuses, Outcome.EOF),
        (floods, Outcome.PROTOCOL),
        (no_number, Outcome.PROTOCOL),
        (never, Outcome.TIMEOUT),
        (too_much, Outcome.TOO_LARGE),
        (hurries, Outcome.PROTOCOL),
    ],
)
def test_a_bad_stream_is_one_sample_and_harms_nothing_else(misbehave: Any, outcome: Outcome) -> None:
    run, _ = ran(first(misbehave), requests=6, connections=1, streams=1, timeout_s=0.8, response_bytes_max=1000)
    assert run.outcomes == {outcome: 1, Outcome.OK: 5}


def hears_and_resets(connection: socket.socket) -> None:
    received(connection)
    resets(connection)


@pytest.mark.parametrize(
    ("talk", "outcome"),
    [
        (says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), Outcome.PROTOCOL),
        (hears_and_resets, Outcome.RESET),
        (received, Outcome.EOF),
        (swallows, Outcome.TIMEOUT),
    ],
)
def test_who_does_not_speak_it_is_named_for_every_request(talk: Any, outcome: Outcome) -> None:
    run, _ = ran(talk, requests=1, connections=1, timeout_s=0.25)
    assert run.outcomes == {outcome: 1}


def test_nobody_there_is_one_sample_for_each_request() -> None:
    with Server(swallows) as server:
        url = server.url
    run = runs.run(plan_of(url, requests=3))
    assert run.outcomes == {Outcome.CONNECT: 3}


def retiring(every: int) -> Http2:
    """Retire a connection after so many requests: what has begun is still answered."""

    def act(connection: H2Connection, stream: int) -> None:
        answers(connection, stream)
        if stream == 2 * every - 1:
            goaway = b"\0\0\x08\x07\0" + b"\0" * 4 + stream.to_bytes(4, "big") + b"\0" * 4
            connection._data_to_send += goaway  # h2 itself would refuse to go on

    return Http2(act)


def test_a_retired_connection_ends_what_it_has_begun_and_another_one_goes_on() -> None:
    talk = retiring(5)
    run, server = ran(talk, requests=20, connections=1, streams=1)
    assert run.outcomes == {Outcome.OK: 20}
    assert talk.asked == [5, 5, 5, 5]
    assert run.report.closing.sockets[0] >= 4
    assert server.accepted == run.report.closing.sockets[0]


def test_what_a_server_has_not_begun_with_is_sent_again_only_when_asked_and_counted() -> None:
    once_more, _ = ran(first(refuses), requests=6, connections=1, streams=1, retry_stale=True)
    assert once_more.outcomes == {Outcome.OK: 6}
    assert once_more.report.retried == 1


def test_a_connection_lives_as_many_requests_as_the_plan_says() -> None:
    talk = Http2()
    run, _ = ran(talk, requests=20, connections=1, streams=2, reuse=Reuse(requests_min=5, requests_max=5))
    assert run.outcomes == {Outcome.OK: 20}
    assert talk.asked == [5, 5, 5, 5]


def test_what_is_in_flight_when_the_run_is_stopped_lasted_at_least_until_then() -> None:
    with Server(Http2(never)) as server:
        run = runs.run(plan_of(server.url, requests=4), during=lambda engine, _: engine.stop())
    assert run.outcomes[Outcome.UNFINISHED] >= 1
    assert set(run.outcomes) <= {Outcome.UNFINISHED, Outcome.DROPPED}
