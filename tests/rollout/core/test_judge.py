"""Verdicts: proven harm, proven health, or neither, each with its numbers."""

from dataclasses import replace
from typing import Any

import pytest

from rollout.core.evidence import Counts, Stratum
from rollout.core.judge import Finding, Judgement, Verdict, judge
from rollout.core.ledger import Evidence, ValueEvidence, fold
from rollout.core.spec import PlanSpec, Source
from rollout.core.trials import trials_of
from tests.rollout.core.worlds import NOW, counts, spec, strata

ERRORS = {"name": "errors", "source": "load", "metric": "error-rate", "max": "1%"}
USERS = {"name": "users", "source": "prometheus", "metric": "error-rate", "max": "1%", "maxIncrease": "50%"}


def plan(*checks: dict[str, Any]) -> PlanSpec:
    return spec(checks=list(checks)).plan


def judged(of: PlanSpec, *strata_: Stratum, source: Source = Source.LOAD, weight: int = 50) -> Judgement:
    evidence = Evidence()
    for one in strata_:
        evidence = fold(evidence, trials_of(of), source, one, 3)
    return judge(of, evidence, weight=weight)


def only(judgement: Judgement) -> Finding:
    (finding,) = judgement.findings
    return finding


def test_no_evidence_is_no_verdict() -> None:
    judgement = judge(plan(ERRORS), Evidence(), weight=50)

    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert not judgement.may_advance
    assert judgement.reason == "errors: 0 of 50 requests so far"


def test_enough_clean_requests_prove_health() -> None:
    judgement = judged(plan(ERRORS), *strata(16))

    assert judgement.verdict is Verdict.PASS
    assert judgement.may_advance
    assert judgement.reason == "1 checks passed"
    assert only(judgement).canary == 0


def test_few_clean_requests_do_not_and_the_odds_say_how_far_it_is() -> None:
    judgement = judged(plan(ERRORS), *strata(6))

    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert judgement.reason == "errors: odds 2.97:1 of 20:1 after 150 requests"


def test_a_minimum_of_requests_is_a_minimum() -> None:
    judgement = judged(plan(ERRORS | {"minRequests": 1000}), *strata(20))

    assert judgement.reason == "errors: 500 of 1000 requests so far"


def test_harm_is_told_with_both_versions_numbers() -> None:
    judgement = judged(plan(ERRORS), *strata(10, canary=(25, 5)))

    assert judgement.verdict is Verdict.FAIL
    assert "errors: harm proven, odds over" in judgement.reason
    assert "(canary 20%, stable 0%, limit 1%, 250 requests)" in judgement.reason


def test_a_handful_of_requests_convicts_nobody() -> None:
    few = strata(4, canary=(1, 1))

    assert judged(plan(ERRORS), *few).verdict is Verdict.INCONCLUSIVE


def test_five_failures_are_a_handful_too_many() -> None:
    dead = strata(5, canary=(1, 1))

    assert judged(plan(ERRORS), *dead).verdict is Verdict.FAIL


def test_the_budget_for_false_alarms_is_shared_by_all_checks() -> None:
    many = [{"name": f"q{i}", "source": "load", "metric": "latency", "max": f"{i + 1}s"} for i in range(5)]
    edge = strata(2, stable=(300, 0), canary=(30, 3))

    alone, among_many = judged(plan(ERRORS), *edge), judged(plan(ERRORS, *many), *edge)

    assert alone.verdict is Verdict.FAIL
    assert among_many.log_e_harm < alone.log_e_harm


def test_several_weak_suspicions_convict_the_strongest() -> None:
    growth = ERRORS | {"maxIncrease": "50%"}

    judgement = judged(plan(growth), *strata(3, stable=(80, 0), canary=(25, 2)))

    assert judgement.verdict is Verdict.FAIL
    assert only(judgement).log_e_harm == pytest.approx(4.87, abs=0.01)  # two families: alone it would have to be 5.3


def test_errors_that_hardly_exist_are_no_harm_however_much_they_grew() -> None:
    rare = ERRORS | {"maxIncrease": "50%"}
    thousands = strata(40, stable=(10_000, 0), canary=(10_000, 3))

    judgement = judged(plan(rare), *thousands)

    assert judgement.verdict is Verdict.PASS


