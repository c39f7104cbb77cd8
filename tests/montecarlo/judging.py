"""What a judge is to this harness, and the reference judge, put together from rollout.core.sequential alone.

Any judge can be measured: it needs `start_step`, `update` and `verdict`, and to be a value that pydantic can save.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from math import log
from typing import Protocol, Self

from rollout.core.sequential import ExceedE, RatioE, Side, SloE, Tally, Tempering, floored, log_average

HARM_QUANTILES = (0.5, 0.9, 0.95, 0.99)
ACCEPT_QUANTILES = (0.5, 0.95, 0.99)


class Verdict(StrEnum):
    """What a judge says after a stratum."""

    CONTINUE = "continue"
    ROLLBACK = "rollback"
    ACCEPT = "accept"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stratum:
    """What both versions showed in one interval. Slow counts go with HARM_QUANTILES and ACCEPT_QUANTILES."""

    canary: Tally
    stable: Tally
    harm: tuple[tuple[Tally, Tally], ...] = ()  # canary beyond (1 + tolerated) τ, stable beyond τ
    accept: tuple[tuple[Tally, Tally], ...] = ()


class Judge(Protocol):
    """A value: each call returns the judge that knows more. A warm-up is a stratum without canary requests."""

    def start_step(self) -> Self: ...

    def update(self, stratum: Stratum) -> Self: ...

    def verdict(self) -> Verdict: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The reference policy of the statistics reference, section 5."""

    alpha_harm: float = 0.01  # for the whole rollout: all checks, all steps, all looks
    alpha_accept: float = 0.05  # for each check of a step
    objective: float = 0.01
    floor: float = 0.001  # below this error share a relative increase never counts as harm
    tolerated_harm: float = 1.0
    tolerated_accept: float = 2.0
    requests_min: int = 50
    failures_min: int = 5
    steps: int = 3
    accept_quantiles: tuple[float, ...] = ACCEPT_QUANTILES


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceJudge:
    """Harm: the mean of a third relative errors, a third objective, a third latency. Accept: every check by itself."""

    policy: Policy
    relative: RatioE
    floor: SloE
    objective: SloE
    slower: tuple[ExceedE, ...]
    accept_relative: RatioE
    accept_objective: SloE
    accept_slower: tuple[ExceedE, ...]
    tempering: Tempering = field(default_factory=Tempering)
    total: Tally = field(default_factory=lambda: Tally(events=0, exposure=0))
    step_requests: float = 0

    @classmethod
    def fresh(cls, policy: Policy) -> Self:
        """Before the first step has shown anything."""
        starts = policy.steps
        return cls(
            policy=policy,
            relative=RatioE.fresh(Side.HARM, psi0=policy.tolerated_harm, starts_planned=starts),
            floor=SloE.fresh(Side.HARM, p0=policy.floor, starts_planned=starts),
            objective=SloE.fresh(Side.HARM, p0=policy.objective, starts_planned=starts),
            slower=tuple(ExceedE.fresh(Side.HARM, quantile=q, starts_planned=starts) for q in HARM_QUANTILES),
            accept_relative=RatioE.fresh(Side.ACCEPT, psi0=policy.tolerated_accept),
            accept_objective=SloE.fresh(Side.ACCEPT, p0=policy.objective),
            accept_slower=tuple(ExceedE.fresh(Side.ACCEPT, quantile=q) for q in policy.accept_quantiles),
        )

    def start_step(self) -> Self:
        """Harm keeps what it knows and bets anew; what would accept the last step does not accept this one."""
        anew = self.fresh(self.policy)
        return type(self)(
            policy=self.policy,
            relative=self.relative.restarted(),
            floor=self.floor.restarted(),
            objective=self.objective.restarted(),
            slower=tuple(slower.restarted() for slower in self.slower),
            accept_relative=anew.accept_relative,
            accept_objective=anew.accept_objective,
            accept_slower=anew.accept_slower,
            tempering=self.tempering,
            total=self.total,
        )

    def update(self, stratum: Stratum) -> Self:
        """Bet with the temper of the past, then learn."""
        canary, stable, eta = stratum.canary, stratum.stable, self.tempering.eta
        return type(self)(
            policy=self.policy,
            relative=self.relative.after(canary, stable, eta=eta),
            floor=self.floor.after(canary, eta=eta),
            objective=self.objective.after(canary, eta=eta),
            slower=_told(self.slower, stratum.harm),
            accept_relative=self.accept_relative.after(canary, stable, eta=eta),
            accept_objective=self.accept_objective.after(canary, eta=eta),
            accept_slower=_told(self.accept_slower, stratum.accept),
            tempering=self.tempering.after(canary, stable),
            total=Tally(events=self.total.events + canary.events, exposure=self.total.exposure + canary.exposure),
            step_requests=self.step_requests + canary.exposure,
        )

    @property
    def log_e_harm(self) -> float:
        """The evidence against "the canary is no worse"."""
        errors = [floored(self.relative.log_e, self.floor.log_e), self.objective.log_e]
        latency = [slower.log_e for slower in self.slower]
        return log_average(errors + latency, [1 / 3, 1 / 3, *[1 / 3 / len(latency)] * len(latency)])

    @property
    def log_e_accept(self) -> float:
        """The weakest check's evidence that the canary is good enough."""
        errors = log_average([self.accept_objective.log_e, self.accept_relative.log_e])
        return min(errors, *(slower.log_e for slower in self.accept_slower))

    def verdict(self) -> Verdict:
        """Harm first; nothing rests on a handful of requests."""
        policy = self.policy
        enough = self.total.exposure >= policy.requests_min or self.total.events >= policy.failures_min
        if enough and self.log_e_harm >= -log(policy.alpha_harm):
            return Verdict.ROLLBACK
        if self.step_requests >= policy.requests_min and self.log_e_accept >= -log(policy.alpha_accept):
            return Verdict.ACCEPT
        return Verdict.CONTINUE


def _told(tests: tuple[ExceedE, ...], counts: tuple[tuple[Tally, Tally], ...]) -> tuple[ExceedE, ...]:
    if not counts:
        return tests
    return tuple(test.after(canary, stable) for test, (canary, stable) in zip(tests, counts, strict=True))
