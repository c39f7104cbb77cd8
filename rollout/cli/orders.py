"""Verbs that ask for something: start, approve, pause, resume, promote, abort, retry, undo."""

import sys
from pathlib import Path
from typing import Any

import click

from rollout.cli.client import Failed
from rollout.cli.exit_codes import Exit
from rollout.cli.session import Session, pass_session
from rollout.cli.streams import Format, say, write, write_document

reason_option = click.option("--reason", default="", help="Why; kept in the journal.")


@click.command()
@click.argument("service")
@click.option("--to", required=True, help="The version that is to get all traffic.")
@click.option("--from", "from_", help="The version that has it now; found out when left out.")
@click.option("--plan", type=click.Path(), help="RolloutPlan file; the daemon's plan for the service when left out.")
@click.option("--steps", help="Weights instead of the plan's steps, such as 5,25,50,100.")
@click.option("--hold", default="", help="Hold every step this long, such as 60s.")
@click.option("--dry-run", is_flag=True, help="Check everything and show what would be started.")
@click.option(
    "--wait", "wait_for", is_flag=False, flag_value="0", help="Wait for the end (at most this long, such as 10m)."
)
@click.option("--idempotency-key", default="", help="The same key starts the same rollout once.")
@click.option(
    "-o", "--output", type=click.Choice(["table", "json", "yaml", "name"]), default="table", help="How to print."
)
@reason_option
@pass_session
@click.pass_context
def start(ctx: click.Context, session: Session, /, **flags: Any) -> int:
    """Release SERVICE: move its traffic to another version, step by step.

    \b
    rollout start reviews --to v3
    rollout start reviews --to v3 --steps 5,25,100 --hold 30s
    rollout start reviews --to v3 --plan config/plans/reviews.yaml --wait
    """
    body = {
        "service": flags["service"],
        "to": flags["to"],
        "from": flags["from_"],
        "namespace": session.namespace or None,
        "plan": _plan(flags["plan"]) if flags["plan"] else None,
        "steps": _weights(flags["steps"]),
        "hold": flags["hold"],
        "actor": session.who(),
        "reason": flags["reason"],
        "dryRun": flags["dry_run"],
    }
    begun = session.client().post("/api/v1/rollouts", body, key=flags["idempotency_key"])
    output = Format(flags["output"])
    if output is Format.NAME:
        write(begun["id"])
    elif output is not Format.TABLE:
        write_document(begun, output)
    elif flags["dry_run"]:
        _show_dry_run(begun)
    else:
        say(f"started {begun['id']}: {begun['service']} {begun['from']} -> {begun['to']}, {len(begun['steps'])} steps")
        say(f"watch it: rollout get {begun['service']} -w")
    if flags["wait_for"] is None or flags["dry_run"]:
        return Exit.OK
    from rollout.cli.looks import wait_for_end

    return wait_for_end(session, begun["id"], timeout=flags["wait_for"])


def _plan(path: str) -> dict[str, Any]:
    """Read and check the file here, where its lines are known."""
    from rollout.cli.plans import read_plan

    return read_plan(Path(path)).model_dump(by_alias=True, exclude_unset=True, mode="json")


def _weights(text: str | None) -> list[int]:
    if not text:
        return []
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise Failed(f"--steps: {text!r} is not a list of weights, such as 5,25,50,100", Exit.USAGE) from None


def _show_dry_run(begun: dict[str, Any]) -> None:
    say(f"would release {begun['service']}.{begun['namespace']}: {begun['from']} -> {begun['to']}")
    for number, step in enumerate(begun["steps"], 1):
        write(f"{number:>2}  {step['name']:<32} weight {step['weight']:>3}%  held {step['holdSeconds']:g} s")


@click.command()
@click.argument("service")
@click.option("--gate", help="Which gate; the one it waits at when left out.")
@reason_option
@pass_session
def approve(session: Session, service: str, gate: str | None, reason: str) -> int:
    """Open the gate that SERVICE's rollout waits at."""
    return _order(session, service, "approve", reason, gate=gate)


@click.command()
@click.argument("service")
@reason_option
@pass_session
def pause(session: Session, service: str, reason: str) -> int:
    """Hold SERVICE's rollout where it is. It is still judged, and still rolled back if the canary does harm."""
    return _order(session, service, "pause", reason)


@click.command()
@click.argument("service")
@reason_option
@pass_session
def resume(session: Session, service: str, reason: str) -> int:
    """Go on with a paused rollout: the step's evidence is gathered anew."""
    return _order(session, service, "resume", reason)


@click.command()
@click.argument("service")
@click.option("--full", is_flag=True, help="Skip everything that is left: all traffic to the canary now.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@reason_option
@pass_session
def promote(session: Session, service: str, full: bool, yes: bool, reason: str) -> int:
    """Skip the rest of the current step, whatever its checks say."""
    what = "everything that is left" if full else "the rest of this step"
    if not yes and sys.stdin.isatty():
        click.confirm(f"Skip {what} of {service}'s rollout?", abort=True, err=True)
    return _order(session, service, "promote", reason, full=full)


@click.command()
@click.argument("service")
@reason_option
@pass_session
def abort(session: Session, service: str, reason: str) -> int:
    """Take all of SERVICE's traffic back to its stable version, now."""
    return _order(session, service, "abort", reason)


@click.command()
@click.argument("service")
@reason_option
@pass_session
def retry(session: Session, service: str, reason: str) -> int:
    """Start SERVICE's last rollout once more."""
    begun = _post(session, service, "retry", reason)
    say(f"started {begun['id']}: {begun['service']} {begun['from']} -> {begun['to']}")
    return Exit.OK


@click.command()
@click.argument("service")
@click.option("--to", help="The version to return to; the one before the last promotion when left out.")
@reason_option
@pass_session
def undo(session: Session, service: str, to: str | None, reason: str) -> int:
    """Return SERVICE to the version it had before its last promotion, all at once."""
    begun = _post(session, service, "undo", reason, to=to)
    say(f"started {begun['id']}: {begun['service']} {begun['from']} -> {begun['to']}")
    return Exit.OK


def _order(session: Session, service: str, verb: str, reason: str, **more: Any) -> int:
    before = session.find(service)
    after = _post(session, before["id"], verb, reason, **more)
    say(f"{verb}: {after['service']} {after['id']} is {after['phase']}, weight {after['weight']}%")
    return Exit.OK


def _post(session: Session, service: str, verb: str, reason: str, **more: Any) -> dict[str, Any]:
    body = {"actor": session.who(), "reason": reason, **{key: value for key, value in more.items() if value}}
    target = session.find(service)["id"]
    answer: dict[str, Any] = session.client().post(f"/api/v1/rollouts/{target}:{verb}", body)
    return answer
