"""A rollout in a made-up world: what a plan would do to a canary of a given kind, before anybody's users meet it.

The policy is the real one. machine.decide() is asked again and again under a virtual clock, sees what it would see in
production (documents, proxies, the load's strata, Prometheus's counters), and its actions change the made-up world.
Only the world is invented: two versions that fail independently at given rates, with log-normal latencies.

    chance.py    binomial counts from a generator that the caller passes in
    traffic.py   two versions and their users, as people write them: errors=2%,latency=x1.2
    world.py     what decide() sees and changes
    run.py       one rollout from its start to its end
    summary.py   what many of them come to
    needs.py     how many requests a plan needs before it can say anything
"""

from rollout.core.simulation.chance import Chance
from rollout.core.simulation.needs import Need, needs_of
from rollout.core.simulation.run import End, Ending, Story, simulate
from rollout.core.simulation.summary import Summary, summary_of
from rollout.core.simulation.traffic import BASELINE, Behaviour, Traffic, parse_behaviour

__all__ = [
    "BASELINE",
    "Behaviour",
    "Chance",
    "End",
    "Ending",
    "Need",
    "Story",
    "Summary",
    "Traffic",
    "needs_of",
    "parse_behaviour",
    "simulate",
    "summary_of",
]
