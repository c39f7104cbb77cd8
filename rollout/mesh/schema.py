"""Mappings into values in one step: a frozen dataclass is its own schema.

`read` follows the annotations of a dataclass through a document that came from YAML or JSON. It knows scalars, enums,
nested dataclasses, `tuple[X, ...]`, `Mapping[str, X]`, optional fields, `Annotated` constraints and classes that parse
themselves from text (`parse`). Keys are the camelCase of the attribute. Types are strict (a whole number in quotes is a
string, `true` is not 1), unknown keys are errors with the nearest known key, `null` means "not given", and all problems
of a document are found in one pass. What depends on several keys at once is left to the caller's own rules.
"""

import dataclasses
import difflib
import math
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, TypeVar

from rollout.yaml_documents import Path

T = TypeVar("T")


class Severity(StrEnum):
    """Whether a problem keeps the document out."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is wrong (or merely odd) at one key path of a document."""

    path: Path
    message: str
    severity: Severity = Severity.ERROR


@dataclass(frozen=True, slots=True)
class Bounds:
    """An inclusive range of a number."""

    low: float
    high: float

    def complaint(self, value: Any) -> str | None:
        """Why *value* does not fit."""
        return (
            None
            if self.low <= value <= self.high
            else f"must be in {self.low:.10g}..{self.high:.10g}, got {shown(value)}"
        )


Int32 = Annotated[int, Bounds(-(2**31), 2**31 - 1)]
UInt32 = Annotated[int, Bounds(0, 2**32 - 1)]
Port = Annotated[int, Bounds(1, 65535)]
Percent = Annotated[float, Bounds(0, 100)]
_Problems = list[Problem]
_Convert = Callable[[object, Path, _Problems], Any]
_INVALID = object()
_SCALARS: dict[type, str] = {str: "a string", int: "a whole number", float: "a number", bool: "true or false"}


def read(kind: type[T], value: object, path: Path = ()) -> tuple[T | None, tuple[Problem, ...]]:
    """*value* as a *kind*, or None, and every problem found on the way."""
    problems: _Problems = []
    result = _converter(typing.cast("Any", kind))(value, path, problems)
    return (None if problems else result), tuple(problems)


def plain(value: Any) -> Any:
    """The inverse of `read`: values back to what JSON carries, keys in camelCase, defaults left out."""
    if dataclasses.is_dataclass(value) and not hasattr(value, "parse"):
        changed = ((field, getattr(value, field.name)) for field in dataclasses.fields(value))
        return {key_of(field): plain(item) for field, item in changed if item != _default(field)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, StrEnum) or hasattr(value, "parse") else value


def _default(field: "dataclasses.Field[Any]") -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def key_of(field: "dataclasses.Field[Any]") -> str:
    """The key of a dataclass field in documents: its metadata `key`, else the camelCase of its name."""
    head, *tail = field.name.split("_")
    return str(field.metadata.get("key", head + "".join(part.capitalize() for part in tail)))


def shown(value: object) -> str:
    """A value as it may appear in a message: short, on one line."""
    text = {True: "true", False: "false", None: "null"}.get(value) if isinstance(value, bool | None) else None
    text = text or ("a mapping" if isinstance(value, dict) else "a list" if isinstance(value, list) else repr(value))
    return text if len(text) <= 60 else text[:57] + "..."


def nearest(word: str, words: typing.Iterable[str]) -> str:
    """`; did you mean "x"?`, or nothing when no word is near."""
    near = difflib.get_close_matches(word, list(words), n=1)
    return f'; did you mean "{near[0]}"?' if near else ""


@cache
def _converter(kind: Any) -> _Convert:
    arguments = typing.get_args(kind)
    match typing.get_origin(kind):
        case None:
            return _single(kind)
        case origin if origin is Annotated:
            return _constrained(_converter(arguments[0]), arguments[1:])
        case origin if origin is tuple:
            return _sequence(_converter(arguments[0]))
        case origin if origin is Mapping:
            return _mapping(_converter(arguments[1]))
    return _converter(arguments[0])  # X | None


