"""Interleaved rounds: A B C, B C A, C A B; what is compared is always what ran next to each other."""

import statistics
from dataclasses import dataclass, field

from tests.bench.clients import Client, Measured
from tests.bench.server import Server


@dataclass(slots=True)
class Rounds:
    """All runs of one scenario, by client."""

    name: str
    runs: dict[str, list[Measured]] = field(default_factory=dict)
    miscounts: int = 0  # how far our count was from the server's own

    def per_cpu_s(self) -> dict[str, float]:
        """Give the medians of requests per CPU-second."""
        return {name: statistics.median(run.per_cpu_s for run in runs) for name, runs in self.runs.items()}

    def ratios(self) -> dict[str, tuple[float, float, float]]:
        """Give ours / theirs, round by round: the lower quartile, the median, the upper quartile."""
        found = {}
        for name, runs in self.runs.items():
            if name != "loadgen":
                each = [
                    ours.per_cpu_s / theirs.per_cpu_s
                    for ours, theirs in zip(self.runs["loadgen"], runs, strict=True)
                    if theirs.per_cpu_s
                ]
                if len(each) > 1:
                    low, middle, high = statistics.quantiles(each, n=4, method="inclusive")
                    found[name] = (low, middle, high)
                elif each:
                    found[name] = (each[0], each[0], each[0])
        return found


def play(name: str, server: Server, path: str, who: dict[str, Client], shape: tuple[int, int, int]) -> Rounds:
    """Play (connections, seconds, rounds)."""
    connections, seconds, rounds = shape
    played = Rounds(name, {client: [] for client in who})
    names = list(who)
    for turn in range(rounds):
        order = names[turn % len(names) :] + names[: turn % len(names)]
        for client in order:
            before = server.requests()
            measured = who[client](server.url + path, connections, seconds)
            if client == "loadgen":
                # each look at the counter is a request as well
                played.miscounts += abs(server.requests() - before - 1 - measured.requests)
            played.runs[client].append(measured)
    return played
