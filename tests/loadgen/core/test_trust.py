from dataclasses import replace
from typing import Any

import pytest

from loadgen.core.trust import REASONS_MAX, Measures, Trust, TrustKeeper, TrustLevel, combined, judge_window, worst

FINE = Measures(window_s=0.1, lag_s_max=0.0005, cpu_share=0.3, sent=100, due=100)


@pytest.mark.parametrize(
    ("change", "level", "word"),
    [
        ({}, TrustLevel.OK, ""),
        ({"lag_s_max": 0.03}, TrustLevel.DEGRADED, "20 ms"),
        ({"lag_s_max": 0.2}, TrustLevel.INVALID, "100 ms"),
        ({"cpu_share": 0.95}, TrustLevel.DEGRADED, "90 %"),
        ({"throttled": 1}, TrustLevel.DEGRADED, "quota"),
        ({"dropped": 1}, TrustLevel.DEGRADED, "in-flight cap"),
        ({"client_errors": 1}, TrustLevel.OK, ""),
        ({"client_errors": 2}, TrustLevel.INVALID, "file descriptors"),
        ({"sent": 0, "client_errors": 1}, TrustLevel.INVALID, "file descriptors"),
    ],
)
def test_a_window_is_judged_by_what_the_generator_saw_of_itself(
    change: dict[str, Any], level: TrustLevel, word: str
) -> None:
    trust = judge_window(replace(FINE, **change))
    assert trust.level is level
    assert word in " ".join(trust.reasons)
    assert bool(trust.reasons) is (level is not TrustLevel.OK)


def test_a_bad_moment_in_a_long_run_degrades_it() -> None:
    keeper = TrustKeeper()
    for _ in range(100):
        keeper.add(FINE)
    keeper.add(replace(FINE, lag_s_max=0.5))
    whole = keeper.whole(sent=1000, due=1000)
    assert whole.level is TrustLevel.DEGRADED
    assert whole.reasons == ("the generator itself was late by more than 100 ms (for 0.1 s)",)


def test_many_bad_moments_make_it_invalid() -> None:
    keeper = TrustKeeper()
    for lag_s in (0.001,) * 9 + (0.5,):
        keeper.add(replace(FINE, lag_s_max=lag_s))
    assert keeper.whole(sent=10, due=10).level is TrustLevel.INVALID


def test_bad_moments_do_not_become_good_by_being_short() -> None:
    keeper = TrustKeeper()
    keeper.add(FINE)
    assert keeper.whole(sent=0, due=0) == Trust()


@pytest.mark.parametrize(
    ("sent", "level"), [(1000, TrustLevel.OK), (985, TrustLevel.DEGRADED), (799, TrustLevel.INVALID)]
)
def test_what_was_due_has_to_have_been_sent(sent: int, level: TrustLevel) -> None:
    keeper = TrustKeeper()
    keeper.add(FINE)
    whole = keeper.whole(sent=sent, due=1000)
    assert whole.level is level
    assert (f"only {sent / 10:.1f} %" in " ".join(whole.reasons)) is (level is not TrustLevel.OK)


def test_a_run_is_as_good_as_its_worst_worker_and_says_each_reason_once() -> None:
    late = Trust(level=TrustLevel.DEGRADED, reasons=("late", "busy"))
    dead = Trust(level=TrustLevel.INVALID, reasons=("dead", "late"))
    assert combined((Trust(), late, dead)) == Trust(level=TrustLevel.INVALID, reasons=("late", "busy", "dead"))
    assert combined(()) == Trust()
    assert worst(()) is TrustLevel.OK


def test_reasons_are_bounded() -> None:
    many = tuple(Trust(reasons=(f"reason {number}",)) for number in range(20))
    assert len(combined(many).reasons) == REASONS_MAX
