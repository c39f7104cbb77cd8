"""Data to stdout; progress, hints and errors to stderr. Each stream is asked by itself whether it is a terminal."""

import json
import os
import sys
from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console


class Format(StrEnum):
    """-o."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"
    NAME = "name"


def is_live(stream: TextIO | None = None) -> bool:
    """Whether a picture that redraws itself makes sense on *stream* (stderr unless said otherwise)."""
    stream = stream or sys.stderr
    return stream.isatty() and os.environ.get("TERM", "dumb") != "dumb" and not os.environ.get("CI")


def console(stream: TextIO, *, color: bool = True) -> "Console":
    """A rich console on *stream*: honours NO_COLOR, FORCE_COLOR, TERM=dumb, COLUMNS; plain when not a terminal."""
    from rich.console import Console

    return Console(file=stream, no_color=None if color else True, highlight=False, soft_wrap=not stream.isatty())


def symbols(stream: TextIO) -> Mapping[str, str]:
    """Marks for states; ASCII where the stream's encoding has nothing better."""
    fancy = {
        "ok": "✔",
        "bad": "✖",
        "run": "◌",
        "wait": "॥",
        "next": "•",
        "unknown": "?",
        "full": "█",
        "empty": "·",
        "to": "→",
    }
    plain = {
        "ok": "+",
        "bad": "x",
        "run": "o",
        "wait": "=",
        "next": ".",
        "unknown": "?",
        "full": "#",
        "empty": ".",
        "to": "->",
    }
    try:
        "".join(fancy.values()).encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return plain
    return fancy


def say(message: str) -> None:
    """Tell the person something that is not data."""
    print(message, file=sys.stderr)  # noqa: T201 - this is the door


def write(text: str) -> None:
    """Write data."""
    print(text)  # noqa: T201 - this is the door


def write_document(value: Any, form: Format) -> None:
    """Write *value* as JSON or YAML."""
    if form is Format.YAML:
        from rollout.yaml_documents import dump

        write(dump(value).rstrip("\n"))
    else:
        write(json.dumps(value, indent=2, ensure_ascii=False))
