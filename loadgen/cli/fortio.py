"""`loadgen fortio load|curl`: fortio's flags in, its text and JSON out, on the same streams, with its exit codes."""

import json
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from loadgen.core.outcome import Outcome
from loadgen.fortio.document import document
from loadgen.fortio.go import shortest
from loadgen.fortio.options import INFO, LEVELS, WARNING, Options, options_of
from loadgen.fortio.runner import AbortedError, Runner, code_of, is_good, shape_of
from loadgen.fortio.text import beginning, result
from loadgen.transport.address import UnreachableError
from loadgen.transport.clock import wall_s

RAW = {"ignore_unknown_options": True, "help_option_names": []}


@click.command("fortio", context_settings=RAW)
@click.argument("verb", type=click.Choice(["load", "curl"]))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(verb: str, arguments: tuple[str, ...]) -> None:
    """Be fortio: `loadgen fortio load -c 3 -qps 0 -n 20 URL`. The flags are fortio's own."""
    try:
        options = options_of(list(arguments))
        sys.exit(load(options) if verb == "load" else curl(options))
    except (ValueError, UnreachableError, AbortedError) as error:
        complain("Critical" if isinstance(error, AbortedError) else "Fatal", str(error))
        sys.exit(1)


def load(options: Options) -> int:
    """Run and report: 0 whatever the codes, as fortio does."""
    say_level(options)
    shape = shape_of(options)
    runner = Runner(options, shape)
    signal.signal(signal.SIGINT, lambda *_: runner.stopped.set())
    started = wall_s()
    say(*beginning(options, shape, os.cpu_count() or 1))
    runner.run()
    if options.level <= WARNING and options["log-errors"]:
        for thread in runner.threads:
            for code, index, line in thread.warnings:
                complain("Warning", "Non ok http code", code=code, status=line, thread=index, run=options["runid"])
    say(*result(options, runner))
    save(options, json.dumps(document(options, shape, runner, started), indent=2) + "\n")
    return 0


def save(options: Options, text: str) -> None:
    """Write the result where it was asked for."""
    if options["json"] == "-":
        sys.stdout.write(text)
    elif options["json"]:
        Path(options["json"]).write_text(text)
    if options["a"]:
        name = f"{json.loads(text)['ID']}.json"
        (Path(options["data-dir"]) / name).write_text(text)


def curl(options: Options) -> int:
    """Call once: 0 for 200 and nothing else, as fortio does."""
    say_level(options)
    with Runner(options, shape_of(options)).caller() as caller:
        answer = caller.call(options.template().fill(options.plan.seed, 0, sampled=False))
    code = code_of(answer)
    head, body = (answer.head, answer.raw[len(answer.head) :]) if is_good(code) else (b"", answer.raw)
    stream = sys.stdout if options["curl-stdout-headers"] else sys.stderr
    stream.buffer.write(head)
    stream.flush()
    sys.stdout.buffer.write(body)
    sys.stdout.flush()
    if code == 200:
        return 0
    what = "" if answer.outcome is Outcome.OK else f" ({answer.outcome})"
    complain("Error", f"Error status {code}{what}")
    return 1


def say_level(options: Options) -> None:
    """Confirm a log level, and an assumed scheme, as fortio does."""
    if options.level != INFO and not options["quiet"]:
        complain("Info", f"Log level is now {options.level} {LEVELS[options.level]} (was 2 Info)")
    if options.assumed_http and options.level <= WARNING:
        complain("Warning", "Assuming http:// on missing scheme", url=options.url)


def say(*lines: str) -> None:
    """Report, to stderr."""
    for line in lines:
        click.echo(line, err=True)


def complain(level: str, message: str, **fields: object) -> None:
    """Log: for people on a terminal, as JSON elsewhere."""
    if sys.stderr.isatty():
        now = datetime.fromtimestamp(wall_s(), UTC).astimezone()
        short = {"Warning": "WRN", "Error": "ERR", "Info": "INF", "Critical": "CRI", "Fatal": "FTL"}[level]
        extra = "".join(f", {name}={quoted(value)}" for name, value in fields.items())
        say(f"{now:%H:%M:%S}.{now.microsecond // 1000:03d} [{short}] {message}{extra}")
        return
    names = {"Warning": "warn", "Error": "err", "Info": "info", "Critical": "crit", "Fatal": "fatal"}
    entry = {"ts": round(wall_s(), 6), "level": names[level], "msg": message, **fields}
    say(json.dumps(entry, separators=(",", ":")))


def quoted(value: object) -> str:
    """Write a value as Go's log does."""
    if isinstance(value, str):
        return json.dumps(value)
    return shortest(value) if isinstance(value, float) else str(value)