def test_an_outage_of_both_is_held_and_blamed_on_nobody() -> None:
    judgement = judged(plan(ERRORS), *strata(20, stable=(25, 5), canary=(25, 5)))

    assert judgement.is_shared_outage
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert judgement.reason == "shared outage: both versions break the limit; holding"


@pytest.mark.parametrize("bad", [1, 2])
def test_an_outage_of_both_that_shows_in_the_canary_first_convicts_nobody(bad: int) -> None:
    lucky = strata(2, stable=(50, bad), canary=(50, 4))

    judgement = judged(plan(ERRORS), *lucky)

    assert not judgement.is_shared_outage  # nothing is proven of the stable version yet
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert judged(plan(ERRORS), *strata(2, stable=(50, 0), canary=(50, 5))).verdict is Verdict.FAIL


def test_where_no_stable_version_is_left_the_limit_alone_convicts() -> None:
    everything = strata(4, stable=(0, 0), canary=(100, 8))

    assert judged(plan(USERS), *everything, source=Source.PROMETHEUS, weight=100).verdict is Verdict.FAIL
    assert judged(plan(USERS), *everything, source=Source.PROMETHEUS, weight=99).verdict is not Verdict.FAIL


def test_an_outage_of_stable_alone_is_no_shared_one() -> None:
    judgement = judged(plan(ERRORS), *strata(20, stable=(25, 5)))

    assert not judgement.is_shared_outage
    assert judgement.verdict is Verdict.PASS


def test_an_increase_alone_is_proven_by_a_low_rate_as_well() -> None:
    check = {"name": "e", "source": "load", "metric": "error-rate", "maxIncrease": "50%"}

    clean = judged(plan(check), *strata(30))
    both_bad = judged(plan(check), *strata(30, stable=(25, 2), canary=(25, 2)))

    assert clean.verdict is Verdict.PASS
    assert not both_bad.is_shared_outage  # nobody wrote a limit
    assert both_bad.verdict is Verdict.PASS  # it is no worse than stable, which is all that was asked
    assert only(both_bad).limit == pytest.approx(0.12)


def test_latency_is_judged_per_quantile() -> None:
    check = {"name": "l", "source": "load", "metric": "latency", "quantiles": ["p50", "p99"], "maxIncrease": "10%"}
    slow = tuple(
        Stratum(start=NOW + i, end=NOW + i + 1, stable=counts(50, latency_s=0.01), canary=counts(50, latency_s=0.02))
        for i in range(10)
    )

    judgement = judged(plan(check), *slow)

    assert [finding.check for finding in judgement.findings] == ["l.p50", "l.p99"]
    assert judgement.verdict is Verdict.FAIL
    assert "canary 20ms, stable 10ms, limit 11ms" in judgement.reason


def test_a_latency_limit_needs_no_stable_version() -> None:
    check = {"name": "l", "source": "load", "metric": "latency", "quantiles": ["p95"], "max": "300ms"}

    fast, slow = (
        judged(plan(check), *strata(10)),
        judged(plan(check), *(replace(one, canary=counts(25, latency_s=0.5)) for one in strata(10))),
    )

    assert (fast.verdict, slow.verdict) == (Verdict.PASS, Verdict.FAIL)
    assert only(fast).limit == 0.3


def test_latency_over_prometheus_buckets_shows_a_quantile_and_an_increase() -> None:
    check = {"name": "l", "source": "prometheus", "metric": "latency", "maxIncrease": "10%"}
    buckets = {0.1: 95, 0.25: 5, float("inf"): 0}
    one = Stratum(
        start=NOW,
        end=NOW + 1,
        stable=Counts(requests=100, latency=buckets),
        canary=Counts(requests=100, latency=buckets),
    )

    finding = only(judged(plan(check), *[one] * 3, source=Source.PROMETHEUS))

    assert finding.canary == 0.25
    assert finding.limit == pytest.approx(0.275)


def test_percentage_points_and_shifts_show_the_limit_they_come_to() -> None:
    points = {"name": "e", "source": "load", "metric": "error-rate", "maxIncrease": "1pp"}
    shift = {"name": "l", "source": "load", "metric": "latency", "quantiles": ["p50"], "maxIncrease": "25ms"}

    limits = [finding.limit for finding in judged(plan(points, shift), *strata(3, stable=(25, 1))).findings]

    assert limits == [pytest.approx(0.05), pytest.approx(0.035)]


