"""Made-up versions as people write them, and counts drawn exactly."""

from math import sqrt
from random import Random

import pytest

from rollout.core.simulation.chance import binomial
from rollout.core.simulation.traffic import BASELINE, Behaviour, Traffic, parse_behaviour


@pytest.mark.parametrize(
    ("trials", "probability"),
    [(1, 0.5), (30, 0.02), (100, 0.3), (100, 0.97), (5_000, 0.001), (5_000, 0.05), (100_000, 0.5), (3, 0.9)],
)
def test_counts_are_binomial(trials: int, probability: float) -> None:
    chance, draws = Random(1), 4_000
    counts = [binomial(chance, trials, probability) for _ in range(draws)]

    mean = sum(counts) / draws
    variance = sum((count - mean) ** 2 for count in counts) / draws
    expected = trials * probability * (1 - probability)
    assert mean == pytest.approx(trials * probability, abs=5 * sqrt(expected / draws))
    assert variance == pytest.approx(expected, rel=0.15)
    assert 0 <= min(counts) <= max(counts) <= trials


def test_a_small_count_has_the_probabilities_of_the_formula() -> None:
    chance, draws = Random(2), 20_000
    counts = [binomial(chance, 3, 0.3) for _ in range(draws)]

    for value, probability in enumerate((0.343, 0.441, 0.189, 0.027)):
        assert counts.count(value) / draws == pytest.approx(probability, abs=0.015)


@pytest.mark.parametrize(("trials", "probability", "count"), [(50, 0, 0), (50, 1, 50), (0, 0.3, 0), (5000, 1.0, 5000)])
def test_what_is_certain_is_certain(trials: int, probability: float, count: int) -> None:
    assert binomial(Random(3), trials, probability) == count


@pytest.mark.parametrize(
    ("text", "behaviour"),
    [
        ("", BASELINE),
        ("errors=2%", Behaviour(error_rate=0.02, median_s=0.05)),
        ("latency=x1.2", Behaviour(error_rate=0.001, median_s=0.06)),
        ("errors=2%, latency=80ms", Behaviour(error_rate=0.02, median_s=0.08)),
    ],
)
def test_what_is_not_named_is_as_usual(text: str, behaviour: Behaviour) -> None:
    assert parse_behaviour(text, BASELINE) == behaviour


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("errors=2", "not a percentage"),
        ("latency=1.2", "not a duration"),
        ("latency=xfast", "write a factor"),
        ("latency=x0", "write a factor"),
        ("latency=x1e9", "write a factor"),
        ("latency=0s", "nothing takes no time"),
        ("weather=rain", "'weather=rain' is unknown"),
    ],
)
def test_what_makes_no_sense_is_named(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_behaviour(text, BASELINE)


def test_latencies_are_log_normal_and_the_p99_is_four_times_the_median() -> None:
    assert BASELINE.share_slower(0.05) == pytest.approx(0.5)
    assert BASELINE.share_slower(0.2019) == pytest.approx(0.01, rel=0.01)
    assert BASELINE.share_slower(0) == 1
    assert str(BASELINE) == "errors 0.1%, median 50ms"


def test_who_waits_no_longer_counts_the_late_as_failed() -> None:
    impatient = BASELINE.with_timeout(0.2019)
    edges, within = BASELINE.buckets(0.2019)

    assert impatient.error_rate == pytest.approx(0.011, rel=0.01)
    assert edges[-1] == 0.2019
    assert list(edges) == sorted(edges)
    assert within[-1] == 1
    assert within[-2] == pytest.approx(0.99, abs=0.001)


def test_a_rate_of_nobody_knows_what_is_refused() -> None:
    with pytest.raises(ValueError, match="requests per second"):
        Traffic(rps=-1)
    assert Traffic(rps=5, canary=Behaviour(error_rate=1, median_s=1)).healthy == Traffic(rps=5)
