"""`make bench`: measures whoever is on PATH, prints a table, and writes build/bench/loadgen.json.

python -m tests.bench [--seconds 2] [--rounds 5] [--only closed|open] [--table FILE]
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from tests.bench.accuracy import punctuality, stalled
from tests.bench.clients import Client, clients
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
)


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=["closed", "open"], default="")
    parser.add_argument("--table", type=Path)
    options = parser.parse_args()
    if shutil.which("nginx") is None:
        print("nginx is not on PATH: nothing to measure against")  # noqa: T201
        return 0
    document: dict[str, object] = {"machine": machine()}
    lines: list[str] = []
    with nginx(OUT.parent / "nginx") as server:
        if options.only != "open":
            for rounds in closed(server, options.seconds, options.rounds):
                document[rounds.name] = as_json(rounds)
                lines += table(rounds)
        if options.only != "closed":
            accuracy = {f"constant_{rate}": punctuality(rate, 4) for rate in (2000, 10_000)}
            accuracy["stall"] = stalled(server)
            document |= accuracy
            lines += [f"{name}: {json.dumps(rounded(values))}" for name, values in accuracy.items()]
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(document, indent=2) + "\n")
    text = "\n".join(lines)
    print(text)  # noqa: T201
    if options.table:
        options.table.write_text(text + "\n")
    return 0


def closed(server: Server, seconds: int, rounds: int) -> list[Rounds]:
    """Everybody at 1, 8 and 64 connections; the other responses only against the fastest."""
    everybody = clients()
    fastest: dict[str, Client] = {name: who for name, who in everybody.items() if name in {"loadgen", "wrk"}}
    return [
        play(name, server, path, fastest if path else everybody, (connections, seconds, rounds))
        for name, path, connections in CLOSED
    ]


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


def rounded(values: dict[str, float]) -> dict[str, float]:
    """Keep what matters."""
    return {name: round(value, 3) for name, value in values.items()}


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
