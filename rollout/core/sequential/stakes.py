"""The gambler's fortune: one stake on each alternative, kept as logarithms.

One alternative alone (say "the canary fails exactly twice as often") is a good bet only if it happens to be true. The
average of the fortunes of several bets is a fortune again, and within ln K of the best of K bets:

    e = (1/K) Σ_k exp(logs[k])

Restarts (late regressions). A regression that begins at the third step must first win back what the bets lost during
the first two. So a share of the capital is kept aside for every planned step s and staked only when s begins:

    e = (1/S) (Σ_{s begun} e^(s) + number of steps not begun)

All starts see the same growth from then on, so their stakes on one alternative may be kept as one sum: a restart adds
a fresh 1 to each stake, and costs nothing afterwards.

Tempering. A stake grows by exp(growth)^η with 0 < η <= 1. By Jensen's inequality E[X^η] <= E[X]^η <= 1: any η that was
fixed before the stratum keeps the promise, and errors that come in bursts need it (dispersion.py). The first burst,
though, comes before anything is known of bursts. So growth may be capped: min(X, c) <= X, and the promise is kept.

Sources: Howard, Ramdas, McAuliffe, Sekhon, "Time-uniform Chernoff bounds via nonnegative supermartingales" (2020);
Waudby-Smith, Ramdas, "Estimating means of bounded random variables by betting" (2024) for mixtures of bets.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import exp, inf, log, log1p
from typing import Self


class Side(StrEnum):
    """What a test tries to prove, by betting against its opposite."""

    HARM = "harm"  # H0: the canary is no worse than tolerated
    ACCEPT = "accept"  # H0: the canary is worse than tolerated, or at the limit


# How many times the tolerated rate the canary's rate may be. Nearly geometric, dense where a regression is hard to see:
# no rate in between costs more than a few percent of evidence.
HARM_RATIOS = (1.25, 1.5, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0, 50.0, 100.0, 300.0, 1000.0)
ACCEPT_RATIOS = (0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8)  # and 0, "the canary never fails", which one event ruins


def log_sum(values: Iterable[float | None]) -> float:
    """Ln Σ exp(value), without overflow; None is the logarithm of nothing."""
    alive = [value for value in values if value is not None]
    largest = max(alive, default=-inf)
    if largest == -inf:
        return -inf
    return largest + log(sum([exp(value - largest) for value in alive]))


def log_average(log_es: Sequence[float], weights: Sequence[float] | None = None) -> float:
    """Combine e-processes of any dependence by their weighted average: ln Σ w_i e_i, with the w_i summing to 1 at most.

    It is at least as strong as Bonferroni's correction, which is max w_i e_i. Source: Vovk, Wang, "E-values" (2021).
    """
    if weights is None:
        return log_sum(log_es) - log(len(log_es))
    if len(weights) != len(log_es) or min(weights) < 0 or sum(weights) > 1 + 1e-9:
        raise ValueError(f"{len(log_es)} e-values need as many weights, none negative, of sum 1 at most: {weights}")
    return log_sum([value + log(weight) for value, weight in zip(log_es, weights, strict=True) if weight > 0])


def floored(log_e: float, *log_e_floors: float) -> float:
    """Count harm only where every floor is broken as well: a bet against "no worse, or too little to matter".

    The smallest of several bets is one against the union of their hypotheses, since it exceeds none of them.
    """
    return min(log_e, *log_e_floors)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stakes:
    """Log capital per alternative, summed over the starts so far. None is a lost stake: JSON knows no -inf."""

    logs: tuple[float | None, ...]
    starts: int = 1
    starts_planned: int = 1

    def __post_init__(self) -> None:
        if not self.logs:
            raise ValueError("at least one alternative to bet on")
        if not 1 <= self.starts <= self.starts_planned:
            raise ValueError(f"{self.starts} starts, {self.starts_planned} planned")

    @classmethod
    def fresh(cls, alternatives: int, starts_planned: int) -> Self:
        """One unit of capital on each alternative, nothing won or lost yet."""
        return cls(logs=(0.0,) * alternatives, starts_planned=starts_planned)

    def after(self, growth: Iterable[float | None], eta: float, growth_max: float = inf) -> Self:
        """Each stake after a stratum that alternative k explains exp(growth[k]) times as well as H0 does."""
        if not 0 < eta <= 1:
            raise ValueError(f"a temper lies in (0, 1], not {eta}")
        logs = tuple(
            [
                None if stake is None or grown is None else stake + eta * min(grown, growth_max)
                for stake, grown in zip(self.logs, growth, strict=True)
            ]
        )
        return type(self)(logs=logs, starts=self.starts, starts_planned=self.starts_planned)

    def restarted(self) -> Self:
        """Stake the share that was kept aside for the next start."""
        logs = tuple([0.0 if stake is None else _log_plus_one(stake) for stake in self.logs])
        return type(self)(logs=logs, starts=self.starts + 1, starts_planned=self.starts_planned)

    @property
    def log_e(self) -> float:
        """The fortune: staked capital averaged over the alternatives, plus what is kept aside."""
        alternatives, kept = len(self.logs), self.starts_planned - self.starts
        capital = [*self.logs, log(kept * alternatives)] if kept else self.logs
        return log_sum(capital) - log(alternatives * self.starts_planned)


def _log_plus_one(value: float) -> float:
    """Ln(exp(value) + 1), without overflow."""
    return max(value, 0.0) + log1p(exp(-abs(value)))


@dataclass(frozen=True, slots=True, kw_only=True)
class EProcess:
    """What all tests share: stakes, their fortune, and a fresh start when a step begins."""

    stakes: Stakes

    @property
    def log_e(self) -> float:
        """Natural logarithm of the evidence against H0: 0 knows nothing, ln(1/α) rejects."""
        return self.stakes.log_e

    def restarted(self) -> Self:
        """Begin the next of the planned starts (`Stakes.restarted`)."""
        return replace(self, stakes=self.stakes.restarted())
