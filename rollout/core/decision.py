"""What the core asks of the world. Plain values: no method here touches anything."""

from dataclasses import dataclass

from rollout.core.judge import Judgement
from rollout.core.phase import State
from rollout.core.routes.target import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class StopLoad:
    """Stop the synthetic load; do not wait for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteRoute:
    """Write the VirtualService. It carries the resourceVersion it was read with: a conflict means look again."""

    document: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class StartLoad:
    """Send the plan's synthetic load to both versions by header."""


Action = StopLoad | WriteRoute | StartLoad


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """For people: what the rollout is doing right now, and what it waits for."""

    waiting_for: str
    is_blind: bool = False
    """Evidence the step needs cannot be had at the moment."""
    observed_percent: float | None = None
    """The canary's share of users' requests since this step's weights arrived."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Save *state* first, then do *actions* in order, then sleep until *wake_at* or until woken."""

    state: State
    judged: State
    """The state as it was judged, with the evidence in it: enough to judge again and find the same."""
    judgement: Judgement
    actions: tuple[Action, ...]
    wake_at: float
    outlook: Outlook
