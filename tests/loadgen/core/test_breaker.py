"""The load breaker: what opens it, how it tries again, and that it counts as no evidence meanwhile."""

import pytest

from loadgen.core.breaker import (
    CALLS_MIN,
    RAMP_PER_S,
    TRIALS,
    WAIT_MAX_S,
    BreakerState,
    LoadBreaker,
    Sample,
)

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN


def fed(breaker: LoadBreaker, *samples: Sample) -> BreakerState:
    for sample in samples:
        breaker.observe(sample)
    return breaker.state


def opened(at_s: float = 0.0) -> LoadBreaker:
    breaker = LoadBreaker(seed=1)
    assert fed(breaker, Sample(at_s=at_s, completed=CALLS_MIN, failed=CALLS_MIN)) is OPEN
    return breaker


def half_open() -> LoadBreaker:
    breaker = opened()
    assert fed(breaker, Sample(at_s=7)) is HALF_OPEN  # 5 s and 20 % more at most
    return breaker


def test_it_is_closed_and_everything_is_evidence_while_all_is_well() -> None:
    breaker = LoadBreaker(seed=1)

    assert (
        fed(breaker, *(Sample(at_s=second, completed=100, failed=40, median_s=0.01) for second in range(30))) is CLOSED
    )
    assert breaker.is_evidence
    assert not breaker.limits
    assert breaker.admit(30)


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        ([Sample(at_s=0, completed=20, failed=10)], "10 of 20 requests got no answer"),
        ([Sample(at_s=0, completed=100, retry_after_s=3)], "the target asked to wait 3 s"),
        ([Sample(at_s=0, is_full=True), Sample(at_s=2, is_full=True)], "in-flight at its cap for 2 s"),
        ([Sample(at_s=0, lag_s=1.5)], "the generator was 1.5 s late"),
        (
            [Sample(at_s=0, completed=60, median_s=0.01), Sample(at_s=1, completed=600, median_s=0.2)],
            "the median rose from 10 to 200 ms",
        ),
    ],
)
def test_what_opens_it(samples: list[Sample], reason: str) -> None:
    breaker = LoadBreaker(seed=1)

    assert fed(breaker, *samples) is OPEN
    assert reason in breaker.changes[0].reason
    assert not breaker.is_evidence
    assert not breaker.admit(samples[-1].at_s)


def test_a_few_failures_or_a_moment_at_the_cap_open_nothing() -> None:
    breaker = LoadBreaker(seed=1)

    assert fed(breaker, Sample(at_s=0, completed=19, failed=19)) is CLOSED
    assert fed(breaker, Sample(at_s=20, is_full=True), Sample(at_s=21), Sample(at_s=23, is_full=True)) is CLOSED


def test_failures_of_more_than_ten_seconds_ago_are_forgotten() -> None:
    breaker = LoadBreaker(seed=1)

    assert fed(breaker, Sample(at_s=0, completed=19, failed=19), Sample(at_s=10, completed=100, failed=1)) is CLOSED


def test_retry_after_is_honoured_up_to_a_minute() -> None:
    for asked_s, until_s in ((30.0, 30.0), (3600.0, WAIT_MAX_S)):
        breaker = LoadBreaker(seed=1)
        fed(breaker, Sample(at_s=0, retry_after_s=asked_s))
        assert fed(breaker, Sample(at_s=until_s - 0.1)) is OPEN
        assert fed(breaker, Sample(at_s=until_s)) is HALF_OPEN


def test_five_good_trials_close_it_and_the_rate_comes_back_step_by_step() -> None:
    breaker = half_open()
    assert [breaker.admit(7) for _ in range(TRIALS + 1)] == [True] * TRIALS + [False]
    assert fed(breaker, Sample(at_s=7.5, completed=3)) is HALF_OPEN
    assert fed(breaker, Sample(at_s=8, completed=2)) is CLOSED

    assert not breaker.is_evidence
    admitted = sum(breaker.admit(8.0) for _ in range(100))
    assert admitted == pytest.approx(100 * RAMP_PER_S, abs=1)
    assert sum(breaker.admit(13.0) for _ in range(100)) == pytest.approx(60, abs=1)
    assert fed(breaker, Sample(at_s=8 + 1 / RAMP_PER_S)) is CLOSED
    assert breaker.is_evidence


def test_a_bad_trial_opens_it_again_for_twice_as_long() -> None:
    breaker = half_open()

    assert fed(breaker, Sample(at_s=8, completed=1, failed=1)) is OPEN
    assert "a trial call failed" in breaker.changes[-1].reason
    assert fed(breaker, Sample(at_s=15.9)) is OPEN
    assert fed(breaker, Sample(at_s=20.1)) is HALF_OPEN


def test_trials_that_are_never_answered_cannot_block_it() -> None:
    breaker = half_open()

    assert fed(breaker, Sample(at_s=16.9, completed=4)) is HALF_OPEN
    assert fed(breaker, Sample(at_s=17.1)) is OPEN
    assert "not answered in time" in breaker.changes[-1].reason
