"""What istiod demands of match conditions, strings to compare and headers."""

import re
from collections.abc import Iterator, Mapping

from rollout.mesh.schema import Problem, Severity
from rollout.mesh.translate.names import is_label, is_object_name
from rollout.mesh.translate.virtual_service import PRESENT, HttpMatch, StringMatch
from rollout.yaml_documents import Path

REGEX_MAX = 1024  # istiod's own limit (pkg/config/validation: regex must be less than 1024 characters)
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token, RFC 9110
_HEADER_VALUE = re.compile(r"[^\r\n\0]*")
_CLAIMS = "@request.auth.claims"
# Constructs RE2 knows and Python does not: where one occurs, only Envoy itself can say whether the regex is good.
_ONLY_RE2 = re.compile(r"\\[pPzCQE]|\[\[:|\(\?|\(\*")


def match_problems(match: HttpMatch, path: Path, *, is_delegated: bool) -> Iterator[Problem]:
    """Everything wrong with one match; roots and delegates may not use regular expressions."""
    for inner, string in _strings(match):
        if string.regex != PRESENT:
            yield from string_problems(string, (*path, *inner), may_be_empty=inner == ("uri",))
        if is_delegated and string.regex is not None:
            yield Problem(path=(*path, *inner, "regex"), message="regex is not supported for delegating")
    for key, headers in (("headers", match.headers), ("withoutHeaders", match.without_headers)):
        for name in headers:
            yield from _header_name_problems(name, (*path, key, name))
    if "" in match.query_params:
        yield Problem(path=(*path, "queryParams", ""), message="a query parameter needs a name")
    if match.source_namespace and not is_label(match.source_namespace):
        yield Problem(path=(*path, "sourceNamespace"), message=f"not a namespace: {match.source_namespace!r}")
    for index, gateway in enumerate(match.gateways):
        yield from gateway_reference_problems(gateway, (*path, "gateways", index))
    if match.gateways and (match.source_labels or match.source_namespace):
        message = "sourceLabels and sourceNamespace have no effect beside gateways"
        yield Problem(path=(*path, "gateways"), message=message, severity=Severity.WARNING)


def _strings(match: HttpMatch) -> Iterator[tuple[Path, StringMatch]]:
    for key in ("uri", "scheme", "method", "authority"):
        string = getattr(match, key)
        if string is not None:
            yield (key,), string
    groups: dict[str, Mapping[str, StringMatch]] = {
        "headers": match.headers,
        "withoutHeaders": match.without_headers,
        "queryParams": match.query_params,
    }
    for key, strings in groups.items():
        for name, string in strings.items():
            yield (key, name), string


def string_problems(string: StringMatch, path: Path, *, may_be_empty: bool = False) -> Iterator[Problem]:
    """Exact, prefix or regex: one at most, the regex must look like one, and only a path has an empty prefix."""
    given = [key for key in ("exact", "prefix", "regex") if getattr(string, key) is not None]
    if len(given) > 1:
        yield Problem(path=path, message=f"only one of exact, prefix, regex: {' and '.join(given)} are given")
    if string.prefix == "" and not may_be_empty:
        yield Problem(path=(*path, "prefix"), message="must not be empty")
    if string.regex is not None:
        yield from regex_problems(string.regex, (*path, "regex"))


def regex_problems(regex: str, path: Path) -> Iterator[Problem]:
    """Length, and what Python's compiler can tell; Envoy has the last word before anything is published."""
    if not regex:
        yield Problem(path=path, message="must not be empty")
    elif len(regex) > REGEX_MAX:
        yield Problem(path=path, message=f"{len(regex)} characters are too many, at most {REGEX_MAX}")
    elif not _ONLY_RE2.search(regex):
        try:
            re.compile(regex)
        except re.error as error:
            yield Problem(path=path, message=f"not a regular expression: {error}")


def _header_name_problems(name: str, path: Path) -> Iterator[Problem]:
    if name.startswith(_CLAIMS):
        yield Problem(path=path, message="JWT claims can only be matched behind request authentication")
    elif not HEADER_NAME.fullmatch(name.removeprefix(":")):
        yield Problem(path=path, message=f"not a header name: {name!r}")


def operation_problems(operations: Mapping[str, str], path: Path, *, may_set_authority: bool) -> Iterator[Problem]:
    """Headers that are set or added; only requests may set their authority, by `Host` or `:authority`."""
    for name, value in operations.items():
        is_authority = name.lower() in ("host", ":authority")
        if not HEADER_NAME.fullmatch(name) and not (is_authority and may_set_authority):
            yield Problem(path=(*path, name), message=f"not a header name: {name!r}")
        if not _HEADER_VALUE.fullmatch(value):
            yield Problem(path=(*path, name), message="a header value is one line")


def removal_problems(names: tuple[str, ...], path: Path) -> Iterator[Problem]:
    """Headers that are removed."""
    for index, name in enumerate(names):
        if not HEADER_NAME.fullmatch(name) or name.lower() == "host":
            yield Problem(path=(*path, index), message=f"not a header that can be removed: {name!r}")


def gateway_reference_problems(reference: str, path: Path) -> Iterator[Problem]:
    """A gateway is named `mesh`, `name` or `namespace/name`."""
    *namespace, name = reference.split("/")
    if len(namespace) > 1 or not is_object_name(name) or not all(map(is_label, namespace)):
        yield Problem(path=path, message=f"not a gateway: {reference!r}; write name or namespace/name")
