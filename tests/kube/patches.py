"""JSON patch (RFC 6902) and JSON merge patch (RFC 7396), as an API server applies them."""

import copy
from typing import Any

from tests.kube.errors import ApiError, Json, conflict, invalid


def merge_patched(target: Any, patch: Any) -> Any:
    """RFC 7396: null deletes, lists are replaced."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patched(result.get(key), value)
    return result


def json_patched(target: Json, operations: Any) -> Json:
    """RFC 6902. A failed test or a missing path is 422, a stale resourceVersion is 409."""
    if not isinstance(operations, list):
        raise ApiError(400, "BadRequest", "error decoding patch: cannot unmarshal object into []jsonpatch.Operation")
    result = copy.deepcopy(target)
    for operation in operations:
        _apply(result, operation)
    if result["metadata"]["resourceVersion"] != target["metadata"]["resourceVersion"]:
        raise conflict(target["metadata"]["name"])
    return result


def _apply(document: Json, operation: Json) -> None:
    *way, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
    refusal = invalid("patch", "the server rejected our request due to an error in our request")
    try:
        node: Any = document
        for part in way:
            node = node[int(part)] if isinstance(node, list) else node[part]
        match operation["op"]:
            case "test":
                if (node[int(last)] if isinstance(node, list) else node[last]) != operation["value"]:
                    raise refusal
            case "replace":
                key: Any = int(last) if isinstance(node, list) else last
                node[key]  # it has to be there
                node[key] = operation["value"]
            case "remove":
                del node[int(last) if isinstance(node, list) else last]
            case "add" if isinstance(node, list):
                node.insert(len(node) if last == "-" else int(last), operation["value"])
            case "add":
                node[last] = operation["value"]
            case other:
                raise ApiError(400, "BadRequest", f"unknown op {other}")
    except (LookupError, TypeError, ValueError):
        raise refusal from None
