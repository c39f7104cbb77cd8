"""Load balancing and outlier detection of a cluster."""

from rollout.mesh.translate.destination_rule import ConsistentHash, LoadBalancer, OutlierDetection, SimpleLb, Warmup
from rollout.mesh.translate.proto import Json, given

_RING_SIZE_MIN = 1024  # istiod's default
_POLICIES = {
    None: "LEAST_REQUEST",
    SimpleLb.UNSPECIFIED: "LEAST_REQUEST",
    SimpleLb.LEAST_CONN: "LEAST_REQUEST",
    SimpleLb.LEAST_REQUEST: "LEAST_REQUEST",
    SimpleLb.ROUND_ROBIN: "ROUND_ROBIN",
    SimpleLb.RANDOM: "RANDOM",
    # PASSTHROUGH means "where the caller was going": our callers connect to Envoy itself, so there is no such address.
    SimpleLb.PASSTHROUGH: "LEAST_REQUEST",
}


def balancing(balancer: LoadBalancer | None) -> Json:
    """How an endpoint is chosen."""
    if balancer is None:
        return {"lb_policy": "LEAST_REQUEST"}
    if balancer.consistent_hash:
        return _hashing(balancer.consistent_hash)
    policy = _POLICIES[balancer.simple]
    old = balancer.warmup_duration_secs
    warmup = balancer.warmup or (Warmup(duration=old) if old else None)
    if warmup is None:
        return {"lb_policy": policy}
    config = {"ROUND_ROBIN": "round_robin_lb_config"}.get(policy, "least_request_lb_config")
    return {"lb_policy": policy, config: {"slow_start_config": _slow_start(warmup)}}


def _slow_start(warmup: Warmup) -> Json:
    aggression = {"default_value": warmup.aggression or 1.0, "runtime_key": ""}
    percent = {} if warmup.minimum_percent is None else {"min_weight_percent": {"value": warmup.minimum_percent}}
    return {"slow_start_window": str(warmup.duration), "aggression": aggression, **percent}


def _hashing(wanted: ConsistentHash) -> Json:
    if wanted.maglev:
        return {"lb_policy": "MAGLEV", "maglev_lb_config": {"table_size": wanted.maglev.table_size}}
    size = (wanted.ring_hash.minimum_ring_size if wanted.ring_hash else 0) or wanted.minimum_ring_size
    return {"lb_policy": "RING_HASH", "ring_hash_lb_config": {"minimum_ring_size": size or _RING_SIZE_MIN}}


def outlier_detection(outlier: OutlierDetection) -> Json:
    """Who is ejected. Rates are not judged (enforcing_success_rate 0), only errors in a row, as in istiod."""
    result: Json = {"enforcing_success_rate": 0}
    counted = {
        "consecutive_5xx": outlier.consecutive_5xx_errors,
        "consecutive_gateway_failure": outlier.consecutive_gateway_errors,
    }
    for name, errors in counted.items():
        if errors is not None:
            result |= {name: errors, f"enforcing_{name}": 100 if errors else 0}
    result |= given(
        interval=str(outlier.interval) if outlier.interval else "",
        base_ejection_time=str(outlier.base_ejection_time) if outlier.base_ejection_time else "",
        max_ejection_percent=outlier.max_ejection_percent,
    )
    if outlier.split_external_local_origin_errors:
        failures = outlier.consecutive_local_origin_failures
        result |= {"split_external_local_origin_errors": True, "enforcing_local_origin_success_rate": 0}
        if failures is not None:
            enforcing = 100 if failures else 0
            result |= {
                "consecutive_local_origin_failure": failures,
                "enforcing_consecutive_local_origin_failure": enforcing,
            }
    return result


def error_matcher(codes: tuple[int, ...]) -> Json:
    """Which status codes count as errors of an endpoint, where not just any 5xx should."""
    rules = [_status_is(code) for code in codes]
    if not rules:
        return {}
    return {"error_matcher": rules[0] if len(rules) == 1 else {"or_match": {"rules": rules}}}


def _status_is(code: int) -> Json:
    return {"http_response_headers_match": {"headers": [{"name": ":status", "string_match": {"exact": str(code)}}]}}
