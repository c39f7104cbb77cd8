import pytest

from tests.rollout.mesh.translate.documents import Json, destination_rule, route, routes, to

DEFAULT_ON = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
PREVIOUS_HOSTS = {
    "name": "envoy.retry_host_predicates.previous_hosts",
    "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
    },
}
BASE = {
    "num_retries": 3,
    "retry_on": DEFAULT_ON,
    "host_selection_retry_max_attempts": "5",
    "retry_host_predicate": [PREVIOUS_HOSTS],
}
HASHED = destination_rule(
    {"host": "reviews", "trafficPolicy": {"loadBalancer": {"consistentHash": {"useSourceIp": True}}}}
)


def policy(retries: Json | None, *rules: Json) -> Json | None:
    found: Json | None = route({"route": [to()], "retries": retries}, *rules)["route"].get("retry_policy")
    return found


def test_by_default_two_retries_and_none_of_a_503() -> None:
    assert policy(None) == BASE | {"num_retries": 2}
    assert routes()[0]["route"]["retry_policy"] == BASE | {"num_retries": 2}


@pytest.mark.parametrize(
    ("retries", "changed"),
    [
        ({}, {}),
        ({"perTryTimeout": "2.5s"}, {"per_try_timeout": "2.5s"}),
        ({"backoff": "10ms"}, {"retry_back_off": {"base_interval": "0.01s"}}),
        ({"retryOn": "5xx, reset"}, {"retry_on": "5xx,reset"}),
        (
            {"retryOn": "5xx,503,,429"},
            {"retry_on": "5xx,retriable-status-codes", "retriable_status_codes": [503, 429]},
        ),
        (
            {"retryOn": "retriable-status-codes,503"},
            {"retry_on": "retriable-status-codes", "retriable_status_codes": [503]},
        ),
        ({"retryIgnorePreviousHosts": True}, {}),
        (
            {"retryRemoteLocalities": True},
            {
                "retry_priority": {
                    "name": "envoy.retry_priorities.previous_priorities",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.retry.priority.previous_priorities.v3."
                        "PreviousPrioritiesConfig",
                        "update_frequency": 2,
                    },
                }
            },
        ),
    ],
)
def test_retries_are_made_as_asked(retries: Json, changed: Json) -> None:
    assert policy({"attempts": 3, **retries}) == BASE | changed


def test_no_attempts_mean_no_policy() -> None:
    assert policy({"attempts": 0}) is None


def test_a_retry_may_meet_the_same_host_when_it_is_pinned_there_or_when_asked() -> None:
    same_host = {key: value for key, value in BASE.items() if key != "retry_host_predicate"}

    assert policy({"attempts": 3, "retryIgnorePreviousHosts": False}) == same_host
    assert policy({"attempts": 3}, HASHED) == same_host
    assert policy({"attempts": 3, "retryIgnorePreviousHosts": True}, HASHED) == BASE
