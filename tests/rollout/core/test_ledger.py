"""Evidence as it grows, restarts and is saved."""

from dataclasses import replace
from math import log
from typing import Any

import pytest
from pydantic import TypeAdapter

from rollout.core.evidence import Counts, Stratum
from rollout.core.judge import ALPHA_HARM
from rollout.core.ledger import TAU_REQUESTS_MIN, Evidence, buckets_of, fold
from rollout.core.spec import Source
from rollout.core.trials import trials_of
from tests.rollout.core.worlds import NOW, counts, spec, strata, stratum

ADAPTER = TypeAdapter(Evidence)


def check(**keys: Any) -> dict[str, Any]:
    return {"name": "c", "source": "load", "metric": "error-rate"} | keys


def grown(*strata_: Stratum, steps: int = 3, source: Source = Source.LOAD, **keys: Any) -> Evidence:
    trials = trials_of(spec(checks=[check(source=source.value, **keys)]).plan)
    evidence = Evidence()
    for one in strata_:
        evidence = fold(evidence, trials, source, one, steps)
    return evidence


def latencies(start: float, stable_s: float, canary_s: float, requests: int = 50) -> Stratum:
    return Stratum(
        start=start,
        end=start + 1,
        stable=counts(requests, latency_s=stable_s),
        canary=counts(requests, latency_s=canary_s),
    )


def test_totals_are_of_this_step_and_the_cursor_moves_on() -> None:
    evidence = grown(*strata(3, canary=(25, 1)), max="1%")

    assert (evidence.load.canary.requests, evidence.load.canary.failures) == (75, 3)
    assert evidence.load.cursor == NOW + 3
    fresh = evidence.for_next_step()
    assert fresh.load.canary == Counts()
    assert fresh.load.cursor == NOW + 3


def test_proof_of_health_starts_anew_with_each_step_and_bets_on_harm_go_on() -> None:
    evidence = grown(*strata(20, canary=(25, 0)), max="1%", maxIncrease="50%")
    fresh = evidence.for_next_step()

    limit, ratio = fresh.limits["c/error-limit"], fresh.ratios["c/error-growth"]
    assert evidence.limits["c/error-limit"].accept.log_e > 3
    assert limit.accept.log_e == pytest.approx(0)
    assert ratio.accept.log_e == pytest.approx(0)
    assert limit.harm.stakes.starts == ratio.harm.stakes.starts == ratio.floor.stakes.starts == 2


def steady(second: int) -> Stratum:
    """Both versions within one percent of each other and of themselves."""
    arm = Counts(requests=50, latency={0.01 + i / 1e6: 1 for i in range(50)})
    return Stratum(start=NOW + second, end=NOW + second + 1, stable=arm, canary=arm)


def test_a_version_whose_requests_all_take_nearly_the_same_can_still_be_proven_good() -> None:
    some = [steady(second) for second in range(60)]
    kept = grown(*some, metric="latency", quantiles=["p50", "p95"], maxIncrease="10%")

    assert len(kept.load.stable.latency) == 2
    assert all(exceed.accept.log_e > 3 for exceed in kept.exceeds.values())


def test_proof_of_a_latency_starts_anew_as_well() -> None:
    kept = grown(*(steady(second) for second in range(30)), metric="latency", quantiles=["p50"], maxIncrease="10%")
    fresh = kept.for_next_step().exceeds["c.p50/latency-growth"]

    assert kept.exceeds["c.p50/latency-growth"].accept.log_e > 3
    assert fresh.accept.log_e == pytest.approx(0)
    assert fresh.harm.stakes.starts == 2


def test_a_step_that_is_entered_again_needs_no_stake_that_was_not_planned() -> None:
    evidence = grown(*strata(2), steps=1, max="1%", maxIncrease="50%")

    assert evidence.for_next_step().for_next_step().limits["c/error-limit"].harm.stakes.starts == 1


@pytest.mark.parametrize(("source", "known_after"), [(Source.LOAD, 30), (Source.PROMETHEUS, 8)])
def test_no_single_stratum_convicts_before_it_is_known_whether_errors_come_in_bursts(
    source: Source, known_after: int
) -> None:
    """One second in which half of the canary's requests fail: enough many times over, were they independent."""
    plan = spec(checks=[check(source=source.value, max="1%", maxIncrease="50%")]).plan
    burst = stratum(NOW + 100, stable=(500, 0), canary=(500, 250))
    calm = strata(known_after, stable=(500, 0), canary=(500, 0))

    def odds(*before: Stratum) -> list[float]:
        evidence = Evidence()
        for one in (*before, burst):
            evidence = fold(evidence, trials_of(plan), source, one, 1)
        limit, ratio = evidence.limits["c/error-limit"], evidence.ratios["c/error-growth"]
        return [limit.harm.log_e, limit.worse.log_e, ratio.harm.log_e, ratio.floor.log_e]

    assert max(odds()) <= log(1 / ALPHA_HARM)
    assert max(odds(*calm[:-1])) <= log(1 / ALPHA_HARM)
    assert min(odds(*calm)) > log(1 / ALPHA_HARM)


