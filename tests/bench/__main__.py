"""`make bench`: measures whoever is on PATH, prints a table, and writes build/bench/loadgen.json.

python -m tests.bench [--seconds 2] [--rounds 5] [--only closed|open|memory] [--requests 10000000] [--table FILE]
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from loadgen.core.plan import Pace
from tests.bench.accuracy import memory, punctuality, stalled, stopped
from tests.bench.clients import Client, clients, two_of_us
from tests.bench.rounds import Rounds, play
from tests.bench.server import Server, nginx

OUT = Path("build/bench/loadgen.json")
CLOSED = (
    ("closed_loop_1", "", 1),
    ("closed_loop_8", "", 8),
    ("closed_loop_64", "", 64),
    ("changing_heads_64", "changing", 64),
    ("body_10k_64", "10k", 64),
    ("body_100k_64", "100k", 64),
    ("closed_loop_1000", "", 1000),
)


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=["closed", "open", "memory"], default="")
    parser.add_argument("--requests", type=int, default=10_000_000)
    parser.add_argument("--table", type=Path)
    options = parser.parse_args()
    if shutil.which("nginx") is None:
        print("nginx is not on PATH: nothing to measure against")  # noqa: T201
        return 0
    document: dict[str, object] = json.loads(OUT.read_text()) if options.only and OUT.exists() else {}
    document["machine"] = machine()
    lines: list[str] = []
    with nginx(OUT.parent / "nginx") as server:
        if options.only in {"", "closed"}:
            for rounds in closed(server, options.seconds, options.rounds):
                document[rounds.name] = as_json(rounds)
                lines += table(rounds)
        told: dict[str, Mapping[str, object]] = {}
        if options.only in {"", "open"}:
            told = accuracy(server)
        if options.only == "memory":
            told = {"memory": memory(server, options.requests)}
    document |= told
    lines += [f"{name}: {json.dumps(rounded(values))}" for name, values in told.items()]
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(document, indent=2) + "\n")
    text = "\n".join(lines)
    print(text)  # noqa: T201
    if options.table:
        options.table.write_text(text + "\n")
    return 0


def accuracy(server: Server) -> dict[str, Mapping[str, object]]:
    """Hold us against a witness, a server that stood still, and ourselves standing still."""
    found: dict[str, Mapping[str, object]] = {f"constant_{rate}": punctuality(rate, 4) for rate in (2000, 10_000)}
    found["constant_10000_economy"] = punctuality(10_000, 4, Pace.ECONOMY)
    found["stall"] = stalled(server)
    return found | {"stopped": stopped(server)}


def closed(server: Server, seconds: int, rounds: int) -> list[Rounds]:
    """Everybody at 1, 8 and 64 connections; the other responses only against the fastest."""
    everybody = clients()
    fastest: dict[str, Client] = {name: who for name, who in everybody.items() if name in {"loadgen", "wrk"}}
    played = [
        play(name, server, path, fastest if path or connections > 64 else everybody, (connections, seconds, rounds))
        for name, path, connections in CLOSED
    ]
    both: dict[str, Client] = {"loadgen": everybody["loadgen"], "two workers": two_of_us}
    return [*played, play("two_workers_64", server, "", both, (64, seconds, rounds))]


def as_json(rounds: Rounds) -> dict[str, object]:
    """Give the shape that the goals are checked in: ratio = ours / theirs."""
    return {
        "per_cpu_s": {name: round(value) for name, value in rounds.per_cpu_s().items()},
        "ratio": {name: round(middle, 3) for name, (_, middle, _) in rounds.ratios().items()},
        "quartiles": {name: [round(low, 3), round(high, 3)] for name, (low, _, high) in rounds.ratios().items()},
        "miscounts": rounds.miscounts,
    }


def table(rounds: Rounds) -> list[str]:
    """Write a scenario as Markdown."""
    ratios = rounds.ratios()
    lines = [f"**{rounds.name}** (our count differed from the server's by {rounds.miscounts})", ""]
    lines += ["| client | requests per CPU-second | ours / theirs (quartiles) |", "|---|---|---|"]
    for name, value in sorted(rounds.per_cpu_s().items(), key=lambda item: -item[1]):
        told = "{1:.2f} ({0:.2f} to {2:.2f})".format(*ratios[name]) if name in ratios else ""
        lines.append(f"| {name} | {value:,.0f} | {told} |")
    return [*lines, ""]


def rounded(values: Mapping[str, object]) -> dict[str, object]:
    """Keep what matters."""
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in values.items()}


def machine() -> dict[str, object]:
    """Say where it was measured."""
    version = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=False).stderr.strip()
    return {
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "server": version,
        "load_average": os.getloadavg(),
    }


if __name__ == "__main__":
    sys.exit(main())
