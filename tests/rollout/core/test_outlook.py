"""What people are told a rollout is doing."""

from dataclasses import replace

import pytest

from rollout.core.absorption import judgement_of
from rollout.core.breaker import Arm, Endpoints, Outcome
from rollout.core.ledger import Evidence, ValueEvidence
from rollout.core.observation import Observation, ProxiesView
from rollout.core.outlook import breaker_reason, observed_percent, outlook_of
from rollout.core.phase import Phase, State
from tests.rollout.core.worlds import NOW, seen, short_spec, state_of

SPEC = short_spec()


def waits_for(state: State, observation: Observation | None = None, now: float = NOW) -> str:
    return outlook_of(SPEC, state, observation or seen(50), judgement_of(SPEC, state), now).waiting_for


def test_each_phase_says_what_it_waits_for() -> None:
    assert waits_for(state_of(SPEC, Phase.PENDING), replace(seen(), endpoints={})) == (
        "v1 and v3 of reviews have no ready endpoint"
    )
    assert waits_for(state_of(SPEC, Phase.PAUSED, detail="alice")) == (
        "paused (alice); go on with: rollout resume reviews"
    )
    assert waits_for(state_of(SPEC, Phase.ROLLING_BACK)) == "VirtualService reviews is being written"
    assert waits_for(state_of(SPEC, Phase.SUCCEEDED)) == ""
    assert waits_for(state_of(SPEC, arrived=None), seen(5)) == "VirtualService reviews is being written"
    assert waits_for(state_of(SPEC, step=1)) == "gate sre; open it with: rollout approve reviews"


def test_a_hold_says_how_much_is_left_and_what_is_not_proven_yet() -> None:
    assert waits_for(state_of(SPEC), now=NOW + 4) == "held for another 6s; errors: 0 of 50 requests so far"
    assert waits_for(state_of(SPEC), now=NOW + 10) == "errors: 0 of 50 requests so far"


def test_a_hold_alone_is_a_hold() -> None:
    easy = short_spec(checks=[{"name": "q", "source": "prometheus", "query": "x", "max": 1}], load=None)
    state = state_of(easy, evidence=Evidence(values={"q": ValueEvidence(at=NOW, value=1, breaches=0)}))

    told = outlook_of(easy, state, seen(50), judgement_of(easy, state), NOW + 4)

    assert told.waiting_for == "held for another 6s"


def calls(arm: Arm, count: int, *, failed: bool = False, latency_s: float = 0.01) -> list[Outcome]:
    return [Outcome(arm=arm, failed=failed, latency_s=latency_s, at_s=NOW) for _ in range(count)]


@pytest.mark.parametrize(
    ("outcomes", "says"),
    [
        ([], ""),
        (calls(Arm.CANARY, 10, failed=True), "10 calls of the canary in a row failed"),
        (
            calls(Arm.CANARY, 5) + calls(Arm.STABLE, 9) + calls(Arm.CANARY, 5, failed=True),
            "50% of the canary's latest calls failed, 0 of 9 of stable's",
        ),
        (calls(Arm.CANARY, 20, latency_s=9.0), "100% of the canary's latest calls were slow"),
    ],
)
def test_the_breaker_says_what_it_saw(outcomes: list[Outcome], says: str) -> None:
    breaker = state_of(SPEC).breaker.after(outcomes, stable_p99_s=0.1)

    assert breaker_reason(breaker) == says


def test_the_breaker_says_what_became_of_the_pods() -> None:
    fresh = state_of(SPEC).breaker

    gone = fresh.after_endpoints(Endpoints(ready=0, restarts=0, at_s=NOW))
    looping = fresh.after_endpoints(Endpoints(ready=1, restarts=0, at_s=NOW)).after_endpoints(
        Endpoints(ready=1, restarts=3, at_s=NOW)
    )

    assert breaker_reason(gone) == "the canary has no ready endpoint"
    assert breaker_reason(looping) == "the canary's containers restarted 3 times within a minute"


def test_a_shared_outage_is_told() -> None:
    both = [
        call
        for pair in zip(calls(Arm.STABLE, 20, failed=True), calls(Arm.CANARY, 20, failed=True), strict=True)
        for call in pair
    ]
    state = state_of(SPEC)

    told = waits_for(replace(state, breaker=state.breaker.after(both, stable_p99_s=None)))

    assert told.startswith("holding, shared outage: ")


def test_the_observed_share_needs_counts_of_before_and_after() -> None:
    state = state_of(SPEC, served={"v1": 10, "v3": 0})

    def share(**served: int) -> float | None:
        return observed_percent(SPEC, state, seen(50, proxies=ProxiesView(canary_percent={}, served=served)))

    assert share(v1=13, v3=1) == 25.0
    assert share(v1=10, v3=0) is None
    assert observed_percent(SPEC, state, seen(50)) is None
    assert observed_percent(SPEC, state_of(SPEC), seen(50, proxies=ProxiesView(canary_percent={}, served={}))) is None
    assert observed_percent(SPEC, state, Observation()) is None
