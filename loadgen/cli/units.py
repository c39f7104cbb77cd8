"""Words and numbers of the command line as click's types; what they mean is `core/units.py`."""

from collections.abc import Callable
from typing import Generic, TypeVar

import click

from loadgen.core import threshold
from loadgen.core.plan import Stage, VersionFrom, VersionSource
from loadgen.core.units import per_second, seconds, share
from loadgen.server.echo import Window

T = TypeVar("T")


class Parsed(click.ParamType[T], Generic[T]):
    """What a function makes of a text; its ValueError is the user's error."""

    def __init__(self, name: str, parse: Callable[[str], T]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> T:
        """Give the value; a default is one already."""
        if not isinstance(value, str):
            return value  # type: ignore[return-value]  # click converts defaults too
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def header(text: str) -> tuple[str, str]:
    """Read "name: value"."""
    name, separator, value = text.partition(":")
    if not separator:
        raise ValueError(f"{text!r} is no header: expected name: value")
    return name.strip(), value.strip()


def stage(text: str) -> Stage:
    """Read "200/s:30s" or the ramp "0..200/s:30s"."""
    rate, separator, duration = text.rpartition(":")
    first, ramp, last = rate.partition("..")
    if not separator:
        raise ValueError(f"{text!r} is no stage: expected 200/s:30s, or 0..200/s:30s for a ramp")
    return Stage(
        from_per_s=per_second(first), to_per_s=per_second(last if ramp else first), duration_s=seconds(duration)
    )


def arm(text: str) -> tuple[str, float]:
    """Read "canary=0.05" or "canary=5%"."""
    name, separator, part = text.partition("=")
    if not separator:
        raise ValueError(f"{text!r} is no arm: expected name=share")
    return name, share(part)


def split(text: str) -> VersionFrom:
    """Read "header:x-version", "cookie:name", "body:regex", "target" or "none"."""
    source, _, key = text.partition(":")
    if source not in {one.value for one in VersionSource}:
        raise ValueError(f"{source!r}: expected header:NAME, cookie:NAME, body:REGEX, target or none")
    return VersionFrom(source=VersionSource(source), key=key)


def statuses(text: str) -> tuple[tuple[int, int], ...]:
    """Read "200-299,418"."""
    try:
        ranges = tuple(tuple(map(int, part.split("-"))) for part in text.split(","))
    except ValueError as error:
        raise ValueError(f"{text!r} is no list of statuses: expected 200-299,418") from error
    return tuple((part[0], part[-1]) for part in ranges)


def reuse(text: str) -> tuple[int, int]:
    """Read "100" or "50:150": how many requests a connection carries."""
    low, _, high = text.partition(":")
    try:
        return int(low), int(high or low)
    except ValueError as error:
        raise ValueError(f"{text!r} is no number of requests: expected 100 or 50:150") from error


def window(text: str) -> Window:
    """Read "10s..20s:status=503:50"."""
    times, separator, query = text.partition(":")
    first, dots, last = times.partition("..")
    if not separator or not dots:
        raise ValueError(f"{text!r} is no window: expected 10s..20s:status=503:50")
    return Window(from_s=seconds(first), to_s=seconds(last), query=query)


DURATION_TYPE = Parsed("duration", seconds)
RATE_TYPE = Parsed("rate", per_second)
SHARE_TYPE = Parsed("share", share)
HEADER_TYPE = Parsed("name: value", header)
STAGE_TYPE = Parsed("rate:duration", stage)
ARM_TYPE = Parsed("name=share", arm)
SPLIT_TYPE = Parsed("where", split)
STATUSES_TYPE = Parsed("statuses", statuses)
REUSE_TYPE = Parsed("requests", reuse)
WINDOW_TYPE = Parsed("from..to:query", window)
THRESHOLD_TYPE = Parsed("threshold", threshold.parse)
