"""demo: the whole product on this machine, in a minute: a good release promoted, a bad one taken back."""

import asyncio
import json
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rollout.cli.client import Failed
from rollout.cli.exit_codes import Exit
from rollout.cli.session import Session, pass_session
from rollout.cli.streams import console, is_live, say, symbols, write

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live

    from rollout.demo.show import Act
    from rollout.demo.stage import Stage

DEFAULT_SCENARIOS = ("healthy", "errors-100")
NO_PROBE_STEPS = (10, 25, 50, 100)


@click.command()
@click.option(
    "--scenario",
    "scenarios",
    multiple=True,
    help="How v3 behaves: healthy, errors-100, errors-20, slow, hang, crash, …",
)
@click.option("--no-probe", is_flag=True, help="Begin at weight 10 at once, without probes and cohort.")
@click.option("--keep", is_flag=True, help="Stay up after the last scenario and say where everything is.")
@click.option(
    "-o", "--output", type=click.Choice(["text", "json"]), default="text", help="json: a last line on stdout."
)
@click.option("--directory", type=click.Path(file_okay=False, path_type=Path), help="Where to work; kept afterwards.")
@click.option("--hooks", type=click.Path(dir_okay=False, exists=True, path_type=Path), help="Webhooks for the daemon.")
@pass_session
def demo(
    session: Session,
    *,
    scenarios: tuple[str, ...],
    no_probe: bool,
    keep: bool,
    output: str,
    directory: Path | None,
    hooks: Path | None,
) -> int:
    """See a good release promoted and a bad one taken back, on this machine.

    Starts bookinfo, a real Envoy, Prometheus and the daemon on free loopback ports; 100 requests a second of users' go
    on all the while. Leaves nothing running. Exit code 0: every scenario ended as it should.

    \b
    rollout demo
    rollout demo --scenario errors-20 --scenario hang
    rollout demo --scenario errors-100 --no-probe --output json
    """
    from rollout.child import ChildFailed
    from rollout.demo.scenarios import SCENARIOS
    from rollout.ports import Refused, Unavailable
    from rollout.telemetry import configure_logs

    unknown = [name for name in scenarios if name not in SCENARIOS]
    if unknown:
        raise click.UsageError(f"no scenario is named {unknown[0]!r}; there are {', '.join(SCENARIOS)}")
    if not shutil.which("prometheus"):
        say("prometheus is not installed: the users check is left out (to have it: apt-get install prometheus)")
    configure_logs(level="error")
    work = directory or Path(tempfile.mkdtemp(prefix="rollout-demo-"))
    picture = _Picture(session, is_machine=output == "json")
    try:
        acts = asyncio.run(
            _play(work, scenarios or DEFAULT_SCENARIOS, NO_PROBE_STEPS if no_probe else (), picture, keep, hooks)
        )
    except (ChildFailed, Unavailable, Refused) as error:
        raise Failed(str(error), hint=f"logs are in {work}") from error
    except KeyboardInterrupt:
        if directory is None:
            shutil.rmtree(work, ignore_errors=True)
        say("stopped; nothing is left running")
        return Exit.INTERRUPTED
    finally:
        picture.close()
    if directory is None:
        shutil.rmtree(work, ignore_errors=True)
    _summarise(acts, picture.screen)
    if output == "json":
        write(json.dumps({"scenarios": [act.document() for act in acts]}))
    return Exit.OK if all(_is_as_it_should(act) for act in acts) else Exit.ERROR


async def _play(
    work: Path,
    scenarios: tuple[str, ...],
    steps: tuple[int, ...],
    picture: "_Picture",
    keep: bool,
    hooks: Path | None,
) -> "list[Act]":
    from rollout.demo.audience import open_audience
    from rollout.demo.show import Show
    from rollout.demo.stage import CONFIG, open_stage
    from rollout.demo.watcher import open_watcher

    say(f"Starting bookinfo, Envoy, Prometheus and the daemon; logs in {work}")
    async with (
        open_stage(work, plan=CONFIG / "demo/reviews.yaml", tell=lambda text: say(f"  {text}"), hooks=hooks) as stage,
        open_watcher(stage.bookinfo.mesh.status.admin) as watcher,
        open_audience(stage.bookinfo.users_address, stage.bookinfo.page_url) as audience,
    ):
        show = Show(stage, audience, watcher, picture)
        acts = [await show.play(name, steps) for name in scenarios]
        if keep:
            _tell_where(stage)
            await _until_signalled()
    return acts


