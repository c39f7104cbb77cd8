import pytest

from loadgen.core.outcome import UNSENT, Fault, Outcome, fault_of, is_failure, of_status


@pytest.mark.parametrize(
    ("fault", "outcomes"),
    [
        (Fault.NOBODY, {Outcome.OK}),
        (Fault.CLIENT, {Outcome.CLIENT, Outcome.DROPPED, Outcome.WITHHELD, Outcome.UNFINISHED, Outcome.DNS}),
        (Fault.NETWORK, {Outcome.CONNECT, Outcome.RESET, Outcome.TLS}),
        (Fault.PROXY, {Outcome.PROXY_5XX}),
    ],
)
def test_every_outcome_has_one_to_blame(fault: Fault, outcomes: set[Outcome]) -> None:
    assert {outcome for outcome in Outcome if fault_of(outcome) is fault} == outcomes


def test_whatever_else_goes_wrong_is_the_services_fault() -> None:
    assert {fault_of(outcome) for outcome in Outcome} == set(Fault)
    assert fault_of(Outcome.TIMEOUT) is Fault.SERVICE


def test_what_was_never_sent_and_what_went_well_is_no_failure() -> None:
    assert {outcome for outcome in Outcome if not is_failure(outcome)} == {Outcome.OK, *UNSENT}


@pytest.mark.parametrize(
    ("status", "from_proxy", "outcome"),
    [
        (301, False, Outcome.HTTP_3XX),
        (404, False, Outcome.HTTP_4XX),
        (500, False, Outcome.HTTP_5XX),
        (503, True, Outcome.PROXY_5XX),
        (404, True, Outcome.HTTP_4XX),
    ],
)
def test_a_status_has_a_name(status: int, from_proxy: bool, outcome: Outcome) -> None:
    assert of_status(status, from_proxy=from_proxy) is outcome
