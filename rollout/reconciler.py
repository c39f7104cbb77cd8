"""The loop around the core: observe, decide, persist, act, sleep. It holds no policy.

Persist comes before act, always: after a crash the journal knows more than the world, never less, and converge() asks
again for whatever was lost. One reconciler drives one rollout; app.py supervises it.
"""

import asyncio
from collections.abc import Awaitable
from dataclasses import asdict, dataclass, field
from typing import TypeVar

import structlog

from rollout.board import Board, Live
from rollout.core.decision import Action, Decision, StartLoad, StopLoad, WriteRoute
from rollout.core.machine import decide
from rollout.core.observation import MetricsView, Observation
from rollout.core.phase import State
from rollout.ports import Conflict, JournalEntry, Refused, Rollout, Unavailable, World
from rollout.telemetry import Metrics

log = structlog.get_logger()
Seen = TypeVar("Seen")

LOOK_TIMEOUT_S = 1.0  # a port that needs longer is blind for this pass; the way back must not wait for it
METRICS_EVERY_S = 1.0  # Prometheus is asked beside the loop, so that a slow answer delays nobody
CHECKPOINT_EVERY_S = 5.0  # at most so much evidence is lost in a crash; a decision is never lost


@dataclass(slots=True, kw_only=True)
class Reconciler:
    """Drives one rollout to its end."""

    rollout: Rollout
    world: World
    board: Board
    metrics: Metrics
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    _saved: State | None = None
    _number: int = 0
    _checkpointed_at: float = 0.0
    _metrics_view: MetricsView | None = None
    _trouble: dict[str, str] = field(default_factory=dict)

    async def run(self) -> State:
        """Return the final state."""
        journal = await self.world.store.journal(self.rollout.id)
        self._number = journal[-1].number
        state = self._saved = await self.world.store.state(self.rollout.id)
        async with asyncio.TaskGroup() as tasks:
            watcher = tasks.create_task(self._watch_metrics(), name=f"metrics {self.rollout.id}")
            try:
                while True:
                    decision = await self._pass(state)
                    state = decision.state
                    if state.phase.is_final and not decision.actions:
                        return state
                    await self.world.clock.sleep_until(decision.wake_at, self.wake)
            finally:
                watcher.cancel()

    async def _pass(self, state: State) -> Decision:
        """Turn the crank once."""
        begun = self.world.clock.now()
        seen = await self._observe(state)
        now = self.world.clock.now()
        decision = decide(self.rollout.spec, state, seen, now)
        await self._persist(decision, now)
        for action in decision.actions:
            await self._act(action)
        self._tell(decision, seen, now)
        self.metrics.reconcile.observe(self.world.clock.now() - begun)
        return decision

    async def _observe(self, state: State) -> Observation:
        spec, world, metrics = self.rollout.spec, self.world, self._metrics_view
        self._trouble = {key: why for key, why in self._trouble.items() if key in ("write", "load")}
        async with asyncio.TaskGroup() as looks:
            orders = looks.create_task(self._look("orders", world.store.orders(self.rollout.id, after=state.order)))
            route = looks.create_task(self._look("routes", world.routes.read(spec)))
            proxies = looks.create_task(self._look("proxies", world.proxies.observe(spec)))
            endpoints = looks.create_task(self._look("workloads", world.workloads.endpoints(spec)))
        return Observation(
            orders=orders.result() or (),
            route=route.result(),
            proxies=proxies.result(),
            endpoints=endpoints.result(),
            load=world.load.view(self.rollout.id, since=state.evidence.load.cursor) if spec.plan.load else None,
            metrics=metrics,
            trouble=self._trouble | ({"metrics": metrics.trouble} if metrics and metrics.trouble else {}),
        )

    async def _look(self, port: str, answer: Awaitable[Seen]) -> Seen | None:
        """What the port says, or None and the reason why it cannot say."""
        begun = self.world.clock.now()
        try:
            async with asyncio.timeout(LOOK_TIMEOUT_S):
                return await answer
        except TimeoutError:
            self._trouble[port] = f"no answer within {LOOK_TIMEOUT_S:g} s"
            self.metrics.upstream_errors.labels(port, "timeout").inc()
        except Unavailable as error:
            self._trouble[port] = str(error)
            self.metrics.upstream_errors.labels(port, "unavailable").inc()
        finally:
            self.metrics.upstream.labels(port).observe(self.world.clock.now() - begun)
        return None

    async def _watch_metrics(self) -> None:
        """Ask Prometheus again and again; the loop takes the latest answer."""
        while True:
            state = self._saved
            assert state is not None, "run() loads the state before anything else"
            self._metrics_view = await self.world.metrics.observe(
                self.rollout.spec, since=state.evidence.prometheus.cursor or state.started
            )
            asleep = asyncio.Event()
            await self.world.clock.sleep_until(self.world.clock.now() + METRICS_EVERY_S, asleep)

    async def _persist(self, decision: Decision, now: float) -> None:
        before, state = self._saved, decision.state
        assert before is not None, "run() loads the state before anything else"
        if _step_of(state) != _step_of(before):
            self._number += 1
            entry = JournalEntry(
                number=self._number,
                at=now,
                state=state,
                judged=decision.judged,
                judgement=asdict(decision.judgement),
            )
            await self.world.store.append(self.rollout.id, entry)
            self._log_transition(state)
        elif state != before and (state.order != before.order or now - self._checkpointed_at >= CHECKPOINT_EVERY_S):
            await self.world.store.checkpoint(self.rollout.id, state)
        else:
            return
        self._saved, self._checkpointed_at = state, now

    async def _act(self, action: Action) -> None:
        try:
            match action:
                case StopLoad():
                    self.world.load.stop_nowait(self.rollout.id)
                case WriteRoute(document=document):
                    await self.world.routes.write(document)
                    self._trouble.pop("write", None)
                case StartLoad():
                    await self.world.load.start(self.rollout.id, self.rollout.spec, self.wake)
                    self._trouble.pop("load", None)
        except Conflict:
            log.info("route.conflict", rollout=self.rollout.id)  # the next pass reads again and plans again
        except (Unavailable, Refused) as error:
            port = "load" if isinstance(action, StartLoad) else "write"
            self._trouble[port] = str(error)
            log.warning("action.failed", rollout=self.rollout.id, action=type(action).__name__, error=str(error))

    def _tell(self, decision: Decision, seen: Observation, now: float) -> None:
        live = Live(
            rollout=self.rollout,
            state=decision.state,
            outlook=decision.outlook,
            judgement=decision.judgement,
            seen=seen,
            at=now,
        )
        self.board.publish(live)
        self.metrics.show(live)

    def _log_transition(self, state: State) -> None:
        log.info(
            "rollout.advanced",
            rollout=self.rollout.id,
            service=self.rollout.spec.service,
            phase=state.phase,
            step=state.step,
            cause=state.cause,
            detail=state.detail,
        )


def _step_of(state: State) -> tuple[object, ...]:
    """What makes a state a transition: everything but evidence."""
    return (state.phase, state.step, state.cause, state.since, state.arrived)
