"""The arrays of vectorised.py against the values of rollout.core.sequential: the same traffic, the same fortunes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from rollout.core.sequential import ExceedE, RatioE, Side, SloE, Tally, Tempering
from tests.montecarlo.vectorised import Exceedances, Floats, Ints, Objectives, Ratios, Temperings

STARTS = 2
Second = tuple[Ints, Ints, Ints, Ints]  # failures and requests of the canary, then of the stable version


@dataclass
class Pair:
    """One e-process of all rollouts, as an array and as values."""

    array: Any
    values: list[Any]
    tell_array: Callable[[Any, Second, Floats], Floats]
    tell_value: Callable[[Any, Tally, Tally, float], Any]

    def difference(self, told: Second, etas: Floats) -> float:
        """The largest difference of log e after one more second."""
        found = self.tell_array(self.array, told, etas)
        for run, (canary, stable) in enumerate(tallies(told)):
            self.values[run] = self.tell_value(self.values[run], canary, stable, float(etas[run]))
        return max(abs(float(log_e) - float(value.log_e)) for log_e, value in zip(found, self.values, strict=True))

    def restart(self) -> None:
        """Begin the next step, where that is planned."""
        if self.array.starts < self.array.starts_planned:
            self.array.restart()
            self.values = [value.restarted() for value in self.values]


def tallies(told: Second) -> list[tuple[Tally, Tally]]:
    """The canary's and the stable version's second, per rollout."""
    return [
        (Tally(events=int(x_c), exposure=int(n_c)), Tally(events=int(x_b), exposure=int(n_b)))
        for x_c, n_c, x_b, n_b in zip(*told, strict=True)
    ]


def pairs(runs: int) -> dict[str, Pair]:
    """Every e-process that is measured here."""
    return {
        "RatioE, tempered and restarted": Pair(
            Ratios(runs, psi0=1.5, starts_planned=STARTS),
            [RatioE.fresh(Side.HARM, psi0=1.5, starts_planned=STARTS)] * runs,
            lambda array, told, etas: array.update(*told, etas),
            lambda value, canary, stable, eta: value.after(canary, stable, eta=eta),
        ),
        "RatioE to accept": Pair(
            Ratios(runs, psi0=2.0, side=Side.ACCEPT),
            [RatioE.fresh(Side.ACCEPT, psi0=2.0)] * runs,
            lambda array, told, _: array.update(*told),
            lambda value, canary, stable, _: value.after(canary, stable),
        ),
        "SloE, tempered": Pair(
            Objectives(runs, 0.01),
            [SloE.fresh(Side.HARM, p0=0.01)] * runs,
            lambda array, told, etas: array.update(told[0], told[1], etas),
            lambda value, canary, _, eta: value.after(canary, eta=eta),
        ),
        "SloE to accept": Pair(
            Objectives(runs, 0.05, Side.ACCEPT),
            [SloE.fresh(Side.ACCEPT, p0=0.05)] * runs,
            lambda array, told, _: array.update(told[0], told[1]),
            lambda value, canary, _, __: value.after(canary),
        ),
        "ExceedE": Pair(
            Exceedances(runs, 0.95),
            [ExceedE.fresh(Side.HARM, quantile=0.95)] * runs,
            lambda array, told, _: array.update(*told),
            lambda value, canary, stable, _: value.after(canary, stable),
        ),
    }


def largest_differences(*, seed: int, runs: int, seconds: int) -> dict[str, float]:
    """Per e-process, the largest difference over all rollouts and moments. Some seconds lack a version, or both."""
    chance = np.random.default_rng(seed)
    measured, temper, tempers = pairs(runs), Temperings(runs), [Tempering()] * runs
    worst = dict.fromkeys([*measured, "Tempering"], 0.0)
    for second in range(seconds):
        requests, stable_requests = (
            chance.binomial(20, share, runs) * (chance.random(runs) < 0.9) for share in (0.2, 0.8)
        )
        rates = chance.choice([0.0, 0.02, 0.2], (2, runs))
        told = (
            *(chance.binomial(requests, rates[0]), requests),
            *(chance.binomial(stable_requests, rates[1]), stable_requests),
        )
        etas = temper.eta
        worst["Tempering"] = max(worst["Tempering"], *(abs(etas[run] - tempers[run].eta) for run in range(runs)))
        for name, pair in measured.items():
            if second == seconds // 2:
                pair.restart()
            worst[name] = max(worst[name], pair.difference(told, etas))
        temper.update(*told)
        tempers = [tempers[run].after(*arms) for run, arms in enumerate(tallies(told))]
    return {name: float(difference) for name, difference in worst.items()}
