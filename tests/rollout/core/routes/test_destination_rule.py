"""What DestinationRules say about subsets."""

import pytest

from rollout.core.routes.destination_rule import require_subsets, subset_labels
from rollout.core.routes.target import RouteProblem, RouteScope
from tests.rollout.core.documents import destination_rule

SCOPE = RouteScope(namespace="bookinfo", service="reviews", stable="v1", canary="v3")


def test_rules_for_one_host_merge_and_the_first_of_equal_names_counts() -> None:
    second = destination_rule()
    second["spec"] = {
        "host": "reviews.bookinfo.svc.cluster.local",
        "subsets": [{"name": "v1", "labels": {"other": "x"}}, {"name": "v4", "labels": {"version": "v4"}}],
    }

    labels = subset_labels([destination_rule(), second], SCOPE)

    assert list(labels) == ["v1", "v2", "v3", "v4"]
    assert labels["v1"] == {"version": "v1"}


def test_rules_of_other_hosts_and_empty_ones_are_passed_over() -> None:
    other = destination_rule()
    other["spec"]["host"] = "ratings"

    assert subset_labels([other, {"spec": None}, {"spec": {"host": "reviews"}}], SCOPE) == {}


def test_a_missing_subset_is_named_with_those_there_are() -> None:
    rule = destination_rule()
    rule["spec"]["subsets"].pop()

    require_subsets([destination_rule()], SCOPE)
    with pytest.raises(RouteProblem, match=r"no DestinationRule defines subset v3 .*\(defined: v1, v2\)"):
        require_subsets([rule], SCOPE)
    with pytest.raises(RouteProblem, match=r"\(defined: none\)"):
        require_subsets([], SCOPE)
