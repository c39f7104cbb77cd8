"""Plans that tests start from, without the load breaker: on a starved machine a healthy server may look ill."""

from typing import Any

from loadgen.core.plan import Arm, Plan, Stage, Target

URL = "http://127.0.0.1:8080/"
TWO_ARMS = (
    Arm(name="stable", share=0.75, headers=(("x-rollout-version", "v1"),)),
    Arm(name="canary", share=0.25, headers=(("x-rollout-version", "v3"),)),
)


def steady(rate_per_s: float = 10.0, duration_s: float = 10.0, **fields: Any) -> Plan:
    """An open loop at one rate."""
    fields.setdefault("breaker", False)
    fields.setdefault("targets", (Target(url=fields.pop("url", URL)),))
    return Plan(stages=(Stage(from_per_s=rate_per_s, to_per_s=rate_per_s, duration_s=duration_s),), **fields)


def closed(requests: int = 20, **fields: Any) -> Plan:
    """A closed loop of so many requests."""
    fields.setdefault("breaker", False)
    fields.setdefault("targets", (Target(url=fields.pop("url", URL)),))
    return Plan(requests=requests, closed=True, **fields)
