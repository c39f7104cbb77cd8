"""HTTPMatchRequest -> Envoy's RouteMatch, and which listeners a match applies to at all.

`port`, `gateways`, `sourceLabels` and `sourceNamespace` are no matchers: they decide at translation time whether a
route is sent to a listener, because a listener knows its one caller.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from rollout.mesh.registry import Proxy
from rollout.mesh.translate.names import gateway_name
from rollout.mesh.translate.proto import Json, string_matcher
from rollout.mesh.translate.virtual_service import PRESENT, HttpMatch, StringMatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """For whom routes are made: a proxy, the service port it is asked on, and the gateway it serves (or `mesh`)."""

    proxy: Proxy
    port: int
    gateway: str
    is_tls: bool = False

    def is_meant_by(self, match: HttpMatch, namespace: str) -> bool:
        """Whether *match*, of a VirtualService in *namespace*, concerns this caller."""
        if match.port and match.port != self.port:
            return False
        if match.gateways:
            return self.gateway in {gateway_name(name, namespace) for name in match.gateways}
        return includes(self.proxy.labels, match.source_labels) and (
            match.source_namespace in ("", self.proxy.namespace)
        )


def includes(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Whether *labels* hold everything in *wanted*."""
    return all(labels.get(key) == value for key, value in wanted.items())


def route_match(match: HttpMatch | None) -> Json:
    """The conditions as Envoy checks them; no conditions match every path."""
    if match is None:
        return {"prefix": "/"}
    result = {**_path(match.uri), "case_sensitive": not match.ignore_uri_case}
    headers = [_header(name, string) for name, string in match.headers.items()]
    headers += [_without(name, string) for name, string in match.without_headers.items()]
    headers.sort(key=lambda header: str(header["name"]))
    pseudo = {":method": match.method, ":authority": match.authority, ":scheme": match.scheme}
    headers += [_header(name, string) for name, string in pseudo.items() if string]
    if headers:
        result["headers"] = headers
    if match.query_params:
        result["query_parameters"] = [_header(name, string) for name, string in match.query_params.items()]
    return result


def is_catch_all(match: Json) -> bool:
    """Whether nothing can pass a route with this match, so that later routes are never reached."""
    covers_paths = match.get("prefix") == "/" or match.get("safe_regex") == {"regex": ".*"}
    return covers_paths and not match.get("headers") and not match.get("query_parameters")


def _path(uri: StringMatch | None) -> Json:
    if uri is None or is_presence(uri):
        return {"prefix": "/"}
    matcher = string_matcher(uri)
    return {"path": uri.exact} if "exact" in matcher else matcher


def _header(name: str, string: StringMatch) -> Json:
    if is_presence(string):
        return {"name": name, "present_match": True}
    return {"name": name, "string_match": string_matcher(string)}


def _without(name: str, string: StringMatch) -> Json:
    header = {**_header(name, string), "invert_match": True}
    if "string_match" in header:  # Envoy refuses it beside present_match
        header["treat_missing_header_as_empty"] = True
    return header


def is_presence(string: StringMatch) -> bool:
    """`{}` and the regex `*` (not RE2, but an old custom) mean: whatever its value."""
    return string == StringMatch() or string.regex == PRESENT