def _single(kind: Any) -> _Convert:
    if kind is Any:
        return lambda value, path, problems: value
    if kind in _SCALARS:
        return _scalar(kind)
    if dataclasses.is_dataclass(kind) and not hasattr(kind, "parse"):
        return _dataclass(typing.cast("type", kind))
    return _parsed(kind)


def _refuse(path: Path, problems: _Problems, message: str) -> Any:
    problems.append(Problem(path=path, message=message))
    return _INVALID


def _scalar(kind: type) -> _Convert:
    what = _SCALARS[kind]

    def convert(value: object, path: Path, problems: _Problems) -> Any:
        if type(value) is kind:
            return value if kind is not float or math.isfinite(value) else _refuse(path, problems, "must be finite")  # type: ignore[arg-type]
        if kind is float and type(value) is int:
            return float(value)
        hint = "; put it in quotes" if kind is str and isinstance(value, bool | int | float) else ""
        return _refuse(path, problems, f"expected {what}, got {shown(value)}{hint}")

    return convert


def _parsed(kind: Any) -> _Convert:
    """Enums, and values that parse themselves from text."""
    choices = [str(member) for member in kind] if issubclass(kind, StrEnum) else []
    parse = kind if choices else kind.parse

    def convert(value: object, path: Path, problems: _Problems) -> Any:
        if not isinstance(value, str):
            return _refuse(path, problems, f"expected a string, got {shown(value)}")
        if choices and value not in choices:
            return _refuse(path, problems, f"must be one of {', '.join(choices)}, got {shown(value)}")
        try:
            return parse(value)
        except ValueError as error:
            return _refuse(path, problems, str(error))

    return convert


def _constrained(convert: _Convert, constraints: tuple[Any, ...]) -> _Convert:
    def constrained(value: object, path: Path, problems: _Problems) -> Any:
        result = convert(value, path, problems)
        if result is _INVALID:
            return result
        complaints = [text for constraint in constraints if (text := constraint.complaint(result))]
        return _refuse(path, problems, complaints[0]) if complaints else result

    return constrained


def _sequence(convert: _Convert) -> _Convert:
    def sequence(value: object, path: Path, problems: _Problems) -> Any:
        if not isinstance(value, list):
            return _refuse(path, problems, f"expected a list, got {shown(value)}")
        return tuple(convert(item, (*path, index), problems) for index, item in enumerate(value))

    return sequence


def _mapping(convert: _Convert) -> _Convert:
    def mapping(value: object, path: Path, problems: _Problems) -> Any:
        if not isinstance(value, dict):
            return _refuse(path, problems, f"expected a mapping, got {shown(value)}")
        return {str(key): convert(item, (*path, str(key)), problems) for key, item in value.items()}

    return mapping


def _dataclass(kind: type) -> _Convert:
    hints = typing.get_type_hints(kind, include_extras=True)
    fields = {key_of(field): field for field in dataclasses.fields(kind)}
    converters = {key: _converter(hints[field.name]) for key, field in fields.items()}
    required = [key for key, field in fields.items() if field.default is field.default_factory is dataclasses.MISSING]

    def convert(value: object, path: Path, problems: _Problems) -> Any:
        if not isinstance(value, dict):
            return _refuse(path, problems, f"expected a mapping, got {shown(value)}")
        before = len(problems)
        given = {}
        for key, item in value.items():
            if key not in fields:
                _refuse((*path, str(key)), problems, "unknown key" + nearest(str(key), fields))
            elif item is not None:
                given[fields[key].name] = converters[key](item, (*path, key), problems)
        for key in required:
            if value.get(key) is None:
                _refuse((*path, key), problems, "missing")
        return kind(**given) if len(problems) == before else _INVALID

    return convert
