"""The judge of rollout.core behind the interface that this harness measures: the plan decides, nothing is rebuilt here.

The plan is the one of the documents: errors of 1 % at most and half as many again as stable at most, latency 10 % above
stable at most. Its harm is the design's policy, one third each for relative errors, objective and latency.
"""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Self

from rollout.core import judge as judging
from rollout.core.evidence import Stratum
from rollout.core.ledger import Evidence, fold
from rollout.core.plan_rules import parse_plan
from rollout.core.spec import PlanSpec, Source
from rollout.core.trials import Trial, trials_of

WEIGHTS = (0.05, 0.25, 0.5)


class Verdict(StrEnum):
    """What the judge says after a stratum."""

    CONTINUE = "continue"
    ROLLBACK = "rollback"
    ACCEPT = "accept"


def plan_with(*, max_increase: str = "50%", **latency: Any) -> PlanSpec:
    """Both checks on synthetic load; *latency* replaces keys of the second."""
    errors = {"name": "errors", "metric": "error-rate", "max": "1%", "maxIncrease": max_increase}
    slow = {"name": "latency", "metric": "latency", "maxIncrease": "10%", **latency}
    return parse_plan(
        {
            "apiVersion": "rollout.dev/v1alpha1",
            "kind": "RolloutPlan",
            "metadata": {"name": "measured"},
            "spec": {
                "steps": [{"weight": round(100 * weight), "hold": "30s"} for weight in (*WEIGHTS, 1.0)],
                "load": {"url": "http://measured/", "rate": "100/s"},
                "checks": [{"source": "load", **check} for check in (errors, slow)],
            },
        }
    ).spec


USUAL = plan_with()
NO_INCREASE = plan_with(max_increase="0%")  # "no worse than stable": never proven, but soonest refuted
LOW_TRAFFIC = plan_with(quantiles=["p50", "p95"], maxIncrease="25%")  # health: half as slow again is tolerated


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """A value: each call returns the judge that knows more."""

    plan: PlanSpec
    trials: tuple[Trial, ...]
    evidence: Evidence = field(default_factory=Evidence)
    step: int = 0

    @classmethod
    def fresh(cls, plan: PlanSpec) -> Self:
        """Before the first step has shown anything."""
        return cls(plan=plan, trials=trials_of(plan))

    def start_step(self) -> Self:
        """What rollout.core.phase does between steps."""
        return replace(self, evidence=self.evidence.for_next_step(), step=self.step + 1)

    def update(self, stratum: Stratum) -> Self:
        """What rollout.core.absorption does with a stratum of the load."""
        evidence = fold(self.evidence, self.trials, Source.LOAD, stratum, steps=len(WEIGHTS))
        return replace(self, evidence=evidence)

    def verdict(self) -> Verdict:
        """What rollout.core.machine makes of the judgement."""
        judgement = judging.judge(self.plan, self.evidence, weight=round(100 * WEIGHTS[self.step]))
        if judgement.verdict is judging.Verdict.FAIL:
            return Verdict.ROLLBACK
        return Verdict.ACCEPT if judgement.may_advance else Verdict.CONTINUE
