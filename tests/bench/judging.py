"""What judging costs: `python -m tests.bench.judging`. Exit status 1 if a promise is broken.

A stratum is half a second of synthetic load, as the daemon gets it: 25 requests of either version, latencies in the
load generator's own fine buckets, five live bets (errors against a limit and against stable, latency at p50, p95 and
p99). The steps are long, so that the totals have as many buckets as they ever will.
"""

import sys
from itertools import islice
from random import Random
from statistics import median
from time import process_time

from pydantic import TypeAdapter
from rich.console import Console
from rich.progress import Progress

from loadgen.core.histogram import NS, bucket_of, upper_edge_s
from rollout.core.evidence import Counts, Stratum
from rollout.core.judge import judge
from rollout.core.ledger import Evidence, fold
from rollout.core.simulation import BASELINE, Story, Traffic, simulate
from rollout.core.spec import RolloutSpec, Source
from rollout.core.trials import trials_of
from tests.montecarlo.judging import USUAL

STRATA, STRATUM_S, PER_ARM = 1200, 0.5, 25
STRATUM_MS_MAX = 0.5
ROLLOUTS = 1000
CORE_SHARE_MAX = 1.0
REPEATS = 5  # the least of so many counts: what else a machine does can only add


def counts(chance: Random) -> Counts:
    """One version's half second."""
    latency: dict[float, int] = {}
    for _ in range(PER_ARM):
        edge = upper_edge_s(bucket_of(round(chance.lognormvariate(-3, 0.6) * NS)))
        latency[edge] = latency.get(edge, 0) + 1
    return Counts(requests=PER_ARM, failures=chance.random() < 0.02, latency=latency)


def strata(chance: Random) -> list[Stratum]:
    """Ten minutes."""
    return [
        Stratum(start=i * STRATUM_S, end=(i + 1) * STRATUM_S, stable=counts(chance), canary=counts(chance))
        for i in range(STRATA)
    ]


def stratum_ms(told: list[Stratum]) -> tuple[float, float, Evidence]:
    """Processor time to fold one stratum and to judge it: the median, and the median of the last tenth."""
    trials, evidence, spent = trials_of(USUAL), Evidence(), []
    for stratum in told:
        began = process_time()
        evidence = fold(evidence, trials, Source.LOAD, stratum, 3)
        judge(USUAL, evidence, weight=5)
        spent.append((process_time() - began) * 1000)
    return median(spent), median(spent[-len(spent) // 10 :]), evidence


def second_of_many_s(told: list[Stratum], bar: Progress) -> float:
    """Processor time to judge every one of 1,000 rollouts once, as every second does; their evidence differs."""
    trials, task = trials_of(USUAL), bar.add_task("1,000 rollouts", total=2 * ROLLOUTS)
    many = []
    for index in range(ROLLOUTS):
        evidence = Evidence()
        for stratum in islice(told, index % 50, index % 50 + 8):
            evidence = fold(evidence, trials, Source.LOAD, stratum, 3)
        many.append(evidence)
        bar.advance(task)
    began = process_time()
    for evidence in many:
        judge(USUAL, fold(evidence, trials, Source.LOAD, told[-1], 3), weight=5)
        bar.advance(task)
    return process_time() - began


def tick_ms() -> float:
    """Processor time of one whole decision of a simulated rollout, documents and made-up world included."""
    ticks = 0

    def each(_: object) -> None:
        nonlocal ticks
        ticks += 1

    spec = RolloutSpec(namespace="n", service="s", stable="v1", canary="v2", plan=USUAL)
    began = process_time()
    simulate(Story(spec=spec, traffic=Traffic(rps=100, canary=BASELINE)), Random(1), each=each)
    return (process_time() - began) / ticks * 1000


def main() -> int:
    """Measure, print, compare."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True) as bar:
        told = strata(Random(1))
        measured = [stratum_ms(told) for _ in range(REPEATS)]
        typical, late = (min(times) for times in zip(*((one[0], one[1]) for one in measured), strict=True))
        evidence = measured[0][2]
        second_s = min(second_of_many_s(told, bar) for _ in range(REPEATS))
        tick = tick_ms()
    saved = len(TypeAdapter(Evidence).dump_json(evidence))
    console.print(f"one judged stratum       {typical:.2f} ms, after ten minutes {late:.2f} ms (≤ {STRATUM_MS_MAX})")
    console.print(f"1,000 rollouts judged    {second_s:.2f} s of one core per second (≤ {CORE_SHARE_MAX})")
    console.print(f"one decision, simulated  {tick:.2f} ms")
    console.print(f"evidence when saved      {saved / 1024:.0f} KiB")
    return 1 if max(typical, late) > STRATUM_MS_MAX or second_s > CORE_SHARE_MAX else 0


if __name__ == "__main__":
    sys.exit(main())
