"""The fast path over real sockets: every request one sample, every misbehaviour named, the next request unharmed."""

import gzip
from typing import Any

import pytest

from loadgen.core.histogram import bucket_of
from loadgen.core.outcome import Outcome
from loadgen.core.plan import Reuse, Target, VersionFrom, VersionSource
from loadgen.core.snapshot import Assignment
from loadgen.transport.clock import now_ns
from loadgen.worker import build
from tests.loadgen.core.plans import TWO_ARMS, closed, steady
from tests.loadgen.runs import run
from tests.loadgen.servers import OK, Answers, Server, drips, once, pours, read_request, resets, says

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"
TIMEOUT_S = 0.25

MISBEHAVIOURS = {
    "closes before the head": (says(b"", then_close=True), Outcome.EOF),
    "resets before the head": (resets, Outcome.RESET),
    "resets within the body": (lambda sock: resets(sock, HEAD + b"content-length: 50\r\n\r\nabc"), Outcome.RESET),
    "closes within the head": (says(HEAD, then_close=True), Outcome.EOF),
    "closes within the body": (says(HEAD + b"content-length: 50\r\n\r\nabc", then_close=True), Outcome.EOF),
    "closes within the chunks": (says(CHUNKED + b"5\r\nhello\r\n", then_close=True), Outcome.EOF),
    "says nothing": (says(b""), Outcome.TIMEOUT),
    "stops within the body": (says(HEAD + b"content-length: 50\r\n\r\nabc"), Outcome.TIMEOUT),
    "drips its head": (drips(HEAD + b"x: " + b"y" * 500), Outcome.TIMEOUT),
    "drips its body": (drips(b"c" * 500), Outcome.PROTOCOL),
    "is no HTTP": (says(b"banana\r\n\r\n"), Outcome.PROTOCOL),
    "speaks another version": (says(b"HTTP/3.14 200 OK\r\n\r\n"), Outcome.PROTOCOL),
    "has a status that is none": (says(b"HTTP/1.1 999 x\r\n\r\n"), Outcome.PROTOCOL),
    "sends a line without end": (pours(HEAD + b"x: "), Outcome.PROTOCOL),
    "sends too many headers": (says(HEAD + b"a: b\r\n" * 10_000 + b"\r\n"), Outcome.PROTOCOL),
    "folds a header": (says(HEAD + b"a: b\r\n c\r\n\r\n"), Outcome.PROTOCOL),
    "names two lengths": (says(HEAD + b"content-length: 1\r\ncontent-length: 2\r\n\r\nxx"), Outcome.PROTOCOL),
    "has a length and chunks": (says(CHUNKED[:-2] + b"content-length: 2\r\n\r\n0\r\n\r\n"), Outcome.PROTOCOL),
    "has a chunk size that is none": (says(CHUNKED + b"FFFFFFFFFFFFFFFFF\r\n"), Outcome.PROTOCOL),
    "says more than it announced": (says(OK + b"and more"), Outcome.PROTOCOL),
    "answers twice": (says(OK + OK), Outcome.PROTOCOL),
    "hints without end": (pours(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"), Outcome.PROTOCOL),
    "announces ten gigabytes": (says(HEAD + b"content-length: 10000000000\r\n\r\n"), Outcome.TOO_LARGE),
    "pours a body without end": (pours(HEAD + b"\r\n"), Outcome.TOO_LARGE),
    "pours chunks without end": (pours(CHUNKED, b"4000\r\n" + b"x" * 0x4000 + b"\r\n"), Outcome.TOO_LARGE),
    "announces a huge chunk": (says(CHUNKED + b"fffffffff\r\n"), Outcome.TOO_LARGE),
}


@pytest.mark.parametrize("name", MISBEHAVIOURS)
def test_a_misbehaviour_is_one_sample_with_its_name_and_harms_nothing_else(name: str) -> None:
    misbehave, outcome = MISBEHAVIOURS[name]
    with Server(once(misbehave)) as server:
        plan = closed(
            5,
            url=server.url,
            connections=1,
            timeout_s=TIMEOUT_S,
            breaker=False,
            response_bytes_max=1 << 20,
            ok_status=((200, 299),),
        )
        found = run(plan)
    assert found.outcomes == {outcome: 1, Outcome.OK: 4}
    worst_s = found.report.response().max_s()
    assert worst_s is not None
    assert worst_s < 2 * TIMEOUT_S + 0.5
    if outcome is Outcome.TIMEOUT:
        assert worst_s >= TIMEOUT_S


@pytest.mark.parametrize(
    ("head", "outcome"),
    [
        (b"HTTP/1.1 500 No\r\n", Outcome.HTTP_5XX),
        (b"HTTP/1.1 503 No\r\nserver: envoy\r\n", Outcome.PROXY_5XX),
        (b"HTTP/1.1 503 No\r\nserver: envoy\r\nx-envoy-upstream-service-time: 3\r\n", Outcome.HTTP_5XX),
        (b"HTTP/1.1 404 No\r\n", Outcome.HTTP_4XX),
        (b"HTTP/1.1 302 Go\r\nlocation: /\r\n", Outcome.HTTP_3XX),
    ],
)
@pytest.mark.parametrize("length", [0, 30_000])
def test_a_bad_status_is_a_failure_and_keeps_the_connection(head: bytes, outcome: Outcome, length: int) -> None:
    bad = head + b"content-length: %d\r\n\r\n" % length + b"x" * length
    with Server(Answers(OK, bad, bad, OK)) as server:
        found = run(closed(5, url=server.url, connections=1, ok_status=((200, 299),)))
    assert found.outcomes == {outcome: 2, Outcome.OK: 3}
    assert server.accepted == 1
    assert [failed for snapshot in found.snapshots for _, failed in snapshot.recent.get("all", [])].count(True) == 2


def test_nobody_there_is_one_sample_too() -> None:
    with Server(Answers()) as server:
        url = server.url
    assert run(closed(3, url=url)).outcomes == {Outcome.CONNECT: 3}
    gone = closed(3, url="http://x/", breaker=False, targets=(Target(url="http://x/", connect="unix:/nowhere.sock"),))
    found = run(gone)
    assert found.outcomes == {Outcome.CONNECT: 3}
    assert found.report.duration_s < 1  # the kernel says so at once, and so do we


@pytest.mark.parametrize(
    ("response", "repeats"),
    [
        (OK, True),
        (HEAD + b"content-length: 200000\r\n\r\n" + b"x" * 200_000, True),
        (HEAD + b"content-length: 16384\r\n\r\n" + b"x" * 16_384, True),
        (HEAD + b"content-length: 0\r\n\r\n", True),
        (CHUNKED + b"5\r\nhello\r\n0\r\n\r\n", True),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", True),
        (HEAD + b"connection: close\r\ncontent-length: 5\r\n\r\nhello", False),
    ],
    ids=["short", "long", "a read long", "empty", "chunked", "informational", "no content", "closing"],
)
def test_counts_and_bytes_are_exactly_the_servers_own(response: bytes, repeats: bool) -> None:
    answers = Answers(response)
    with Server(answers) as server:
        found = run(closed(50, url=server.url, connections=2))
    assert found.outcomes == {Outcome.OK: 50}
    assert len(answers.asked) == 50
    assert found.report.bytes_received == 50 * len(response)
    assert (server.accepted == 2) is repeats


def test_heads_that_change_every_time_are_read_every_time() -> None:
    responses = [
        HEAD + b"x-rollout-version: v%d\r\nx-id: %d\r\ncontent-length: %d\r\n\r\n" % (n % 3, n, n % 7) + b"x" * (n % 7)
        for n in range(60)
    ]
    with Server(Answers(*responses)) as server:
        found = run(closed(60, url=server.url, connections=1))
    assert found.outcomes == {Outcome.OK: 60}
    assert found.versions == {("all", f"v{n}"): 20 for n in range(3)}
    assert found.report.bytes_received == sum(map(len, responses))


def test_a_piece_that_looks_like_a_whole_response_is_none() -> None:
    """The fast path may only take a read for a response when a response can begin there."""
    small = HEAD + b"content-length: 5\r\n\r\nhello"

    def talk(connection: Any) -> None:
        read_request(connection)
        connection.sendall(small)
        read_request(connection)
        connection.sendall(CHUNKED + b"%x\r\n" % len(small))
        pause.wait(0.1)
        connection.sendall(small)
        pause.wait(0.1)
        connection.sendall(b"\r\n0\r\n\r\n")
        read_request(connection)
        connection.sendall(small)
        read_request(connection)

    import threading

    pause = threading.Event()
    with Server(talk) as server:
        found = run(closed(3, url=server.url, connections=1))
    assert found.outcomes == {Outcome.OK: 3}
    assert found.report.bytes_received == 3 * len(small) + len(CHUNKED) + 4 + 7
    slowest_s = found.report.response().max_s()
    assert slowest_s is not None
    assert slowest_s >= 0.2


def test_the_hot_path_writes_what_the_ledger_would() -> None:
    """`readable` is written out by hand: its buckets are `bucket_of`'s, for response and service time."""
    with Server(Answers()) as server:
        plan = steady(url=server.url, connections=1, trace=False)
        engine = build(Assignment(plan=plan))
        engine.warm_up()
        (channel,) = engine.channels
        row = engine.ledger.row(0, 0)
        for age_ns in (0, 1, 1023, 5_000_000, 3_000_000_000):
            sent = now_ns()
            due = sent - age_ns
            channel.fire(due, sent, row, engine.transport.request(0, 0, 0))
            engine.poller.wake_at(sent + 1_000_000_000)
            at = 0
            while not at:
                for fd, _ in engine.poller.poll():
                    at = at or (engine.desk.by_fd[fd].readable() if fd in engine.desk.by_fd else 0)
            (stratum,) = engine.ledger.take()
            assert [cell.latency for cell in stratum.cells] == [[(bucket_of(at - due), 1)]]
            (service,) = engine.ledger.services() or (None,)
            assert service is None or (bucket_of(at - sent), 1) in service.latency or age_ns == 0
            assert engine.ledger.take_recent() == {"all": [((at - due) // 1000, False)]}
        engine.finish()
        engine.poller.close()


def test_arms_are_told_apart_by_their_headers_and_counted_by_the_version_that_answers() -> None:
    answers = Answers()

    def talk(connection: Any) -> None:
        while True:
            request = read_request(connection)
            answers.asked.append(request)
            version = b"v3" if b"x-rollout-version: v3\r\n" in request else b"v1"
            connection.sendall(HEAD + b"x-rollout-version: %s\r\ncontent-length: 0\r\n\r\n" % version)

    with Server(talk) as server:
        target = Target(url="http://reviews:9080/reviews/0", connect=f"127.0.0.1:{server.port}")
        found = run(steady(400, 0.5, targets=(target,), arms=TWO_ARMS))
    assert found.versions == {("stable", "v1"): 150, ("canary", "v3"): 50}
    assert all(b"GET /reviews/0 HTTP/1.1\r\nHost: reviews:9080\r\n" in request for request in answers.asked)


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        (VersionFrom(source=VersionSource.NONE), {""}),
        (VersionFrom(source=VersionSource.HEADER), {"v1"}),
        (VersionFrom(source=VersionSource.COOKIE, key="ver"), {"v7"}),
        (VersionFrom(source=VersionSource.BODY, key=r"reviews-(v\d)"), {"v5"}),
        (VersionFrom(source=VersionSource.BODY, key=r"reviews-v\d"), {"reviews-v5"}),
        (VersionFrom(source=VersionSource.BODY, key="nothing"), {""}),
        (VersionFrom(source=VersionSource.TARGET), {"a", "b"}),
    ],
    ids=lambda value: f"{value.source}:{value.key}" if isinstance(value, VersionFrom) else "",
)
def test_the_version_is_read_where_the_plan_says(version: VersionFrom, expected: set[str]) -> None:
    response = HEAD + b"x-rollout-version: v1\r\nset-cookie: ver=v7\r\ncontent-length: 14\r\n\r\npod reviews-v5"
    with Server(Answers(response)) as server:
        targets = tuple(Target(url=server.url, name=name) for name in ("a", "b"))
        found = run(closed(10, targets=targets, version=version))
    assert {version for _, version in found.versions} == expected
    assert sum(found.versions.values()) == 10


@pytest.mark.parametrize(
    ("fields", "outcome"),
    [
        ({"expect_body": "hel+o"}, Outcome.OK),
        ({"expect_body": "goodbye"}, Outcome.BODY),
        ({"reject_body": "unavailable"}, Outcome.OK),
        ({"reject_body": "hello"}, Outcome.BODY),
    ],
)
def test_a_page_that_is_200_and_says_it_is_broken_is_broken(fields: dict[str, Any], outcome: Outcome) -> None:
    with Server(Answers()) as server:
        assert run(closed(5, url=server.url, **fields)).outcomes == {outcome: 5}


def test_the_answer_to_head_has_no_body() -> None:
    with Server(Answers(HEAD + b"content-length: 5000\r\n\r\n")) as server:
        found = run(closed(10, targets=(Target(url=server.url, method="HEAD"),), connections=1))
    assert found.outcomes == {Outcome.OK: 10}
    assert server.accepted == 1


def test_bodies_are_counted_as_they_travel_and_never_decompressed() -> None:
    bomb = gzip.compress(b"\0" * 10_000_000)
    response = HEAD + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(bomb) + bomb
    with Server(Answers(response)) as server:
        found = run(closed(3, url=server.url, response_bytes_max=1 << 20))
    assert found.outcomes == {Outcome.OK: 3}
    assert found.report.bytes_received == 3 * len(response)


# ---- connections


def goodbye(connection: Any) -> None:
    """Answer once and close without having said so."""
    read_request(connection)
    connection.sendall(OK)


def test_a_kept_connection_that_turns_out_dead_is_an_error_unless_a_retry_is_asked_for_and_counted() -> None:
    with Server(goodbye) as server:
        noticed = run(steady(4, 0.6, url=server.url, connections=1))
        closed_loop = run(closed(5, url=server.url, connections=1))
        retried = run(closed(5, url=server.url, connections=1, retry_stale=True))
    assert noticed.outcomes == {Outcome.OK: 3}
    assert set(closed_loop.outcomes) <= {Outcome.OK, Outcome.EOF, Outcome.RESET}
    assert closed_loop.outcomes[Outcome.OK] < 5
    assert closed_loop.report.retried == 0
    assert retried.outcomes == {Outcome.OK: 5}
    assert retried.report.retried == 4


def test_a_connection_lives_as_many_requests_as_the_plan_says() -> None:
    answers = Answers()
    with Server(answers) as server:
        found = run(closed(12, url=server.url, connections=1, reuse=Reuse(requests_min=3, requests_max=3)))
    assert found.outcomes == {Outcome.OK: 12}
    assert answers.calls == [3, 3, 3, 3]
    assert found.report.closing.sockets == (4,)
    assert found.report.closing.addresses == {f"127.0.0.1:{server.port}": 4}


def test_a_connection_lives_as_long_as_the_plan_says() -> None:
    with Server(Answers()) as server:
        found = run(steady(100, 0.4, url=server.url, connections=1, reuse=Reuse(age_max_s=0.1)))
    assert found.outcomes == {Outcome.OK: 40}
    assert 3 <= server.accepted <= 5


def test_a_request_larger_than_the_sockets_buffer_is_written_in_pieces() -> None:
    answers = Answers()
    body = b"z" * 5_000_000
    with Server(answers) as server:
        found = run(closed(3, targets=(Target(url=server.url, method="POST", body=body),), connections=1))
    assert found.outcomes == {Outcome.OK: 3}
    assert [request.partition(b"\r\n\r\n")[2] == body for request in answers.asked] == [True] * 3
    assert server.accepted == 1


def test_an_answer_before_the_question_was_asked_ends_the_connection() -> None:
    """What is left of a request must not reach a server as the beginning of the next one."""

    def hasty(connection: Any) -> None:
        connection.recv(100)
        connection.sendall(OK)
        pause.wait(1)

    import threading

    pause = threading.Event()
    target = Target(url="http://x/", method="POST", body=b"z" * 20_000_000)
    with Server(hasty) as server:
        targets = (Target(url=server.url, method=target.method, body=target.body),)
        found = run(closed(2, targets=targets, connections=1, timeout_s=2.0))
        pause.set()
    assert found.outcomes == {Outcome.OK: 2}
    assert server.accepted == 2
