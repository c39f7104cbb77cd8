"""How a canary misbehaves: scenarios as data, and the draw that decides each request's fate.

`draw` is a pure function of the scenario, its age and a random generator, so that a test can count ten thousand fates
without a socket. `Misbehaviour` holds the scenario being played and lets it be changed while requests are under way.
Carrying a fate out (answering late, hanging, ending the process) is the business of `rollout.demo.workload`.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum


class ScenarioName(StrEnum):
    """What can be asked for by name."""

    HEALTHY = "healthy"
    ERRORS_100 = "errors-100"
    ERRORS_20 = "errors-20"
    ERRORS_5 = "errors-5"
    SLOW = "slow"
    SLOW_P99 = "slow-p99"
    HANG = "hang"
    CRASH = "crash"
    LATENT = "latent"
    BOTH_BAD = "both-bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One way to behave; the defaults are good behaviour."""

    name: ScenarioName
    says: str  # one line for people
    good_for_s: float = 0.0  # good behaviour for so long after the scenario was chosen
    error_share: float = 0.0
    delay_s: float = 0.0  # added to every answer
    slow_share: float = 0.0
    slow_factor: float = 1.0  # multiplies the work of the slow ones
    hangs: bool = False
    crashes: bool = False
    hits_stable: bool = False  # when a whole bookinfo plays it: v1 as well, not the canary alone

    def __post_init__(self) -> None:
        for key in ("error_share", "slow_share"):
            if not 0 <= getattr(self, key) <= 1:
                raise ValueError(f"{key} must be between 0 and 1")
        if not 0 <= self.good_for_s < float("inf"):
            raise ValueError("good_for_s must be a number of seconds from 0 up")


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario(name=ScenarioName.HEALTHY, says="every request is answered well"),
        Scenario(name=ScenarioName.ERRORS_100, says="every request fails", error_share=1.0),
        Scenario(name=ScenarioName.ERRORS_20, says="one request in five fails", error_share=0.2),
        Scenario(name=ScenarioName.ERRORS_5, says="one request in twenty fails", error_share=0.05),
        Scenario(name=ScenarioName.SLOW, says="every answer comes 500 ms later", delay_s=0.5),
        Scenario(
            name=ScenarioName.SLOW_P99,
            says="2 % of the requests take eight times as long",
            slow_share=0.02,
            slow_factor=8,
        ),
        Scenario(name=ScenarioName.HANG, says="connections are accepted, nothing is answered", hangs=True),
        Scenario(name=ScenarioName.CRASH, says="the process ends at the first request", crashes=True),
        Scenario(
            name=ScenarioName.LATENT,
            says="good for a while, then one request in five fails",
            good_for_s=60,
            error_share=0.2,
        ),
        Scenario(
            name=ScenarioName.BOTH_BAD,
            says="one request in five fails, in v1 as well",
            error_share=0.2,
            hits_stable=True,
        ),
    )
}
HEALTHY = SCENARIOS[ScenarioName.HEALTHY]


def scenario_named(name: str, good_for_s: float | None = None) -> Scenario:
    """Find a scenario, with another time of good behaviour before it if one is given."""
    if name not in SCENARIOS:
        raise ValueError(f"no scenario is named {name!r}; there are {', '.join(SCENARIOS)}")
    scenario = SCENARIOS[ScenarioName(name)]
    return scenario if good_for_s is None else replace(scenario, good_for_s=good_for_s)


class Deed(StrEnum):
    """What becomes of one request."""

    ANSWER = "answer"
    FAIL = "fail"
    HANG = "hang"
    CRASH = "crash"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """The draw for one request."""

    deed: Deed = Deed.ANSWER
    added_s: float = 0.0
    work_factor: float = 1.0


GOOD = Fate()


def draw(scenario: Scenario, *, age_s: float, chance: random.Random) -> Fate:
    """Decide one request's fate, the scenario having been chosen `age_s` ago."""
    if age_s < scenario.good_for_s:
        return GOOD
    if scenario.crashes:
        return Fate(deed=Deed.CRASH)
    if scenario.hangs:
        return Fate(deed=Deed.HANG)
    return Fate(
        deed=Deed.FAIL if chance.random() < scenario.error_share else Deed.ANSWER,
        added_s=scenario.delay_s,
        work_factor=scenario.slow_factor if chance.random() < scenario.slow_share else 1.0,
    )


class Misbehaviour:
    """The scenario a workload plays now."""

    def __init__(self, scenario: Scenario, *, chance: random.Random, now_s: Callable[[], float]) -> None:
        self._chance = chance
        self._now_s = now_s
        self._changed = asyncio.Event()
        self.play(scenario)

    @property
    def scenario(self) -> Scenario:
        """The scenario being played."""
        return self._scenario

    def play(self, scenario: Scenario) -> None:
        """Play this from now on; requests that hang are let go."""
        self._scenario = scenario
        self._since_s = self._now_s()
        self.release()

    def fate(self) -> Fate:
        """Draw the fate of the request that has just come in."""
        return draw(self._scenario, age_s=self._now_s() - self._since_s, chance=self._chance)

    def release(self) -> None:
        """Let go of the requests that hang."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def wait_released(self) -> None:
        """Hang until the scenario changes or the app shuts down."""
        await self._changed.wait()