async def _until_signalled() -> None:
    import signal

    done = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, done.set)
    await done.wait()


def _tell_where(stage: "Stage") -> None:
    say("\nStill up; Ctrl-C ends everything:")
    say(f"  product page   {stage.bookinfo.page_url}")
    say(f"  daemon         {stage.daemon_url}   e.g. rollout --server {stage.daemon_url} get reviews")
    say(f"  Prometheus     {stage.prometheus_url or 'not installed'}")
    say(f"  Envoy's admin  http://{stage.bookinfo.mesh.status.admin}")
    say(f"  documents      rollout mesh get {stage.root / 'mesh'}")


class _Picture:
    """Shows the programme: a live picture on a terminal, lines elsewhere; on stderr when stdout is for machines."""

    def __init__(self, session: Session, *, is_machine: bool) -> None:
        stream = sys.stderr if is_machine else sys.stdout
        self.screen: Console = console(stream, color=session.color)
        self._marks: Mapping[str, str] = symbols(stream)
        self._is_live = is_live(stream)
        self._live: Live | None = None
        self._told: tuple[object, ...] = ()

    async def announce(self, name: str, says: str) -> None:
        """A scenario begins."""
        self.screen.print(f"\n[bold]Release reviews v1 {self._marks['to']} v3[/], scenario [bold]{name}[/]: {says}")
        self._told = ()
        if self._is_live:
            from rich.live import Live

            self._live = Live(console=self.screen, auto_refresh=False, transient=False)
            self._live.start()

    async def follow(self, rollout: dict[str, Any]) -> None:
        """The rollout as it is now."""
        if self._live is not None:
            from rollout.cli.pictures import detail

            self._live.update(detail(rollout, self._marks), refresh=True)
            return
        state = (rollout["phase"], rollout["step"], rollout["weight"], rollout["result"])
        if state != self._told:
            self._told = state
            why = rollout["detail"] or rollout["cause"]
            where = f"step {rollout['step']}/{len(rollout['steps'])} weight {rollout['weight']}%"
            self.screen.print(f"  {rollout['phase']:<12} {where}  {why}")

    async def account(self, act: "Act") -> None:
        """A scenario has ended."""
        if self._live is not None:
            self._live.stop()
            self._live = None
        mark = self._marks["ok" if _is_as_it_should(act) else "bad"]
        after = "" if act.time_to_rollback_s is None else f" within {act.time_to_rollback_s:g} s of its first harm"
        self.screen.print(
            f"{mark} {act.result.replace('_', ' ')}{after}; {act.failed_user_requests} of {act.user_requests:,}"
            f" user requests failed, {act.failed_page_views} of {act.page_views} page views"
        )
        self.screen.print(f"  why: {act.reason}")

    def close(self) -> None:
        """Leave the last frame behind."""
        if self._live is not None:
            self._live.stop()


def _is_as_it_should(act: "Act") -> bool:
    return (act.result == "promoted") == (act.name in ("healthy", "latent"))


def _summarise(acts: "list[Act]", screen: "Console") -> None:
    from rich.table import Table

    grid = Table("SCENARIO", "RESULT", "FAILED USER REQUESTS", "ROLLED BACK IN", "WEIGHTS", box=None, pad_edge=False)
    for act in acts:
        took = "-" if act.time_to_rollback_s is None else f"{act.time_to_rollback_s:g} s"
        weights = " ".join(f"{version} {weight}%" for version, weight in act.final_weights.items())
        failed = f"{act.failed_user_requests} of {act.user_requests:,}"
        grid.add_row(act.name, act.result.replace("_", " "), failed, took, weights)
    screen.print()
    screen.print(grid)
