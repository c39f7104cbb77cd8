import pytest

from loadgen.core.breaker import (
    TRIALS,
    WAIT_MAX_S,
    Answers,
    BestArm,
    BreakerState,
    LoadBreaker,
    Sample,
)

CLOSED, HALF_OPEN, OPEN = BreakerState.CLOSED, BreakerState.HALF_OPEN, BreakerState.OPEN


def wait_of(breaker: LoadBreaker) -> float:
    """How long the last opening waits, as it says itself."""
    return float(breaker.changes[-1].reason.rpartition("waiting ")[2].removesuffix(" s"))


def opened(at_s: float = 0.0) -> LoadBreaker:
    breaker = LoadBreaker(seed=1)
    breaker.observe(Sample(at_s=at_s, completed=20, failed=20))
    assert breaker.state is OPEN
    return breaker


def half_opened() -> LoadBreaker:
    breaker = opened()
    breaker.observe(Sample(at_s=7.0))
    assert breaker.state is HALF_OPEN
    return breaker


def closed_again(at_s: float = 7.1) -> LoadBreaker:
    breaker = half_opened()
    breaker.observe(Sample(at_s=at_s, completed=TRIALS))
    assert breaker.state is CLOSED
    return breaker


def test_a_healthy_target_gets_every_arrival() -> None:
    breaker = LoadBreaker(seed=1)
    for tick in range(500):
        assert breaker.observe(Sample(at_s=tick / 10, completed=50, failed=1, median_s=0.005)) is CLOSED
    assert breaker.is_evidence
    assert not breaker.limits
    assert all(breaker.admit(50.0) for _ in range(100))
    assert breaker.changes == []


@pytest.mark.parametrize(
    ("sample", "reason"),
    [
        (Sample(at_s=0, completed=20, failed=10), "10 of 20 requests got no answer"),
        (Sample(at_s=0, lag_s=1.5), "1.5 s late"),
        (Sample(at_s=0, retry_after_s=3), "asked to wait 3 s"),
    ],
)
def test_it_opens_when_the_target_or_we_are_in_trouble(sample: Sample, reason: str) -> None:
    breaker = LoadBreaker(seed=1)
    assert breaker.observe(sample) is OPEN
    assert reason in breaker.changes[0].reason
    assert not breaker.admit(0.0)
    assert not breaker.is_evidence
    assert breaker.limits


@pytest.mark.parametrize(
    "sample",
    [Sample(at_s=0, completed=19, failed=19), Sample(at_s=0, completed=30, failed=14), Sample(at_s=0, lag_s=1.0)],
)
def test_it_does_not_open_below_its_limits(sample: Sample) -> None:
    assert LoadBreaker(seed=1).observe(sample) is CLOSED


def test_failures_older_than_the_window_are_forgotten() -> None:
    breaker = LoadBreaker(seed=1)
    breaker.observe(Sample(at_s=0, completed=15, failed=15))
    assert breaker.observe(Sample(at_s=9.9, completed=4, failed=4)) is CLOSED
    assert breaker.observe(Sample(at_s=10.0, completed=6, failed=1)) is CLOSED


def test_it_opens_when_the_cap_was_reached_for_two_seconds_without_a_break() -> None:
    breaker = LoadBreaker(seed=1)
    for tick in range(19):
        breaker.observe(Sample(at_s=tick / 10, is_full=True))
    breaker.observe(Sample(at_s=1.9))
    for tick in range(20, 40):
        assert breaker.observe(Sample(at_s=tick / 10, is_full=True)) is CLOSED
    assert breaker.observe(Sample(at_s=4.0, is_full=True)) is OPEN
    assert "in-flight at its cap" in breaker.changes[0].reason


def test_it_opens_when_the_median_is_ten_times_what_it_was() -> None:
    breaker = LoadBreaker(seed=1)
    for tick in range(10):
        breaker.observe(Sample(at_s=tick, completed=60, median_s=0.004))
    for tick in range(10, 15):
        assert breaker.observe(Sample(at_s=tick, completed=60, median_s=0.041)) is CLOSED
    assert breaker.observe(Sample(at_s=16.0, completed=60, median_s=0.041)) is OPEN
    assert "the median rose from 4 to 41 ms" in breaker.changes[0].reason


def test_ten_times_next_to_nothing_is_noise() -> None:
    breaker = LoadBreaker(seed=1)
    breaker.observe(Sample(at_s=0, completed=60, median_s=0.00005))
    for tick in range(1, 20):
        assert breaker.observe(Sample(at_s=tick, completed=60, median_s=0.009)) is CLOSED


def test_a_few_calls_are_no_base_to_compare_with() -> None:
    breaker = LoadBreaker(seed=1)
    breaker.observe(Sample(at_s=0, completed=10, median_s=0.001))
    assert breaker.observe(Sample(at_s=11, completed=60, median_s=0.5)) is CLOSED


