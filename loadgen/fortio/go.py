"""Numbers and flags as Go writes and reads them."""

from dataclasses import dataclass

from loadgen.core.units import seconds

TRUE, FALSE = frozenset({"1", "t", "T", "true", "TRUE", "True"}), frozenset({"0", "f", "F", "false", "FALSE", "False"})


def shortest(value: float) -> str:
    """Write %g without a precision: the shortest digits, an exponent below 1e-4 and from 1e6 on."""
    if value == 0:
        return "0"
    digits, _, exponent = f"{value!r}".replace("e", "E").partition("E")
    mantissa = digits.lstrip("-")
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    point = len(whole) + int(exponent or 0)
    figures = (whole + fraction).lstrip("0")
    point -= len(whole + fraction) - len((whole + fraction).lstrip("0"))
    figures = figures.rstrip("0")
    sign = "-" if value < 0 else ""
    if not -4 <= point - 1 < 6:
        rest = f".{figures[1:]}" if figures[1:] else ""
        return f"{sign}{figures[0]}{rest}e{point - 1:+03d}"
    if point <= 0:
        return f"{sign}0.{'0' * -point}{figures}"
    padded = figures.ljust(point, "0")
    return f"{sign}{padded[:point]}" + (f".{padded[point:]}" if padded[point:] else "")


def duration(value_ns: int) -> str:
    """Write a duration as Go's String does: 1.5ms, 20.111ms, 1m30s, 1h0m5s."""
    if value_ns == 0:
        return "0s"
    for limit, unit in ((1_000, "ns"), (1_000_000, "µs"), (1_000_000_000, "ms")):
        if value_ns < limit:
            scale = limit // 1000
            return f"{trimmed(value_ns, scale)}{unit}"
    minutes, rest_ns = divmod(value_ns, 60_000_000_000)
    hours, minutes = divmod(minutes, 60)
    seconds_text = f"{trimmed(rest_ns, 1_000_000_000)}s"
    if hours:
        return f"{hours}h{minutes}m{seconds_text}"
    return f"{minutes}m{seconds_text}" if minutes else seconds_text


def trimmed(value: int, scale: int) -> str:
    """Divide exactly and drop the zeros at the end."""
    whole, rest = divmod(value, scale)
    digits = len(str(scale)) - 1
    return f"{whole}.{rest:0{digits}d}".rstrip("0").rstrip(".") if digits else str(whole)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """A flag, its kind and its default. Repeatable ones collect a list."""

    kind: type[bool] | type[int] | type[float] | type[str] | type[list[str]] | None  # None: a duration
    default: bool | int | float | str


def parse_flags(arguments: list[str], flags: dict[str, Flag]) -> tuple[dict[str, object], list[str]]:
    """Read Go flags: one dash or two, "=value" or the next argument; the first other word ends them. ValueError."""
    values: dict[str, object] = {name: [] if flag.kind is list else flag.default for name, flag in flags.items()}
    rest = list(arguments)
    while rest and len(rest[0]) > 1 and rest[0].startswith("-"):
        word = rest.pop(0)
        if word == "--":
            break
        name, separator, text = word.removeprefix("-").removeprefix("-").partition("=")
        if name not in flags:
            raise ValueError(f"flag provided but not defined: -{name}")
        flag = flags[name]
        if not separator and flag.kind is bool:
            text = "true"
        elif not separator:
            if not rest:
                raise ValueError(f"flag needs an argument: -{name}")
            text = rest.pop(0)
        put(values, name, flag, text)
    return values, rest


def put(values: dict[str, object], name: str, flag: Flag, text: str) -> None:
    """Read one value."""
    try:
        if flag.kind is list:
            values[name] = [*list_of(values[name]), text]
        elif flag.kind is None:
            values[name] = seconds(text)
        elif flag.kind is bool:
            values[name] = truth(text)
        else:
            values[name] = flag.kind(text)
    except ValueError as error:
        raise ValueError(f'invalid value "{text}" for flag -{name}: {error}') from error


def list_of(value: object) -> list[object]:
    """Give a list that is one."""
    assert isinstance(value, list)
    return value


def truth(text: str) -> bool:
    """Read a boolean."""
    if text not in TRUE | FALSE:
        raise ValueError("parse error")
    return text in TRUE