def test_errors_above_the_limit_are_evidence_of_harm_and_of_a_shared_outage_where_stable_has_them_too() -> None:
    evidence = grown(*strata(20, stable=(25, 5), canary=(25, 5)), max="1%")

    kept = evidence.limits["c/error-limit"]
    assert kept.harm.log_e > 5
    assert kept.stable.log_e > 5
    assert kept.accept.log_e < 0


def test_failures_that_come_in_bursts_count_for_less() -> None:
    burst = strata(1, stable=(50, 5), canary=(50, 5))
    bursty, calm = (*strata(9, stable=(50, 0), canary=(50, 0)), *burst) * 6, strata(60, stable=(50, 0), canary=(50, 0))

    def growth(history: tuple[Stratum, ...]) -> list[float]:
        """What one more burst adds to a stake of each bet on errors."""
        before, after = (grown(*past, max="1%", maxIncrease="50%") for past in (history, (*history, *burst)))
        stakes = [
            [kept.stakes.logs[4] or 0.0 for kept in (limit.harm, limit.worse, limit.stable, ratio.harm, ratio.floor)]
            for evidence in (before, after)
            for limit, ratio in [(evidence.limits["c/error-limit"], evidence.ratios["c/error-growth"])]
        ]
        return [late - early for early, late in zip(*stakes, strict=True)]

    eta = 1 / (1.5 * grown(*bursty, max="1%").load.tempering.phi)
    assert eta < 0.2
    assert growth(bursty) == pytest.approx([eta * one for one in growth(calm)])


def test_percentage_points_become_a_ratio_by_the_stable_rate_so_far() -> None:
    many = strata(10, stable=(100, 5), canary=(100, 5))
    evidence = grown(*many, maxIncrease="5pp")
    worse = grown(*many, *strata(60, NOW + 10, stable=(100, 5), canary=(100, 20)), maxIncrease="5pp")

    assert evidence.ratios["c/error-points"].harm.log_e < 0
    assert worse.ratios["c/error-points"].harm.log_e > 1


def test_the_yardstick_for_latency_is_measured_before_it_is_used() -> None:
    first = grown(latencies(NOW, 0.01, 0.05), metric="latency", quantiles=["p50"], maxIncrease="10%")
    assert first.exceeds["c.p50/latency-growth"].harm.log_e == pytest.approx(0)
    assert first.load.earlier == Counts()  # 50 requests make no yardstick

    second = grown(
        latencies(NOW, 0.01, 0.05),
        latencies(NOW + 1, 0.01, 0.05),
        latencies(NOW + 2, 0.01, 0.05),
        metric="latency",
        quantiles=["p50"],
        maxIncrease="10%",
    )
    assert second.load.earlier.measured >= TAU_REQUESTS_MIN
    assert second.exceeds["c.p50/latency-growth"].harm.log_e > 10


def test_a_shift_is_tolerated_in_seconds() -> None:
    slower = [latencies(NOW + second, 0.010, 0.030) for second in range(10)]

    tolerated = grown(*slower, metric="latency", quantiles=["p50"], maxIncrease="25ms")
    not_so = grown(*slower, metric="latency", quantiles=["p50"], maxIncrease="5ms")

    assert tolerated.exceeds["c.p50/latency-shift"].harm.log_e < 0
    assert not_so.exceeds["c.p50/latency-shift"].harm.log_e > 10


def test_the_yardstick_is_renewed_every_half_minute() -> None:
    evidence = grown(
        *(latencies(NOW + second, 0.01 if second < 32 else 0.02, 0.01, 100) for second in range(64)),
        metric="latency",
        maxIncrease="10%",
    )

    assert evidence.load.earlier.quantile(0.5) == 0.02


def test_a_long_step_of_finely_measured_load_keeps_a_bounded_state() -> None:
    fine = [
        Stratum(
            start=NOW + second,
            end=NOW + second + 1,
            stable=Counts(requests=50, latency={0.01 + (50 * second + i) / 1e6: 1 for i in range(50)}),
            canary=Counts(requests=50, latency={0.01 + (50 * second + i) / 1e6: 1 for i in range(50)}),
        )
        for second in range(200)
    ]

    evidence = grown(*fine, metric="latency", maxIncrease="10%")

    assert evidence.load.canary.measured == 10_000
    assert max(len(c.latency) for c in (evidence.load.canary, evidence.load.stable, evidence.load.earlier)) <= 160


