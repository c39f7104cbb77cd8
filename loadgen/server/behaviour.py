"""How the echo server behaves, read from query parameters: fortio's, and the faults that fortio does not offer.

    status=503            status=503:20,404:10,429:0.5%      the rest is 200
    delay=2ms             delay=150us:10,2ms:5               the rest has none
    size=1000             size=20000:5,100:50                the rest echoes the request's body
    close=true            close=10%
    header=name:value     (repeatable)
    fault=reset           fault=reset:5,truncate:5,drip:1,hang:1
    tail=5ms:1.5          a heavy tail: Pareto with this smallest delay and this exponent
    service=10ms          how long one of the --servers is busy with it: delay by queueing, as in a real one

A draw is uniform in [0, 100); the first choice whose cumulative weight reaches it is taken. Every parameter draws anew.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar
from urllib.parse import parse_qsl

from loadgen.core.units import seconds

SIZE_MAX = 256 << 10  # fortio's default maximum
PARETO_MAX = 1000.0  # times the smallest delay; the cap on delays holds as well

Draw = Callable[[], float]  # uniform in [0, 1)
T = TypeVar("T")


class Fault(StrEnum):
    """What may go wrong below HTTP."""

    NONE = "none"
    RESET = "reset"  # the connection is torn down instead of an answer
    TRUNCATE = "truncate"  # half of the body, then the end
    DRIP = "drip"  # a byte of the body now and then
    HANG = "hang"  # no answer at all


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """One response."""

    status: int = 200
    delay_s: float = 0.0
    service_s: float = 0.0
    size: int | None = None  # None echoes the request's body
    close: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    fault: Fault = Fault.NONE


def behaviour_of(query: str, draw: Draw, *, delay_s_max: float) -> Behaviour:
    """Read a query; what it does not say stays as it is. A status that means nothing is 400, as in fortio."""
    fields = parse_qsl(query, keep_blank_values=True)
    given = dict(reversed(fields))  # of two, the first one counts
    delay_s = lenient(given.get("delay", ""), seconds, draw, 0.0) + lenient(
        given.get("tail", ""), lambda text: pareto(text, draw), draw, 0.0, weighted=False
    )
    size = lenient(given["size"], int, draw, -1) if "size" in given else None
    return Behaviour(
        status=status_of(given["status"], draw) if given.get("status") else 200,
        delay_s=min(delay_s, delay_s_max),
        service_s=min(lenient(given.get("service", ""), seconds, draw, 0.0), delay_s_max),
        size=None if size is None else min(max(size, 0), SIZE_MAX),
        close=closes(given.get("close", ""), draw),
        headers=tuple(header_of(value) for name, value in fields if name == "header" and ":" in value),
        fault=lenient(given.get("fault", ""), Fault, draw, Fault.NONE),
    )


def chosen(text: str, parse: Callable[[str], T], draw: Draw, otherwise: T) -> T:
    """Read "value" or "value:weight,value:weight". Raises ValueError."""
    if ":" not in text:
        return parse(text)
    at, passed, found = 100 * draw(), 0.0, otherwise
    is_found = False
    for part in text.split(","):
        value, _, weight = part.rpartition(":")
        passed += float(weight.removesuffix("%"))
        choice = parse(value)
        if not is_found and at < passed:
            found, is_found = choice, True
    if passed > 100:
        raise ValueError(f"{text!r}: the weights add up to more than 100")
    return found


def lenient(text: str, parse: Callable[[str], T], draw: Draw, otherwise: T, *, weighted: bool = True) -> T:
    """Read a choice; what means nothing changes nothing."""
    try:
        if not text:
            return otherwise
        return chosen(text, parse, draw, otherwise) if weighted else parse(text)
    except ValueError:
        return otherwise


def status_of(text: str, draw: Draw) -> int:
    """Read a status."""
    try:
        status = chosen(text, int, draw, 200)
    except ValueError:
        return 400
    return status if 200 <= status <= 599 else 400


def closes(text: str, draw: Draw) -> bool:
    """Read "true", "10%", "" or "false"; anything else means always, as in fortio."""
    if text in {"", "false"}:
        return False
    try:
        return 100 * draw() < float(text.removesuffix("%"))
    except ValueError:
        return True


def pareto(text: str, draw: Draw) -> float:
    """Draw from "smallest:exponent"."""
    smallest, _, exponent = text.partition(":")
    return seconds(smallest) * min(float((1 - draw()) ** (-1 / float(exponent))), PARETO_MAX)


def header_of(text: str) -> tuple[str, str]:
    """Read "name:value", without what could end a line early."""
    name, _, value = text.partition(":")
    return name.strip(), "".join(char for char in value.strip() if char.isprintable())
