"""Plans made from other plans: a default where nobody wrote one, other steps for one run, and the way back."""

from collections.abc import Sequence
from typing import Any

from rollout.core.plan_rules import parse_plan
from rollout.core.spec import PlanSpec, RolloutPlan

DEFAULT_WEIGHTS = (5, 25, 50, 100)
DEFAULT_HOLD = "60s"
UNDO_HOLD = "10s"


def default_plan(service: str, namespace: str) -> RolloutPlan:
    """Steps and checks for a service without a plan: users' errors and latency, as Prometheus has them."""
    return parse_plan(
        {
            "apiVersion": "rollout.dev/v1alpha1",
            "kind": "RolloutPlan",
            "metadata": {"name": service, "namespace": namespace},
            "spec": {
                "steps": [{"weight": weight, "hold": DEFAULT_HOLD} for weight in DEFAULT_WEIGHTS],
                "checks": [
                    {"name": "errors", "source": "prometheus", "metric": "error-rate", "max": "1%"},
                    {"name": "latency", "source": "prometheus", "metric": "latency", "maxIncrease": "20%"},
                ],
            },
        }
    )


def with_steps(plan: RolloutPlan, weights: Sequence[int], hold: str) -> RolloutPlan:
    """Return *plan* with other weights, or with another hold for every step, or both.

    Raises PlanError as parse_plan does.
    """
    document = _document(plan)
    steps = [{"weight": weight, "hold": hold or DEFAULT_HOLD} for weight in weights] if weights else None
    document["spec"]["steps"] = steps or [_held(step, hold) for step in document["spec"]["steps"]]
    return parse_plan(document)


def plan_for_undo(spec: PlanSpec) -> PlanSpec:
    """The way back to an earlier version: all at once, still guarded by the breaker and the same checks.

    A check that fails holds instead of bouncing back: a person asked for this version.
    """
    document = spec.model_dump(by_alias=True, exclude_unset=True, mode="json")
    document |= {
        "steps": [{"weight": 100, "hold": UNDO_HOLD}],
        "onFail": "pause",
        "onInconclusive": "promote-if-no-harm",
    }
    return PlanSpec.model_validate(document)


def _document(plan: RolloutPlan) -> dict[str, Any]:
    return plan.model_dump(by_alias=True, exclude_unset=True, mode="json")


def _held(step: dict[str, Any], hold: str) -> dict[str, Any]:
    match step:
        case {"gate": _}:
            return step
        case {"probe": probe}:
            return {"probe": {**probe, "hold": hold}}
        case {"cohort": cohort}:
            return {"cohort": {**cohort, "hold": hold}}
        case _:
            return {**step, "hold": hold}
