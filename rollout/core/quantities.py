"""Durations, percentages, rates and names as people write them, and the one place that reads them.

Everything inside is a float in base units (seconds, ratios 0..1, requests per second); the text form exists only at
the border. The annotated types plug into pydantic models: they parse text, print it back, and describe themselves in
JSON Schema.
"""

import math
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?\Z")
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)%\Z")
_POINTS = re.compile(r"(\d+(?:\.\d+)?)pp\Z")
_RATE = re.compile(r"(\d+(?:\.\d+)?)/(s|m|h)\Z")
_QUANTILE = re.compile(r"p(\d{1,2}(?:\.\d{1,3})?)\Z")
_SPLIT = re.compile(r"(\d{1,2})/(\d{1,2})\Z")

_URL_PATTERN = r"https?://[A-Za-z0-9\[][-A-Za-z0-9.:\[\]]*(/[!-~]*)?"
_URL = re.compile(_URL_PATTERN + r"\Z")

NAME_PATTERN = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"  # RFC 1123 label, what Kubernetes accepts as a name
_NAME = re.compile(NAME_PATTERN + r"\Z")
_VERSION_PATTERN = r"[A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?"  # an Istio subset: a label value
_VERSION = re.compile(_VERSION_PATTERN + r"\Z")


def parse_duration(text: object) -> float:
    """Read a Go-style duration ("1h30m", "45s", "250ms") as seconds; minutes and seconds stay below 60.

    Raises ValueError with a sentence that says what would have been right.
    """
    match = _DURATION.match(text) if isinstance(text, str) and text else None
    if match is None:
        raise ValueError(f"{shown(text)} is not a duration: write a number and a unit, such as 30s, 1m30s or 250ms")
    hours, minutes, seconds, millis = (float(part) if part else 0.0 for part in match.groups())
    has_larger_unit = (match[1] is not None, match[1] is not None or match[2] is not None)
    if (has_larger_unit[0] and minutes >= 60) or (has_larger_unit[1] and seconds >= 60):
        raise ValueError(f"{shown(text)} is not a duration: minutes and seconds after a larger unit stay below 60")
    total_s = hours * 3600 + minutes * 60 + seconds + millis / 1000
    if not total_s < 366 * 86400:  # a year: beyond any rollout, and keeps arithmetic finite
        raise ValueError(f"{shown(text)} is longer than a year")
    return total_s


def format_duration(seconds: float) -> str:
    """Write *seconds* the shortest way parse_duration reads back to the same value (to the millisecond)."""
    if 0 < seconds < 1:
        return f"{_plain(round(seconds * 1000, 3))}ms"
    minutes, rest = divmod(round(seconds, 3), 60)
    hours, minutes = divmod(int(minutes), 60)
    parts = [f"{hours}h" if hours else "", f"{minutes}m" if minutes else "", f"{_plain(rest)}s" if rest else ""]
    return "".join(parts) or "0s"


def parse_percent(text: object) -> float:
    """Read "12.5%" as 0.125; more than 100 % is refused."""
    match = _PERCENT.match(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"{shown(text)} is not a percentage: write it with its sign, such as 1% or 0.5%")
    if float(match[1]) > 100:
        raise ValueError(f"{shown(text)} is more than 100%")
    return float(match[1]) / 100


def format_percent(ratio: float) -> str:
    """Write 0.125 as "12.5%"."""
    return f"{_plain(round(ratio * 100, 6))}%"


class Unit(StrEnum):
    """What an amount is counted in."""

    PERCENT = "%"
    POINTS = "pp"
    SECONDS = "s"


@dataclass(frozen=True, slots=True)
class Amount:
    """A limit with its unit: "50%" is (0.5, PERCENT), "0.5pp" is (0.005, POINTS), "25ms" is (0.025, SECONDS)."""

    value: float
    unit: Unit

    def __str__(self) -> str:
        match self.unit:
            case Unit.PERCENT:
                return format_percent(self.value)
            case Unit.POINTS:
                return f"{_plain(round(self.value * 100, 6))}pp"
            case Unit.SECONDS:
                return format_duration(self.value)


def parse_amount(text: object) -> Amount:
    """Read "1%", "0.5pp" or "300ms"; which of them makes sense is for the reader of the key to say."""
    if isinstance(text, Amount):
        return text
    if isinstance(text, str):
        if match := _PERCENT.match(text):
            return Amount(float(match[1]) / 100, Unit.PERCENT)
        if match := _POINTS.match(text):
            return Amount(float(match[1]) / 100, Unit.POINTS)
        if text[-1:] == "s":
            return Amount(parse_duration(text), Unit.SECONDS)
    raise ValueError(f"{shown(text)} has no unit: write a share (1%), percentage points (0.5pp) or a time (300ms)")


def parse_rate(text: object) -> float:
    """Read "50/s", "300/m" or "10/h" as requests per second."""
    match = _RATE.match(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"{shown(text)} is not a rate: write requests per unit of time, such as 50/s or 300/m")
    return float(match[1]) / {"s": 1, "m": 60, "h": 3600}[match[2]]


def format_rate(per_s: float) -> str:
    """Write 50.0 as "50/s"."""
    return f"{_plain(round(per_s, 6))}/s"


