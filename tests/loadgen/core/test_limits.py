import pytest

from loadgen.core.limits import NotAllowedError, check_address, check_amount
from loadgen.core.plan import Plan, Target
from tests.loadgen.core.plans import closed, steady


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_loopback_belongs_to_whoever_runs_us(address: str) -> None:
    assert check_address(address, "localhost", ()) is True


@pytest.mark.parametrize("address", ["10.1.2.3", "192.168.0.1", "fd12::1", "::ffff:10.0.0.1"])
def test_private_addresses_may_be_loaded_within_the_caps(address: str) -> None:
    assert check_address(address, "reviews", ()) is False


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "fe80::1%eth0",
        "224.0.0.1",
        "0.0.0.0",
        "::",
        "240.0.0.1",
        "fd00:ec2::254",
        "100.100.100.200",
        "::ffff:169.254.169.254",
        "168.63.129.16",
    ],
)
def test_metadata_and_other_special_addresses_are_never_loaded(address: str) -> None:
    with pytest.raises(NotAllowedError, match="never loaded"):
        check_address(address, "host", ("host",))


def test_a_public_address_has_to_be_named() -> None:
    with pytest.raises(NotAllowedError, match="--i-own-this example.com"):
        check_address("93.184.216.34", "example.com", ())
    assert check_address("93.184.216.34", "example.com", ("example.com",)) is False


@pytest.mark.parametrize(
    ("plan", "name"),
    [
        (steady(5001), "rate"),
        (steady(1, connections=1001), "connections"),
        (steady(1, 7201), "duration"),
        (steady(5000, 7200), "requests"),
        (closed(10_000_001), "requests"),
        (steady(1, targets=(Target(url="http://a/", body=b"x" * 1_048_577),)), "body"),
    ],
)
def test_a_plan_that_leaves_this_machine_is_held_to_the_caps(plan: Plan, name: str) -> None:
    with pytest.raises(NotAllowedError, match=f"^{name}: "):
        check_amount(plan)


def test_a_modest_plan_may_leave() -> None:
    check_amount(steady(5000, 60, connections=1000))
    assert closed(10_000_000).requests == 10_000_000
