"""Header operations of a route or destination -> Envoy's fields on a Route or ClusterWeight."""

from rollout.mesh.translate.proto import Json, given
from rollout.mesh.translate.virtual_service import HeaderOperations, Headers


def header_fields(headers: Headers) -> Json:
    """What is set, added and removed, per direction; `Host` and pseudo headers are not among it."""
    return given(
        request_headers_to_add=_additions(headers.request),
        request_headers_to_remove=_removals(headers.request),
        response_headers_to_add=_additions(headers.response),
        response_headers_to_remove=_removals(headers.response),
    )


def authority(headers: Headers) -> str:
    """The authority that request headers ask for."""
    return next(iter(authorities(headers)), "")


def authorities(headers: Headers) -> list[str]:
    """Every authority that request headers ask for, `set` before `add`: more than one is a mistake."""
    return [
        value
        for operations in (headers.request.set, headers.request.add)
        for name, value in operations.items()
        if name.lower() in ("host", ":authority")
    ]


def _additions(operations: HeaderOperations) -> list[Json]:
    actions = (("OVERWRITE_IF_EXISTS_OR_ADD", operations.set), ("APPEND_IF_EXISTS_OR_ADD", operations.add))
    return [
        {"header": {"key": name, "value": value}, "append_action": action}
        for action, headers in actions
        for name, value in sorted(headers.items())
        if not _is_internal(name)
    ]


def _removals(operations: HeaderOperations) -> list[str]:
    return [name for name in operations.remove if not _is_internal(name)]


def _is_internal(name: str) -> bool:
    return name.startswith(":") or name.lower() == "host"
