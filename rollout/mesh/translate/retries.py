"""Retries: HTTPRetry -> Envoy's RetryPolicy, with istiod's defaults (since 1.24 a 503 is not retried by default)."""

from rollout.mesh.translate.proto import Json, extension
from rollout.mesh.translate.virtual_service import Retries

_DEFAULT = Retries(attempts=2, retry_on="connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes")
_PREVIOUS_HOSTS = extension(
    "envoy.retry_host_predicates.previous_hosts",
    "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
)
_PREVIOUS_PRIORITIES = extension(
    "envoy.retry_priorities.previous_priorities",
    "envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
    update_frequency=2,
)
_HOST_SELECTIONS = "5"  # istiod's host_selection_retry_max_attempts


def retry_policy(retries: Retries | None, *, is_hashed: bool) -> Json | None:
    """Envoy's policy; None when attempts is 0. A hashed route may retry on the host it is pinned to."""
    asked = retries or _DEFAULT
    if asked.attempts <= 0:
        return None
    avoids_hosts = not is_hashed if asked.retry_ignore_previous_hosts is None else asked.retry_ignore_previous_hosts
    policy: Json = {
        "num_retries": asked.attempts,
        **_conditions(asked.retry_on or _DEFAULT.retry_on),
        "host_selection_retry_max_attempts": _HOST_SELECTIONS,
    }
    if avoids_hosts:
        policy["retry_host_predicate"] = [_PREVIOUS_HOSTS]
    if asked.per_try_timeout:
        policy["per_try_timeout"] = str(asked.per_try_timeout)
    if asked.backoff:
        policy["retry_back_off"] = {"base_interval": str(asked.backoff)}
    if asked.retry_remote_localities:
        policy["retry_priority"] = _PREVIOUS_PRIORITIES
    return policy


def _conditions(retry_on: str) -> Json:
    words = [word.strip() for word in retry_on.split(",") if word.strip()]
    codes = [int(word) for word in words if word.isdigit()]
    conditions = [word for word in words if not word.isdigit()]
    if not codes:
        return {"retry_on": ",".join(conditions)}
    if "retriable-status-codes" not in conditions:
        conditions.append("retriable-status-codes")
    return {"retry_on": ",".join(conditions), "retriable_status_codes": codes}
