"""Values to JSON and back, exactly: one field, one key; unknown keys, wrong types and wrong values name their path.

A list holds rows of numbers (a histogram) and is written as it is, because there are thousands of them a second.

Frozen dataclasses are the schema. Supported are str, int, float, bool, bytes (base64), StrEnum, dataclasses, tuples,
lists of such rows, dictionaries with string keys, and `| None`. Nothing else is needed, so nothing else is here.
"""

import base64
import binascii
import dataclasses
import functools
import types
import typing
from collections.abc import Hashable, Mapping
from enum import StrEnum

LEAVES = frozenset({int, float, str, bool, list, type(None)})


def to_json(value: object) -> object:
    """Give the JSON shape of a value."""
    kind = type(value)
    if kind in LEAVES or isinstance(value, StrEnum):
        return value
    if kind is tuple:
        return [to_json(item) for item in typing.cast("tuple[object, ...]", value)]
    if kind is dict:
        return {str(key): to_json(item) for key, item in typing.cast("dict[object, object]", value).items()}
    if kind is bytes:
        return base64.b64encode(typing.cast("bytes", value)).decode("ascii")
    names = typing.cast("dict[str, object]", hints_of(typing.cast("Hashable", kind)))
    return {name: to_json(getattr(value, name)) for name in names}


T = typing.TypeVar("T")


def from_json(cls: type[T], document: object, path: str = "") -> T:
    """Build a dataclass from JSON, or raise ValueError that begins with the key's path."""
    if not isinstance(document, Mapping):
        raise wrong(path or cls.__name__, "an object", document)
    hints = hints_of(typing.cast("Hashable", cls))
    for key in document:
        if key not in hints:
            raise ValueError(f"{joined(path, str(key))}: unknown key, expected one of {', '.join(sorted(hints))}")
    values = {key: convert(hints[key], item, joined(path, key)) for key, item in document.items()}
    try:
        return cls(**values)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: {error}" if path else str(error)) from error


@functools.cache
def hints_of(cls: Hashable) -> dict[str, typing.Any]:
    """Resolve a dataclass's annotations once."""
    return typing.get_type_hints(typing.cast("type", cls))


def joined(path: str, key: str) -> str:
    """Extend a path by a key."""
    return f"{path}.{key}" if path else key


def named(value: object) -> str:
    """Name a JSON value's type as JSON does."""
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def wrong(path: str, expected: str, value: object) -> ValueError:
    """Say what was expected and what came."""
    return ValueError(f"{path}: expected {expected}, got {named(value)}")


def convert(hint: typing.Any, value: object, path: str) -> object:
    """Turn one JSON value into what the annotation says."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return None if value is None else convert(arguments[0], value, path)
    if origin is tuple:
        return sequence(arguments, value, path)
    if origin is list:
        return rows(typing.get_args(arguments[0]), value, path)
    if origin is dict:
        return mapping(arguments, value, path)
    if dataclasses.is_dataclass(hint):
        return from_json(typing.cast("type[object]", hint), value, path)
    return scalar(hint, value, path)


def rows(kinds: tuple[type, ...], value: object, path: str) -> list[tuple[object, ...]]:
    """Convert `list[tuple[int, ...]]`: all at once, because a long run's report has ten thousand of them."""
    if not isinstance(value, list):
        raise wrong(path, "an array", value)
    for index, row in enumerate(value):
        if type(row) is not list or tuple(map(type, row)) != kinds:
            raise ValueError(f"{path}[{index}]: expected {' and '.join(expected_name(kind) for kind in kinds)}")
    return list(map(tuple, value))


def sequence(arguments: tuple[typing.Any, ...], value: object, path: str) -> object:
    """Convert an array: `tuple[X, ...]` or a tuple of fixed shape."""
    if not isinstance(value, list):
        raise wrong(path, "an array", value)
    if arguments[-1] is Ellipsis:
        return tuple(convert(arguments[0], item, f"{path}[{index}]") for index, item in enumerate(value))
    if len(value) != len(arguments):
        raise ValueError(f"{path}: expected {len(arguments)} items, got {len(value)}")
    return tuple(
        convert(hint, item, f"{path}[{index}]") for index, (hint, item) in enumerate(zip(arguments, value, strict=True))
    )


def mapping(arguments: tuple[typing.Any, ...], value: object, path: str) -> dict[str, object]:
    """Convert an object whose keys are free."""
    if not isinstance(value, Mapping):
        raise wrong(path, "an object", value)
    return {str(key): convert(arguments[1], item, joined(path, str(key))) for key, item in value.items()}


def scalar(hint: typing.Any, value: object, path: str) -> object:
    """Convert a leaf. Integers are good floats; nothing else is coerced."""
    if hint is bytes and isinstance(value, str):
        try:
            return base64.b64decode(value, validate=True)
        except binascii.Error as error:
            raise ValueError(f"{path}: expected base64") from error
    if hint is float and type(value) is int:
        return float(value)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return member(hint, value, path)
    if type(value) is not hint:
        raise wrong(path, expected_name(hint), value)
    return value


def expected_name(hint: type) -> str:
    """Name a Python leaf type as JSON would."""
    return {str: "a string", bool: "a boolean", bytes: "base64", int: "an integer"}.get(hint, "a number")


def member(hint: type[StrEnum], value: object, path: str) -> StrEnum:
    """Find an enumeration's member by its value."""
    try:
        return hint(str(value))
    except ValueError as error:
        choices = ", ".join(item.value for item in hint)
        raise ValueError(f"{path}: expected one of {choices}, got {value!r}") from error
