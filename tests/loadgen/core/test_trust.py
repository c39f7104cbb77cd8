"""Whether to believe a measurement, and whose fault an outcome is."""

import pytest

from loadgen.core.outcome import UNSENT, Fault, Outcome, fault_of, is_failure, of_status
from loadgen.core.trust import Measures, Trust, TrustKeeper, TrustLevel, combined, judge_window, worst

OK, DEGRADED, INVALID = TrustLevel.OK, TrustLevel.DEGRADED, TrustLevel.INVALID


def seen(**changes: float) -> Measures:
    return Measures(**{"window_s": 0.1, "lag_s_max": 0.001, "cpu_share": 0.3, "sent": 100} | changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "level", "reason"),
    [
        ({}, OK, ""),
        ({"lag_s_max": 0.03}, DEGRADED, "more than 20 ms"),
        ({"lag_s_max": 0.2}, INVALID, "more than 100 ms"),
        ({"cpu_share": 0.95}, DEGRADED, "90 % of its core"),
        ({"throttled": 1}, DEGRADED, "CPU quota"),
        ({"dropped": 1}, DEGRADED, "in-flight cap"),
        ({"client_errors": 2}, INVALID, "file descriptors"),
        ({"client_errors": 1}, OK, ""),
    ],
)
def test_a_window_is_judged_by_what_the_generator_saw_of_itself(
    changes: dict[str, float], level: TrustLevel, reason: str
) -> None:
    trust = judge_window(seen(**changes))

    assert trust.level is level
    assert reason in "; ".join(trust.reasons)
    assert bool(trust.reasons) is bool(reason)


@pytest.mark.parametrize(
    ("bad_windows", "sent", "due", "level"),
    [(0, 1000, 1000, OK), (1, 1000, 1000, DEGRADED), (10, 1000, 1000, INVALID), (0, 980, 1000, DEGRADED),
     (0, 700, 1000, INVALID), (0, 0, 0, OK)],
)  # fmt: skip
def test_a_run_is_as_good_as_its_worst_part_and_its_rate(
    bad_windows: int, sent: int, due: int, level: TrustLevel
) -> None:
    keeper = TrustKeeper()
    for number in range(100):
        keeper.add(seen(lag_s_max=0.5) if number < bad_windows else seen())

    whole = keeper.whole(sent=sent, due=due)

    assert whole.level is level
    assert bool(whole.reasons) is (level is not OK)


def test_several_workers_are_as_good_as_the_worst_and_each_reason_is_told_once() -> None:
    slow = Trust(level=DEGRADED, reasons=("late",))

    assert combined((Trust(), slow, slow)) == slow
    assert worst((OK, INVALID, DEGRADED)) is INVALID
    assert worst(()) is OK


def test_every_outcome_is_somebodys_fault_but_a_good_one() -> None:
    blamed = {outcome: fault_of(outcome) for outcome in Outcome}

    assert [outcome for outcome, fault in blamed.items() if fault is Fault.NOBODY] == [Outcome.OK]
    assert blamed[Outcome.PROXY_5XX] is Fault.PROXY
    assert blamed[Outcome.CONNECT] is Fault.NETWORK
    assert blamed[Outcome.TIMEOUT] is blamed[Outcome.HTTP_5XX] is Fault.SERVICE
    assert all(blamed[outcome] is Fault.CLIENT for outcome in UNSENT)


def test_what_was_never_sent_is_no_failure() -> None:
    assert [outcome for outcome in Outcome if not is_failure(outcome)] == [
        Outcome.OK,
        Outcome.DROPPED,
        Outcome.WITHHELD,
    ]


@pytest.mark.parametrize(
    ("status", "from_proxy", "outcome"),
    [
        (503, True, Outcome.PROXY_5XX),
        (503, False, Outcome.HTTP_5XX),
        (404, True, Outcome.HTTP_4XX),
        (301, False, Outcome.HTTP_3XX),
    ],
)
def test_an_unexpected_status_is_named(status: int, from_proxy: bool, outcome: Outcome) -> None:
    assert of_status(status, from_proxy=from_proxy) is outcome
