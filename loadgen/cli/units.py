"""Words and numbers as people type them: 200/s, 1m30s, 5ms, key: value."""

import re

import click

UNITS_S = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 604800.0,
}
DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h|d|w)")
RATE = re.compile(r"(\d+(?:\.\d*)?)(k?)(?:/(s|m|h))?")


class Duration(click.ParamType[float]):
    """A duration in Go's style: 300ms, 1m30s; a bare number is seconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Give seconds."""
        if isinstance(value, float | int):
            return float(value)
        text = str(value)
        parts = DURATION.findall(text)
        if parts and "".join(number + unit for number, unit in parts) == text:
            return float(sum(float(number) * UNITS_S[unit] for number, unit in parts))
        try:
            return float(text)
        except ValueError:
            self.fail(f"{text!r} is no duration: expected something like 500ms, 30s or 1m30s", param, ctx)


class Rate(click.ParamType[float]):
    """An arrival rate: 200/s, 30/m, 2k/s; a bare number is per second."""

    name = "rate"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Give requests per second."""
        if isinstance(value, float | int):
            return float(value)
        match = RATE.fullmatch(str(value))
        if match is None:
            self.fail(f"{value!r} is no rate: expected something like 200/s, 30/m or 2k/s", param, ctx)
        return float(match[1]) * (1000 if match[2] else 1) / UNITS_S[match[3] or "s"]


class Header(click.ParamType[tuple[str, str]]):
    """A header: "name: value"."""

    name = "name: value"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Give name and value."""
        if isinstance(value, tuple):
            return str(value[0]), str(value[1])
        name, separator, text = str(value).partition(":")
        if not separator:
            self.fail(f"{value!r} is no header: expected name: value", param, ctx)
        return name.strip(), text.strip()


DURATION_TYPE = Duration()
RATE_TYPE = Rate()
HEADER_TYPE = Header()
