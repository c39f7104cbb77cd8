"""Documents that many tests start from."""

import copy
from typing import Any

_PLAN: dict[str, Any] = {
    "apiVersion": "rollout.dev/v1alpha1",
    "kind": "RolloutPlan",
    "metadata": {"name": "reviews", "namespace": "bookinfo"},
    "spec": {
        "steps": [
            {"probe": {"hold": "10s"}},
            {"cohort": {"headers": {"end-user": {"exact": "jason"}}, "hold": "30s"}},
            {"weight": 5, "hold": "30s"},
            {"weight": 25, "hold": "60s"},
            {"gate": "sre-signoff"},
            {"weight": 50, "hold": "60s"},
            {"weight": 100, "hold": "60s"},
        ],
        "load": {"url": "http://reviews:9080/reviews/0", "rate": "50/s", "split": "50/50", "timeout": "1s"},
        "checks": [
            {"name": "errors", "source": "load", "metric": "error-rate", "max": "1%", "maxIncrease": "50%"},
            {"name": "latency", "source": "load", "metric": "latency", "maxIncrease": "10%"},
            {"name": "users", "source": "prometheus", "metric": "error-rate", "max": "1%", "onNoData": "hold"},
            {"name": "custom", "source": "prometheus", "query": "sum(x)", "max": 3},
        ],
    },
}

_VIRTUAL_SERVICE: dict[str, Any] = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "VirtualService",
    "metadata": {"name": "reviews", "namespace": "bookinfo", "resourceVersion": "7"},
    "spec": {"hosts": ["reviews"], "http": [{"route": [{"destination": {"host": "reviews", "subset": "v1"}}]}]},
}

_DESTINATION_RULE: dict[str, Any] = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "DestinationRule",
    "metadata": {"name": "reviews", "namespace": "bookinfo"},
    "spec": {
        "host": "reviews",
        "subsets": [{"name": version, "labels": {"version": version}} for version in ("v1", "v2", "v3")],
    },
}


def plan_document() -> dict[str, Any]:
    """The plan of the design, a fresh copy."""
    return copy.deepcopy(_PLAN)


def virtual_service() -> dict[str, Any]:
    """All traffic of reviews to v1, a fresh copy."""
    return copy.deepcopy(_VIRTUAL_SERVICE)


def destination_rule() -> dict[str, Any]:
    """Subsets v1 to v3 of reviews, a fresh copy."""
    return copy.deepcopy(_DESTINATION_RULE)
