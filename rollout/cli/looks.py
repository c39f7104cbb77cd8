"""Verbs that look: get, status, history, events, explain."""

import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import click

from rollout.cli.client import Failed
from rollout.cli.exit_codes import Exit
from rollout.cli.session import Session, pass_session
from rollout.cli.streams import Format, console, is_live, say, symbols, write, write_document
from rollout.core.quantities import parse_duration

POLL_S = 0.25  # the live view's frame: what a person sees as "at once"
_FINAL = {"Succeeded", "RolledBack"}
output_option = click.option(
    "-o",
    "--output",
    type=click.Choice([form.value for form in Format]),
    default="table",
    help="How to print.",
    show_default=True,
)


@click.command()
@click.argument("service", required=False)
@click.option("-w", "--watch", is_flag=True, help="Live view; ends when the rollout does and leaves its last frame.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="At most so many rollouts.")
@output_option
@pass_session
def get(session: Session, service: str | None, watch: bool, limit: int, output: str) -> int:
    """Show rollouts: all of them in a table, or one of SERVICE (or an id) in detail.

    \b
    rollout get                 every rollout, newest first
    rollout get reviews         the newest of reviews, in detail
    rollout get reviews -w      the live view
    """
    form = Format(output)
    if watch:
        if service is None or form not in (Format.TABLE, Format.WIDE):
            raise click.UsageError("--watch shows one service as a picture: name it, and leave -o out")
        return watch_live(session, service)
    if service is None:
        items = session.client().get("/api/v1/rollouts", limit=limit, namespace=session.namespace or None)["items"]
        _print_list(session, items, form)
        return Exit.OK
    rollout = session.find(service)
    if form in (Format.TABLE, Format.WIDE):
        from rollout.cli.pictures import detail

        console(sys.stdout, color=session.color).print(detail(rollout, symbols(sys.stdout)))
    elif form is Format.NAME:
        write(rollout["id"])
    else:
        write_document(rollout, form)
    return Exit.OK


@click.command()
@click.argument("service")
@click.option("--timeout", default="0", help="Give up waiting after this long, such as 30m; the rollout goes on.")
@click.option("--watch/--no-watch", "watch", default=True, help="Wait for the end, or answer at once.")
@pass_session
def status(session: Session, service: str, timeout: str, watch: bool) -> int:
    """Wait for SERVICE's rollout to end, one line per transition; the exit code says how it ended.

    0 promoted, 3 rolled back, 7 aborted by a person, 5 still running. Made for CI.
    """
    if watch:
        return wait_for_end(session, service, timeout=timeout)
    rollout = session.find(service)
    write(_line(rollout, rollout["since"]))
    return _exit_of(rollout)


@click.command()
@click.argument("service")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000))
@output_option
@pass_session
def history(session: Session, service: str, limit: int, output: str) -> int:
    """Earlier rollouts of SERVICE, newest first."""
    query = {"service": service, "limit": limit, "namespace": session.namespace or None}
    items = session.client().get("/api/v1/rollouts", **query)["items"]
    if not items:
        raise Failed(f"{service} has no rollouts")
    _print_list(session, items, Format(output))
    return Exit.OK


@click.command()
@click.argument("service")
@click.option("-f", "--follow", is_flag=True, help="Go on until the rollout ends.")
@output_option
@pass_session
def events(session: Session, service: str, follow: bool, output: str) -> int:
    """The journal of SERVICE's rollout: every transition with its cause."""
    rollout = session.find(service)
    path = f"/api/v1/rollouts/{rollout['id']}/events"
    form = Format(output)
    if form not in (Format.TABLE, Format.WIDE) and not follow:
        write_document(session.client().get(path), form)
        return Exit.OK
    stream = session.client().events(path) if follow else session.client().get(path)["items"]
    for event in stream:
        write(_event_line(event))
    return Exit.OK


@click.command()
@click.argument("service")
@click.option("--step", type=click.IntRange(1), help="Only this step.")
@click.option("--check", help="Only this check.")
@output_option
@pass_session
def explain(session: Session, service: str, step: int | None, check: str | None, output: str) -> int:
    """Why each step of SERVICE's rollout passed or failed: judged again from the journal, with every number."""
    rollout = session.find(service)
    found = session.client().get(f"/api/v1/rollouts/{rollout['id']}/explanations")
    items = [item for item in found["items"] if step in (None, item["event"]["step"])]
    form = Format(output)
    if form not in (Format.TABLE, Format.WIDE):
        write_document({"items": items}, form)
        return Exit.OK
    for item in items:
        write(_event_line(item["event"]))
        for line, view in zip(item["text"], item["checks"], strict=True):
            if check in (None, view["check"]):
                write(f"  {line}")
        if not item["agrees"]:
            say("  warning: judging the journal again gives another verdict; this is a bug in Rollout")
    if not items:
        say("nothing has been judged yet" if step is None else f"step {step} has not been judged yet")
    return Exit.OK


