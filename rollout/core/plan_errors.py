"""What pydantic found, as sentences a person can act on: the key's path, the problem, what would have been right."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from rollout.core.quantities import format_duration, parse_duration, shown
from rollout.core.spec import STEP_KINDS

Location = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)

_TAGGED_LISTS = {"steps", "checks"}  # pydantic names the chosen union member after the index; no key of the document


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and where: a path of keys and list indexes from the document's root."""

    location: Location
    message: str

    @property
    def path(self) -> str:
        """The location as people write it: spec.steps[2].hold."""
        text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in self.location)
        return text.removeprefix(".") or "the document"

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


def problems_from(model: type[Model], document: Any) -> tuple[tuple[Problem, ...], Model | None]:
    """Validate *document*: either no problems and the value, or every problem and no value."""
    if not isinstance(document, dict):
        return (Problem((), f"expected a mapping with {_keys_of(model)}, got {shown(document)}"),), None
    try:
        return (), model.model_validate(document)
    except ValidationError as error:
        return problems_of(model, error), None


def problems_of(model: type[BaseModel], error: ValidationError) -> tuple[Problem, ...]:
    """Every problem that pydantic found, as sentences."""
    words = _vocabulary(model)
    return tuple(Problem(_location(detail), _sentence(detail, words)) for detail in error.errors(include_url=False))


def _location(detail: ErrorDetails) -> Location:
    """Drop the union tags that pydantic adds to the path."""
    location = detail["loc"]
    return tuple(
        part
        for i, part in enumerate(location)
        if not (i >= 2 and isinstance(location[i - 1], int) and location[i - 2] in _TAGGED_LISTS)
    )


def _sentence(detail: ErrorDetails, words: frozenset[str]) -> str:
    value, context = detail["input"], detail.get("ctx", {})
    match detail["type"]:
        case "missing":
            return "is required"
        case "extra_forbidden":
            return _unknown_key(str(detail["loc"][-1]), words)
        case "value_error":
            return str(context["error"])
        case "union_tag_not_found" | "union_tag_invalid":
            return f"a step has one of the keys {', '.join(STEP_KINDS)}; got {shown(value)}"
        case "greater_than_equal" | "less_than_equal" | "greater_than" | "less_than" as kind:
            return f"{shown(value)} must be {_RELATION[kind]} {_limit(value, next(iter(context.values())))}"
        case "int_type" | "int_from_float" | "int_parsing":
            return f"expected a whole number, got {shown(value)}"
        case "model_type" | "dict_type" | "model_attributes_type":
            return f"expected a mapping, got {shown(value)}"
        case "tuple_type" | "list_type":
            return f"expected a list, got {shown(value)}"
        case "literal_error" | "enum":
            return f"expected {context['expected']}, got {shown(value)}"
        case "string_type":
            return f"expected text, got {shown(value)}"
        case _:
            return f"{detail['msg'][:1].lower()}{detail['msg'][1:]}, got {shown(value)}"


_RELATION = {
    "greater_than_equal": "at least",
    "less_than_equal": "at most",
    "greater_than": "more than",
    "less_than": "less than",
}


def _limit(value: Any, limit: float) -> str:
    """Say *limit* in the unit that the person wrote."""
    try:
        parse_duration(value)
    except ValueError:
        return f"{limit:g}"
    return format_duration(limit)


def _unknown_key(key: str, words: Iterable[str]) -> str:
    near = difflib.get_close_matches(key, sorted(words), n=1, cutoff=0.6)
    return f"unknown key{f'; did you mean {near[0]!r}?' if near else ''}"


def _vocabulary(model: type[BaseModel]) -> frozenset[str]:
    """Every key that any part of the document may have."""
    schema = model.model_json_schema()
    parts = [schema, *schema.get("$defs", {}).values()]
    return frozenset(key for part in parts for key in part.get("properties", {}))


def _keys_of(model: type[BaseModel]) -> str:
    return ", ".join(field.alias or name for name, field in model.model_fields.items())