def test_it_waits_and_then_lets_five_through() -> None:
    breaker = opened()
    assert 4.0 <= wait_of(breaker) <= 6.0
    assert breaker.observe(Sample(at_s=3.9)) is OPEN
    assert breaker.observe(Sample(at_s=6.1)) is HALF_OPEN
    assert [breaker.admit(6.1) for _ in range(7)] == [True] * TRIALS + [False] * 2


def test_it_waits_twice_as_long_each_time_up_to_a_minute() -> None:
    breaker = LoadBreaker(seed=3)
    at_s, waits = 0.0, []
    breaker.observe(Sample(at_s=at_s, completed=20, failed=20))
    for _ in range(6):
        waits.append(wait_of(breaker))
        at_s += 100
        breaker.observe(Sample(at_s=at_s))
        breaker.observe(Sample(at_s=at_s + 1, completed=1, failed=1))
    for k, wait in enumerate(waits):
        plain = min(5 * 2**k, WAIT_MAX_S)
        assert 0.8 * plain - 0.05 <= wait <= 1.2 * plain + 0.05


def test_it_waits_as_long_as_it_is_asked_to_but_not_for_ever() -> None:
    breaker = LoadBreaker(seed=1)
    breaker.observe(Sample(at_s=0, retry_after_s=30))
    assert wait_of(breaker) == 30.0
    endless = LoadBreaker(seed=1)
    endless.observe(Sample(at_s=0, retry_after_s=86_400))
    assert wait_of(endless) == WAIT_MAX_S


def test_one_bad_trial_opens_it_again() -> None:
    breaker = half_opened()
    assert breaker.observe(Sample(at_s=7.2, completed=3, failed=1)) is OPEN
    assert "a trial call failed" in breaker.changes[-1].reason


def test_trials_without_an_answer_open_it_again() -> None:
    breaker = half_opened()
    assert breaker.observe(Sample(at_s=16.9, completed=4)) is HALF_OPEN
    assert breaker.observe(Sample(at_s=17.0)) is OPEN
    assert "not answered in time" in breaker.changes[-1].reason


def test_being_told_to_wait_during_trials_opens_it_again() -> None:
    breaker = half_opened()
    assert breaker.observe(Sample(at_s=7.2, completed=1, retry_after_s=5)) is OPEN


def test_after_five_good_trials_the_rate_comes_back_by_a_tenth_a_second() -> None:
    breaker = closed_again(at_s=7.0)
    assert not breaker.is_evidence
    for second, share in ((0, 0.1), (4, 0.5), (8, 0.9)):
        admitted = sum(breaker.admit(7.0 + second) for _ in range(1000))
        assert admitted == pytest.approx(1000 * share, abs=1)
    assert [is_evidence_at(breaker, at_s) for at_s in (15.9, 16.1)] == [False, True]
    assert wait_of_next(breaker) <= 6.0


def is_evidence_at(breaker: LoadBreaker, at_s: float) -> bool:
    breaker.observe(Sample(at_s=at_s))
    return breaker.is_evidence


def wait_of_next(breaker: LoadBreaker) -> float:
    """After a full recovery the waits begin anew."""
    breaker.observe(Sample(at_s=20.0, completed=20, failed=20))
    return wait_of(breaker)


def test_every_change_is_told_with_its_reason() -> None:
    assert [(change.state, change.at_s) for change in closed_again().changes] == [
        (OPEN, 0.0),
        (HALF_OPEN, 7.0),
        (CLOSED, 7.1),
    ]


# ---- several arms


def fed(best: BestArm, *seen: Answers) -> tuple[int, int]:
    """Feed a sample every tenth of a second; add up what came of them."""
    given = [best.add(0.1 * place, answers) for place, answers in enumerate(seen)]
    return sum(completed for completed, _ in given), sum(failed for _, failed in given)


def test_while_one_arm_fares_well_another_ones_failures_are_news() -> None:
    one_at_a_time: list[Answers] = [{"stable": (1, 0)}, {"canary": (1, 1)}] * 20
    assert fed(BestArm(), *one_at_a_time) == (40, 0)
    assert fed(BestArm(), *[{"stable": (3, 0), "canary": (2, 2)}] * 10) == (50, 0)


def test_when_no_arm_fares_well_all_failures_count() -> None:
    assert fed(BestArm(), *[{"stable": (1, 1)}, {"canary": (1, 1)}] * 20) == (40, 40)
    assert fed(BestArm(), *[{"all": (4, 1)}] * 10) == (40, 10)


def test_only_the_last_ten_seconds_and_those_since_the_breaker_moved_count() -> None:
    best = BestArm()
    best.add(0.0, {"stable": (50, 0)})
    assert best.add(9.9, {"canary": (1, 1)}) == (1, 0)
    assert best.add(10.0, {"canary": (1, 1)}) == (1, 1)
    assert best.add(10.1, {}) == (0, 0)
    best.add(10.2, {"stable": (50, 0)})
    best.forget()
    assert best.add(10.3, {"canary": (1, 1)}) == (1, 1)