def test_each_source_shows_its_own_numbers() -> None:
    both = plan(ERRORS, USERS)
    evidence = fold(Evidence(), trials_of(both), Source.LOAD, strata(1, canary=(25, 1))[0], 3)
    evidence = fold(evidence, trials_of(both), Source.PROMETHEUS, strata(1, canary=(50, 10))[0], 3)

    assert [finding.canary for finding in judge(both, evidence, weight=50).findings] == [0.04, 0.2]


@pytest.mark.parametrize(
    ("weight", "required", "reason"),
    [(0, False, "not asked at this weight"), (5, True, "0 of 50 requests so far"), (100, True, "0 of 50 requests")],
)
def test_users_are_asked_only_where_they_can_answer(weight: int, required: bool, reason: str) -> None:
    finding = only(judge(plan(USERS), Evidence(), weight=weight))

    assert finding.is_required is required
    assert reason in finding.reason


def test_at_weight_100_users_have_no_stable_version_to_compare_with() -> None:
    relative = {"name": "users", "source": "prometheus", "metric": "latency", "maxIncrease": "10%"}

    assert not only(judge(plan(relative), Evidence(), weight=100)).is_required
    assert judge(plan(relative), Evidence(), weight=100).verdict is Verdict.PASS


def blind(since: float = NOW) -> Evidence:
    return Evidence(prometheus=replace(Evidence().prometheus, blind_since=since))


def test_blindness_is_told_and_never_passes() -> None:
    judgement = judge(plan(USERS), blind(), weight=50)

    assert judgement.blind_since == NOW
    assert judgement.is_blind
    assert "no fresh evidence from prometheus" in judgement.reason


def test_a_check_that_may_be_ignored_holds_nothing_up_but_still_convicts() -> None:
    optional = USERS | {"onNoData": "ignore"}

    assert not judge(plan(optional, ERRORS), blind(), weight=50).is_blind
    bad = judged(plan(optional, ERRORS), *strata(10, canary=(25, 5)), source=Source.PROMETHEUS)
    assert bad.verdict is Verdict.FAIL


QUERY = {"name": "q", "source": "prometheus", "query": "x", "max": 3, "min": 1}


def value(at_value: float, breaches: int = 0) -> Evidence:
    return Evidence(values={"q": ValueEvidence(at=NOW, value=at_value, breaches=breaches)})


@pytest.mark.parametrize(
    ("evidence", "verdict", "reason"),
    [
        (value(2), Verdict.PASS, "1 checks passed"),
        (value(9, 2), Verdict.INCONCLUSIVE, "9; must be at least 1 and at most 3 (2 of 3)"),
        (value(9, 3), Verdict.FAIL, "9, 3 times in a row; must be at least 1 and at most 3"),
        (Evidence(), Verdict.INCONCLUSIVE, "no fresh value from prometheus"),
        (replace(value(2), prometheus=blind().prometheus), Verdict.INCONCLUSIVE, "no fresh value"),
    ],
)
def test_a_custom_value_is_held_to_plain_limits_with_patience(
    evidence: Evidence, verdict: Verdict, reason: str
) -> None:
    judgement = judge(plan(QUERY), evidence, weight=50)

    assert judgement.verdict is verdict
    assert reason in judgement.reason


def test_a_custom_check_that_may_be_ignored_waits_for_no_value() -> None:
    optional = {key: kept for key, kept in QUERY.items() if key != "max"} | {"onNoData": "ignore"}

    judgement = judged(plan(optional, ERRORS), *strata(16))

    assert judgement.verdict is Verdict.PASS
    assert [finding.limit for finding in judgement.findings] == [0.01, 1]


def test_the_verdict_of_a_plan_with_queries_alone_bets_on_nothing() -> None:
    assert judge(plan(QUERY), value(2), weight=50).log_e_harm == 0


@pytest.mark.parametrize(
    ("failures", "odds"), [(0, "odds 2.03:1 of 20:1"), (4, "odds "), (15, "odds over a million to one")]
)
def test_odds_are_told_as_far_as_they_mean_something(failures: int, odds: str) -> None:
    assert odds in only(judged(plan(ERRORS), *strata(4, canary=(25, failures)))).reason
