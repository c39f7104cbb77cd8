"""Words and numbers as people type them: 200/s, 1m30s, 5ms, 1%."""

import re

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
NUMBER = r"(\d+(?:\.\d*)?|\.\d+)"
DURATION = re.compile(NUMBER + r"(ns|us|µs|ms|s|m|h|d|w)")
PLAIN = re.compile(NUMBER)
RATE = re.compile(NUMBER + r"(k?)(?:/(s|m|h))?")
SHARE = re.compile(NUMBER + r"(%?)")


def seconds(text: str) -> float:
    """Read a duration in Go's style: 300ms, 1m30s; a bare number is seconds."""
    parts = DURATION.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        return float(sum(float(number) * UNITS_S[unit] for number, unit in parts))
    if PLAIN.fullmatch(text):
        return float(text)
    raise ValueError(f"{text!r} is no duration: expected something like 500ms, 30s or 1m30s")


def per_second(text: str) -> float:
    """Read a rate: 200/s, 30/m, 2k/s; a bare number is per second."""
    match = RATE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no rate: expected something like 200/s, 30/m or 2k/s")
    return float(match[1]) * (1000 if match[2] else 1) / UNITS_S[match[3] or "s"]


def share(text: str) -> float:
    """Read a share: 1%, 0.01."""
    match = SHARE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no share: expected something like 1% or 0.01")
    return float(match[1]) / (100 if match[2] else 1)


def told_s(value_s: float | None) -> str:
    """Write a duration for people, with three digits: 850µs, 18.2ms, 1.23s; nothing known is a dash."""
    if value_s is None:
        return "-"
    for limit_s, unit in ((0.9995e-3, "µs"), (0.9995, "ms")):
        if value_s < limit_s:
            return f"{value_s / UNITS_S[unit]:.3g}{unit}"
    return f"{value_s:.3g}s" if value_s < 999.5 else f"{value_s:.0f}s"
