"""Durations as Istio writes them (Go: `1h2m3.5s`, `500ms`) and as Envoy's proto-JSON wants them (`0.5s`)."""

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated

_UNITS = {"h": 3600 * 10**9, "m": 60 * 10**9, "s": 10**9, "ms": 10**6, "us": 10**3, "µs": 10**3, "ns": 1}
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(h|ms|m|us|µs|ns|s)")
_WHOLE = re.compile(rf"(?:{_PART.pattern})+")
NANOSECONDS_MAX = 2**63 - 1  # what a Go duration holds: 292 years
_TEXT_MAX = 40  # characters; "2562047h47m16.854775807s" is the longest sensible spelling


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    """A length of time, exact to the nanosecond."""

    nanoseconds: int

    @classmethod
    def parse(cls, text: str) -> "Duration":
        """Read a Go duration; a bare number has no unit and is refused, except `0`."""
        if text == "0":
            return cls(0)
        if len(text) > _TEXT_MAX or not _WHOLE.fullmatch(text):
            raise ValueError(f"not a duration: {text[:_TEXT_MAX]!r}; write it like 500ms, 1.5s or 1h30m")
        nanoseconds = int(sum(Fraction(number) * _UNITS[unit] for number, unit in _PART.findall(text)))
        if nanoseconds > NANOSECONDS_MAX:
            raise ValueError(f"duration too long: {text!r}")
        return cls(nanoseconds)

    def __str__(self) -> str:
        return self.proto()

    def proto(self) -> str:
        """Proto-JSON: seconds with up to nine decimals; also a valid Go duration."""
        whole, rest = divmod(self.nanoseconds, 10**9)
        return f"{whole}.{rest:09d}".rstrip("0").rstrip(".") + "s"

    @property
    def whole_seconds(self) -> int:
        """Seconds, rounded down."""
        return self.nanoseconds // 10**9


class _Milliseconds:
    """istiod's rule for nearly every duration: at least one millisecond, and whole ones."""

    def complaint(self, value: Duration) -> str | None:
        if value.nanoseconds < 10**6:
            return "must be at least 1ms"
        return "must be whole milliseconds" if value.nanoseconds % 10**6 else None


Span = Annotated[Duration, _Milliseconds()]