def test_a_limit_that_falls_into_a_bucket_of_prometheus_is_read_both_ways_to_the_canarys_safety() -> None:
    buckets = {0.1: 10, 0.25: 10, 0.5: 0, float("inf"): 0}
    slow = Stratum(
        start=NOW, end=NOW + 1, stable=Counts(requests=20, latency=buckets), canary=Counts(requests=20, latency=buckets)
    )

    kept = grown(slow, source=Source.PROMETHEUS, metric="latency", quantiles=["p50"], max="200ms").limits[
        "c.p50/latency-limit"
    ]

    none_surely_slow = kept.harm.log_e < 0
    ten_maybe_slow = kept.accept.log_e < 0
    assert none_surely_slow
    assert ten_maybe_slow


def bucketed(start: float, fast: int, slow: int, bound: float = 0.1) -> Counts:
    return Counts(requests=fast + slow, latency={bound: fast, 0.25: slow, float("inf"): 0})


def test_buckets_are_compared_above_boundaries_chosen_on_earlier_data() -> None:
    def pair(second: int, canary_slow: int, bound: float = 0.1) -> Stratum:
        start = NOW + second
        stable, canary = bucketed(start, 90, 10, bound), bucketed(start, 100 - canary_slow, canary_slow, bound)
        return Stratum(start=start, end=start + 1, stable=stable, canary=canary)

    evidence = grown(*(pair(i, 60) for i in range(5)), source=Source.PROMETHEUS, metric="latency", maxIncrease="10%")
    kept = evidence.buckets["c/bucket-growth"]
    assert kept.harm.bounds == (0.1,)
    assert kept.harm.log_e > 5
    assert evidence.for_next_step().buckets["c/bucket-growth"].accept.log_e == pytest.approx(0)

    trials = trials_of(spec(checks=[check(source="prometheus", metric="latency", maxIncrease="10%")]).plan)
    moved = fold(evidence, trials, Source.PROMETHEUS, pair(9, 60, bound=0.05), 3)
    assert moved.buckets["c/bucket-growth"] == kept  # other boundaries: nothing to compare


def test_counts_become_a_cumulative_histogram() -> None:
    buckets = buckets_of(Counts(latency={0.2: 3, 0.1: 2, float("inf"): 1}))

    assert (buckets.bounds, buckets.cumulative, buckets.total) == ((0.1, 0.2), (2.0, 5.0), 6.0)


@pytest.mark.parametrize(
    "keys",
    [
        {"max": "1%", "maxIncrease": "50%"},
        {"maxIncrease": "1pp"},
        {"metric": "latency", "max": "20ms", "maxIncrease": "10%"},
        {"metric": "latency", "source": Source.PROMETHEUS, "maxIncrease": "10%"},
    ],
)
def test_saved_and_loaded_evidence_continues_identically(keys: dict[str, Any]) -> None:
    source = keys.pop("source", Source.LOAD)
    trials = trials_of(spec(checks=[check(source=source.value, **keys)]).plan)
    whole = saved = Evidence()
    for second in range(40):
        latency = {0.01: 20, 0.02 + second % 3 / 100: 5, float("inf"): 0}
        one = Stratum(
            start=NOW + second,
            end=NOW + second + 1,
            stable=Counts(requests=25, failures=second % 2, latency=latency),
            canary=Counts(requests=25, failures=second % 3, latency=latency),
        )
        whole = fold(whole, trials, source, one, 3)
        saved = ADAPTER.validate_json(ADAPTER.dump_json(fold(saved, trials, source, one, 3)))
    assert saved == whole
    assert replace(whole) == whole
    assert stratum(NOW).start == NOW


def test_a_stratum_of_another_source_moves_no_trial() -> None:
    trials = trials_of(spec(checks=[check(max="1%")]).plan)

    evidence = fold(Evidence(), trials, Source.PROMETHEUS, stratum(NOW), 3)

    assert not evidence.limits
    assert evidence.prometheus.canary.requests == 25


def test_bets_on_buckets_go_on_into_the_next_step_and_their_proof_of_health_does_not() -> None:
    spread = Counts(requests=100, latency={0.05: 60, 0.1: 30, 0.25: 10})  # two boundaries that part the requests
    seconds = (Stratum(start=NOW + at, end=NOW + at + 1, stable=spread, canary=spread) for at in range(60))
    evidence = grown(*seconds, source=Source.PROMETHEUS, metric="latency", maxIncrease="25%")
    [key] = evidence.buckets

    fresh = evidence.for_next_step().buckets[key]

    assert evidence.buckets[key].accept.log_e > 0
    assert fresh.accept.log_e == pytest.approx(0)
    assert {ratio.stakes.starts for ratio in fresh.harm.ratios} == {2}


def test_bets_on_a_quantile_go_on_into_the_next_step_and_their_proof_of_health_does_not() -> None:
    seconds = (latencies(NOW + at, 0.05, 0.05) for at in range(60))
    evidence = grown(*seconds, metric="latency", quantiles=["p50"], maxIncrease="25%")
    [key] = evidence.exceeds

    fresh = evidence.for_next_step().exceeds[key]

    assert evidence.exceeds[key].accept.log_e != pytest.approx(0)
    assert fresh.accept.log_e == pytest.approx(0)
    assert fresh.harm.stakes.starts == 2
