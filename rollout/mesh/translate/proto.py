"""The few words of Envoy's proto-JSON that everything else is built from."""

from typing import Any, TypeAlias

from rollout.mesh.translate.virtual_service import Percentage, StringMatch

Json: TypeAlias = dict[str, Any]

TYPE = "type.googleapis.com/"
LISTENER = TYPE + "envoy.config.listener.v3.Listener"
ROUTES = TYPE + "envoy.config.route.v3.RouteConfiguration"
CLUSTER = TYPE + "envoy.config.cluster.v3.Cluster"
ENDPOINTS = TYPE + "envoy.config.endpoint.v3.ClusterLoadAssignment"
HTTP_PROTOCOL_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
# What the access log reads back: who a cluster and an endpoint are, under this name in their metadata.
METADATA = "rollout"


def typed(message: str, **fields: Any) -> Json:
    """An Any: *fields* of the protobuf *message*."""
    return {"@type": TYPE + message, **fields}


def extension(name: str, message: str, **fields: Any) -> Json:
    """An extension point filled with the protobuf *message*."""
    return {"name": name, "typed_config": typed(message, **fields)}


def given(**fields: Any) -> Json:
    """Only those fields that say something: None, "", 0, False and empty collections are left out."""
    return {key: value for key, value in fields.items() if value}


def million(percentage: Percentage) -> Json:
    """A percentage as Envoy draws it: parts per million, rounded down as istiod does."""
    return {"numerator": int(percentage.value * 10_000), "denominator": "MILLION"}


def hundred(percent: int) -> Json:
    """A whole percentage."""
    return {"numerator": percent, "denominator": "HUNDRED"}


def string_matcher(string: StringMatch) -> Json:
    """How Envoy compares a string; "present" has another spelling and is the caller's business."""
    if string.exact is not None:
        return {"exact": string.exact}
    if string.prefix is not None:
        return {"prefix": string.prefix}
    return {"safe_regex": {"regex": string.regex}}