def watch_live(session: Session, service: str) -> int:
    """Redraw the rollout until it ends. Ctrl-C detaches; the release goes on."""
    if not is_live(sys.stdout):
        return wait_for_end(session, service, timeout="0")
    from rich.live import Live

    from rollout.cli.pictures import detail

    screen, marks = console(sys.stdout, color=session.color), symbols(sys.stdout)
    rollout = session.find(service)
    try:
        with Live(detail(rollout, marks), console=screen, screen=True, auto_refresh=False) as live:
            for latest in _polled(session, rollout["id"]):
                rollout = latest
                live.update(detail(rollout, marks), refresh=True)
    except KeyboardInterrupt:
        screen.print(detail(rollout, marks))
        say(f"Detached; the release goes on. Follow it: rollout status {service}")
        return Exit.INTERRUPTED
    screen.print(detail(rollout, marks))
    return _exit_of(rollout)


def wait_for_end(session: Session, service: str, *, timeout: str) -> int:
    """One line per transition until the end."""
    try:
        limit_s = parse_duration(timeout) if timeout not in ("", "0") else None
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    begun_at = time.monotonic()  # noqa: TID251 - a client's own patience, no decision hangs on it
    rollout_id = session.find(service)["id"]
    seen = -1
    rollout: dict[str, Any] = {}
    try:
        for rollout in _polled(session, rollout_id):
            for event in session.client().get(f"/api/v1/rollouts/{rollout_id}/events", after=seen)["items"]:
                seen = event["number"]
                write(f"{_when(event['at'])} {rollout['service']} {rollout_id} {_event_words(event)}")
            if limit_s is not None and time.monotonic() - begun_at > limit_s:  # noqa: TID251 - the same
                break
    except KeyboardInterrupt:
        say(f"Detached; the release goes on. Follow it: rollout status {service}")
        return Exit.INTERRUPTED
    code = _exit_of(rollout)
    if code is Exit.ROLLED_BACK:
        say(f"error: {rollout_id} was rolled back: {rollout['detail']}. Evidence: rollout explain {rollout_id}")
    if code is Exit.STILL_RUNNING:
        say(f"still running: {rollout['waitingFor']}")
    return code


def _polled(session: Session, rollout_id: str) -> Iterator[dict[str, Any]]:
    while True:
        rollout = session.find(rollout_id)
        yield rollout
        if rollout["phase"] in _FINAL:
            return
        time.sleep(POLL_S)


def _exit_of(rollout: dict[str, Any]) -> Exit:
    return {
        "promoted": Exit.OK,
        "rolled_back": Exit.ROLLED_BACK,
        "aborted": Exit.ABORTED,
    }.get(rollout["result"], Exit.STILL_RUNNING)


def _print_list(session: Session, items: list[dict[str, Any]], form: Format) -> None:
    if form is Format.NAME:
        write("\n".join(item["id"] for item in items))
    elif form in (Format.JSON, Format.YAML):
        write_document({"items": items}, form)
    elif not items:
        say("no rollouts yet; begin with: rollout start SERVICE --to VERSION")
    else:
        from rollout.cli.pictures import table

        console(sys.stdout, color=session.color).print(table(items, symbols(sys.stdout), wide=form is Format.WIDE))


def _when(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _event_words(event: dict[str, Any]) -> str:
    detail = f" ({event['detail']})" if event["detail"] else ""
    return f"step={event['step']} weight={event['weight']} phase={event['phase']} {event['cause']}{detail}"


def _event_line(event: dict[str, Any]) -> str:
    return f"{_when(event['at'])}  {_event_words(event)}"


def _line(rollout: dict[str, Any], at: float) -> str:
    where = f"step={rollout['step']}/{len(rollout['steps'])} weight={rollout['weight']}"
    return f"{_when(at)} {rollout['service']} {rollout['id']} {where} phase={rollout['phase']} {rollout['waitingFor']}"
