"""`make acceptance`: the judge on a real Envoy, a real Prometheus and real load. Exit status 1 if a promise is broken.

python -m tests.acceptance.judge [--runs 20] [--minutes 60] [--only errors-5]...

The cases take turns, so that an end before time leaves some of each; build/acceptance/judge.json is written after each
take.
"""

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median

from rollout.child import ChildFailed
from rollout.demo.audience import open_audience
from rollout.demo.stage import open_stage
from rollout.demo.watcher import open_watcher
from rollout.ports import Refused, Unavailable
from rollout.telemetry import configure_logs
from tests.acceptance.cases import CASES, Account, Case, seconds_of
from tests.acceptance.takes import Theatre

OUT = Path("build/acceptance/judge.json")
PLAN = Path(__file__).parent / "reviews.yaml"
ON_REQUEST = {"slow-p99"}  # a minute and more each
DEFAULT = [case.name for case in CASES if case.name not in ON_REQUEST]


def main(arguments: Sequence[str] | None = None) -> int:
    """Play, account, compare."""
    options = options_of(arguments)
    if shutil.which("prometheus") is None:
        say("Prometheus is missing: apt-get install prometheus")
        return 1
    configure_logs(level="error")
    cases = [case for case in CASES if case.name in (options.only or DEFAULT)]
    account = Account()
    root = Path(tempfile.mkdtemp(prefix="rollout-acceptance-"))
    try:
        asyncio.run(play(root, cases, options.runs, options.minutes, account))
    except (ChildFailed, Unavailable, Refused) as error:
        say(f"error: {error}; logs are in {root}")
        return 1
    except KeyboardInterrupt:
        say("stopped before the end")
    shutil.rmtree(root, ignore_errors=True)
    return 0 if told(cases, account, options.runs) else 1


def options_of(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.acceptance.judge")
    parser.add_argument("--runs", type=int, default=20, metavar="N", help="of each case; default: 20")
    parser.add_argument("--minutes", type=float, default=90.0, help="begin nothing after so many; default: 90")
    parser.add_argument(
        "--only", action="append", choices=[case.name for case in CASES], help=f"default: {' '.join(DEFAULT)}"
    )
    return parser.parse_args(arguments)


async def play(root: Path, cases: Sequence[Case], runs: int, minutes: float, account: Account) -> None:
    """All takes, one after the other, on one stage."""
    say(f"starting bookinfo, Envoy, Prometheus and the daemon in {root}")
    async with (
        open_stage(root, plan=PLAN, tell=lambda _: None) as stage,
        open_watcher(stage.bookinfo.mesh.status.admin) as watcher,
        open_audience(stage.bookinfo.users_address, stage.bookinfo.page_url) as audience,
    ):
        theatre, until = Theatre(stage, audience, watcher), time.monotonic() + 60 * minutes
        for number, case in enumerate([case for _ in range(runs) for case in cases], 1):
            if time.monotonic() > until:
                say(f"{minutes:g} minutes are over")
                return
            take = await theatre.play(case)
            account.add(take)
            write(account)
            took = "" if take.seconds is None else f" in {take.seconds:.1f} s"
            say(
                f"[{number} of {runs * len(cases)}] {case.name}: {take.end}{took}; "
                f"{take.failed_user_requests} of {take.user_requests} users' requests failed; {take.why}"
            )


def write(account: Account) -> None:
    """Everything so far."""
    OUT.parent.mkdir(parents=True, exist_ok=True)
    document = {name: [asdict(take) for take in takes] for name, takes in account.takes.items()}
    OUT.write_text(json.dumps(document, indent=1) + "\n")


def told(cases: Sequence[Case], account: Account, runs: int) -> bool:
    """Say what became of each promise; whether all are kept."""
    are_kept = True
    for case in cases:
        takes, took = account.of(case), seconds_of(account.of(case))
        problem = case.broken_by(takes) or (f"only {len(takes)} of {runs} were played" if len(takes) < runs else "")
        are_kept = are_kept and not problem
        ended = sum(take.end == case.end for take in takes)
        times = f", median {median(took):.1f} s, longest {max(took):.1f} s" if took else ""
        say(f"{'broken' if problem else 'kept'}: {case.says}: {ended} of {len(takes)}{times} {problem}".rstrip())
    return are_kept


def say(text: str) -> None:
    """One line of progress."""
    print(text, flush=True)  # noqa: T201 - a program's progress


if __name__ == "__main__":
    sys.exit(main())
