import socket
import ssl
from pathlib import Path

import pytest

from loadgen.core.limits import NotAllowedError
from loadgen.core.plan import Arm, Names, Target, Tls
from loadgen.transport.address import AddressBook, Endpoint, UnreachableError, endpoint_of, resolve, tls_context
from loadgen.transport.clock import now_ns
from tests.loadgen.core.plans import steady
from tests.loadgen.servers import CERTIFICATE

HERE = Endpoint(host="127.0.0.1", port=80)


@pytest.mark.parametrize(
    ("url", "connect", "arm", "endpoint"),
    [
        ("http://reviews/", "", "", Endpoint(host="reviews", port=80)),
        ("http://reviews:9080/", "", "", Endpoint(host="reviews", port=9080)),
        ("https://reviews/", "", "", Endpoint(host="reviews", port=443, server_name="reviews")),
        ("http://[::1]:8080/", "", "", Endpoint(host="::1", port=8080)),
        ("http://reviews/", "10.0.0.1:15001", "", Endpoint(host="10.0.0.1", port=15001)),
        ("http://reviews/", "10.0.0.1:15001", "[::1]:9", Endpoint(host="::1", port=9)),
        ("https://a/", "unix:/run/x", "", Endpoint(host="", port=0, unix="/run/x", server_name="a")),
    ],
)
def test_requests_go_where_the_arm_or_the_target_or_the_url_says(
    url: str, connect: str, arm: str, endpoint: Endpoint
) -> None:
    assert endpoint_of(steady(), Target(url=url, connect=connect), Arm(name="a", connect=arm)) == endpoint


def test_a_plan_may_say_what_every_name_means_and_whose_certificate_to_expect() -> None:
    plan = steady(names=Names(resolve="127.0.0.1"), tls=Tls(server_name="reviews.local"))
    endpoint = endpoint_of(plan, Target(url="https://reviews/"), Arm(name="a"))
    assert endpoint == Endpoint(host="127.0.0.1", port=443, server_name="reviews.local")


def test_a_name_becomes_all_its_addresses_each_once() -> None:
    where, is_local = resolve(Endpoint(host="localhost", port=80), Names(family="ip4"), ())
    assert where == [(socket.AF_INET, ("127.0.0.1", 80))]
    assert is_local


def test_only_the_first_address_may_be_asked_for() -> None:
    every, _ = resolve(Endpoint(host="localhost", port=80), Names(), ())
    assert resolve(Endpoint(host="localhost", port=80), Names(first_only=True), ())[0] == every[:1]


def test_a_private_address_is_not_local() -> None:
    assert resolve(Endpoint(host="10.0.0.1", port=80), Names(), ())[1] is False


@pytest.mark.parametrize("host", ["0x7f.1", "2130706433", "0177.0.0.1"])
def test_odd_spellings_of_loopback_are_still_loopback(host: str) -> None:
    assert resolve(Endpoint(host=host, port=80), Names(), ())[1] is True


def test_addresses_are_checked_after_resolution() -> None:
    with pytest.raises(NotAllowedError, match=r"169\.254\.169\.254"):
        resolve(Endpoint(host="2852039166", port=80), Names(), ())


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 70 + ".b", "xn--\udcff"])
def test_a_name_without_an_address_is_unreachable(host: str) -> None:
    with pytest.raises(UnreachableError, match="no-such-host|aaaa|xn--"):
        resolve(Endpoint(host=host, port=80), Names(), ())


def test_a_unix_socket_is_its_path() -> None:
    assert resolve(Endpoint(host="", port=0, unix="/run/x"), Names(), ()) == ([(socket.AF_UNIX, "/run/x")], True)


def test_connections_go_round_over_all_addresses() -> None:
    book = AddressBook(HERE, Names(), ())
    book._addresses = [(2, ("127.0.0.1", 80)), (2, ("127.0.0.2", 80))]
    assert [book.next()[1][0] for _ in range(4)] == ["127.0.0.2", "127.0.0.1", "127.0.0.2", "127.0.0.1"]


def test_names_are_asked_for_again_when_they_are_old_and_never_waited_for() -> None:
    book = AddressBook(HERE, Names(refresh_s=10), ())
    book._addresses = [(2, ("127.9.9.9", 80))]
    book.refresh(now_ns() + 9_000_000_000)
    assert book.next()[1] == ("127.9.9.9", 80)
    book.refresh(now_ns() + 11_000_000_000)
    wait_until_asked(book)
    assert book.next() == (socket.AF_INET, ("127.0.0.1", 80))


def wait_until_asked(book: AddressBook) -> None:
    assert book._asking is not None
    book._asking.join()


def test_a_name_that_has_gone_keeps_its_last_addresses() -> None:
    book = AddressBook(HERE, Names(refresh_s=1), ())
    book._endpoint = Endpoint(host="no-such-host.invalid", port=80)
    book.refresh(now_ns() + 2_000_000_000)
    wait_until_asked(book)
    assert book.next() == (socket.AF_INET, ("127.0.0.1", 80))


def test_certificates_are_verified_unless_the_plan_says_otherwise() -> None:
    assert tls_context(Tls()).verify_mode is ssl.CERT_REQUIRED
    assert tls_context(Tls(verify=False)).verify_mode is ssl.CERT_NONE


def test_a_file_that_tls_needs_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match="gone.pem"):
        tls_context(Tls(ca_file=str(tmp_path / "gone.pem")))
    with pytest.raises(UnreachableError, match=r"^tls: "):
        tls_context(Tls(cert_file=str(CERTIFICATE), key_file=str(tmp_path / "gone.pem")))
    assert tls_context(Tls(cert_file=str(CERTIFICATE))).check_hostname