def parse_quantile(text: object) -> float:
    """Read "p99.9" as 0.999."""
    match = _QUANTILE.match(text) if isinstance(text, str) else None
    if match is None or float(match[1]) == 0:
        raise ValueError(f"{shown(text)} is not a quantile: write p50, p95, p99 or p99.9")
    return round(float(match[1]) / 100, 6)


def format_quantile(ratio: float) -> str:
    """Write 0.999 as "p99.9"."""
    return f"p{_plain(round(ratio * 100, 4))}"


def parse_split(text: object) -> float:
    """Read "stable/canary" shares of the synthetic load, such as "50/50" or "80/20", as the canary's share."""
    match = _SPLIT.match(text) if isinstance(text, str) else None
    if match is None or int(match[1]) + int(match[2]) != 100 or 0 in (int(match[1]), int(match[2])):
        raise ValueError(f"{shown(text)} is not a split: write stable/canary shares that sum to 100, such as 50/50")
    return int(match[2]) / 100


def format_split(canary_share: float) -> str:
    """Write 0.2 as "80/20"."""
    percent = round(canary_share * 100)
    return f"{100 - percent}/{percent}"


def check_name(text: object) -> str:
    """Return *text* if it is an RFC 1123 label (lower case letters, digits, dashes; at most 63)."""
    if not isinstance(text, str) or not _NAME.match(text):
        raise ValueError(f"{shown(text)} is not a name: use at most 63 lower case letters, digits and dashes")
    return text


def check_version(text: object) -> str:
    """Return *text* if it can name a subset (a Kubernetes label value)."""
    if not isinstance(text, str) or not _VERSION.match(text):
        raise ValueError(f"{shown(text)} is not a version: use at most 63 letters, digits, dots, dashes, underscores")
    return text


def check_url(text: object) -> str:
    """Return *text* if it is a plain http or https URL without credentials."""
    if not isinstance(text, str) or not _URL.match(text) or len(text) > 2048:
        raise ValueError(
            f"{shown(text)} is not a URL for load: write http://host[:port]/path, without user or password"
        )
    return text


def check_finite(value: object) -> float:
    """Return *value* if it is a finite number, and not a truth value or a text."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{shown(value)} is not a finite number")
    return float(value)


def _plain(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")


def shown(value: Any) -> str:
    """Quote *value* for an error message: short, on one line, escaped."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _text_schema(pattern: str, example: str) -> WithJsonSchema:
    return WithJsonSchema(
        {"type": "string", "pattern": pattern, "examples": [example], "minLength": 1, "maxLength": 64}
    )


_BELOW_60 = "0*[0-5]?[0-9]"
DURATION_PATTERN = (
    rf"^([0-9]+h({_BELOW_60}m)?({_BELOW_60}(\.[0-9]+)?s)?|[0-9]+m({_BELOW_60}(\.[0-9]+)?s)?|[0-9]+(\.[0-9]+)?s)?"
    r"([0-9]+(\.[0-9]+)?ms)?$"
)
_PERCENT_PATTERN = r"^0*(100(\.0+)?|[0-9]{1,2}(\.[0-9]+)?)%$"

Duration = Annotated[
    float, BeforeValidator(parse_duration), PlainSerializer(format_duration), _text_schema(DURATION_PATTERN, "30s")
]
Percent = Annotated[
    float, BeforeValidator(parse_percent), PlainSerializer(format_percent), _text_schema(_PERCENT_PATTERN, "1%")
]
Limit = Annotated[
    Amount,
    BeforeValidator(parse_amount),
    PlainSerializer(str),
    _text_schema(rf"^([0-9]+(\.[0-9]+)?(%|pp)|{DURATION_PATTERN[1:-1]})$", "50%"),
]
Rate = Annotated[
    float, BeforeValidator(parse_rate), PlainSerializer(format_rate), _text_schema(r"^[0-9]+(\.[0-9]+)?/[smh]$", "50/s")
]
Quantile = Annotated[
    float,
    BeforeValidator(parse_quantile),
    PlainSerializer(format_quantile),
    _text_schema(r"^p(0?[1-9]|[1-9][0-9])(\.[0-9]{1,3})?$", "p99"),
]
Split = Annotated[
    float,
    BeforeValidator(parse_split),
    PlainSerializer(format_split),
    _text_schema(r"^[0-9]{1,2}/[0-9]{1,2}$", "50/50"),
]
Name = Annotated[
    str,
    BeforeValidator(check_name),
    WithJsonSchema({"type": "string", "pattern": f"^{NAME_PATTERN}$", "maxLength": 63}),
]
Version = Annotated[
    str,
    BeforeValidator(check_version),
    WithJsonSchema({"type": "string", "pattern": f"^{_VERSION_PATTERN}$", "maxLength": 63}),
]
Url = Annotated[
    str,
    BeforeValidator(check_url),
    WithJsonSchema({"type": "string", "format": "uri", "pattern": f"^{_URL_PATTERN}$", "maxLength": 2048}),
]
Number = Annotated[float, BeforeValidator(check_finite), WithJsonSchema({"type": "number"})]
