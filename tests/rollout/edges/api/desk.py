"""A server over fakes, for tests of the API and of the verbs that talk to it."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry

from rollout.board import Board, Live
from rollout.control import Control, StartRequest
from rollout.core.absorption import judgement_of
from rollout.core.observation import Observation
from rollout.core.outlook import outlook_of
from rollout.core.phase import State
from rollout.core.plan_rules import parse_plan
from rollout.edges.api.auth import Token
from rollout.edges.api.endpoints import Role
from rollout.edges.api.hooks import GithubHook, read_hooks
from rollout.edges.api.server import Server
from rollout.ports import JournalEntry, Rollout
from rollout.telemetry import Metrics
from tests.fakes import FakeWorld
from tests.rollout.core.documents import plan_document
from tests.rollout.core.worlds import NOW, seen, state_of

SECRET = "It's a Secret to Everybody"
HOOKS = """
secretFile: secret
github:
- event: release
  when: {action: published}
  service: "{repository.name}"
  version: "{release.tag_name}"
  versionPattern: 'release-(v\\d+)'
  namespace: bookinfo
"""


@dataclass
class Desk:
    """What a test can reach."""

    fake: FakeWorld
    control: Control
    board: Board
    metrics: Metrics
    server: Server
    client: TestClient[Any, Any]
    launched: list[Rollout]

    async def started(self, **changes: Any) -> Rollout:
        """A rollout in a given state, on the board like a driven one."""
        rollout = await self.control.start(StartRequest(service="reviews", canary="v3", actor="alice", via="cli"))
        if changes:
            self.put(rollout, state_of(rollout.spec, **changes))
        return rollout

    def put(self, rollout: Rollout, state: State, observation: Observation | None = None) -> None:
        """Append a transition to *state* and show it."""
        entries = self.fake.store.entries[rollout.id]
        judged = entries[-1].state
        judgement = judgement_of(rollout.spec, judged)
        from rollout.edges.api.explanations import as_journal

        entries.append(
            JournalEntry(
                number=len(entries), at=NOW + len(entries), state=state, judged=judged, judgement=as_journal(judgement)
            )
        )
        observation = observation or seen(50)
        live = Live(
            rollout=rollout,
            state=state,
            outlook=outlook_of(rollout.spec, state, observation, judgement_of(rollout.spec, state), NOW),
            judgement=judgement_of(rollout.spec, state),
            seen=observation,
            at=NOW,
        )
        self.board.publish(live)
        self.metrics.show(live)


def token(role: Role, secret: str) -> Token:
    """A token whose secret is known."""
    return Token(role=role, sha256=hashlib.sha256(secret.encode()).hexdigest(), name=f"{role}-bot")


@asynccontextmanager
async def desk(tmp_path: Path, *, tokens: tuple[Token, ...] = (), hooks: bool = True) -> AsyncIterator[Desk]:
    """A running server."""
    fake, board = FakeWorld(), Board()
    launched: list[Rollout] = []
    metrics = Metrics(CollectorRegistry())
    plans = {("bookinfo", "reviews"): parse_plan(plan_document())}
    control = Control(fake.world, board, plans, launch=launched.append, wake=lambda _: None)
    hook = None
    if hooks:
        (tmp_path / "secret").write_text(SECRET + "\n")
        (tmp_path / "hooks.yaml").write_text(HOOKS)
        hook = GithubHook(
            hooks=read_hooks(tmp_path / "hooks.yaml"),
            control=control,
            store=fake.store,
            clock=fake.clock,
            deliveries=metrics.deliveries,
        )
    server = Server(
        control=control,
        board=board,
        store=fake.store,
        metrics=metrics,
        tokens=tokens,
        hosts=frozenset({"127.0.0.1", "localhost"}),
        hook=hook,
    )
    async with TestClient(TestServer(server.app())) as client:
        yield Desk(
            fake=fake, control=control, board=board, metrics=metrics, server=server, client=client, launched=launched
        )
