"""Handlers of /api/v1: each reads one body, asks the desk or the store, and answers one view."""

from collections.abc import Sequence
from typing import TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from rollout.board import Board
from rollout.control import Control, StartRequest
from rollout.core.absorption import new_state
from rollout.core.observation import OrderKind
from rollout.core.plan_errors import problems_of
from rollout.core.plan_rules import PlanError
from rollout.edges.api.endpoints import Endpoint, Role
from rollout.edges.api.explanations import explanation
from rollout.edges.api.models import (
    EventList,
    EventView,
    ExplanationList,
    OrderBody,
    PlanList,
    RolloutList,
    RolloutView,
    StartBody,
)
from rollout.edges.api.problems import ProblemError
from rollout.edges.api.streams import EventStreams
from rollout.edges.api.views import event_view, rollout_view
from rollout.ports import Rollout, Store

Model = TypeVar("Model", bound=BaseModel)
LIST_MAX = 1000
ROOT = "/api/v1"
_VERBS = {
    "approve": OrderKind.APPROVE,
    "pause": OrderKind.PAUSE,
    "resume": OrderKind.RESUME,
    "promote": OrderKind.PROMOTE,
    "abort": OrderKind.ABORT,
}


class Resources:
    """The handlers, with what they share."""

    def __init__(self, control: Control, board: Board, store: Store) -> None:
        self._control = control
        self._board = board
        self._store = store
        self._streams = EventStreams(board, store)

    def endpoints(self) -> Sequence[Endpoint]:
        """The part of the table that is served here."""
        return (*self._of_all(), *self._of_one())

    def _of_all(self) -> Sequence[Endpoint]:
        return (
            Endpoint(
                method="GET",
                path=f"{ROOT}/rollouts",
                handler=self.list_rollouts,
                role=Role.VIEW,
                summary="Rollouts, newest first",
                answer=RolloutList,
                query=(
                    ("service", "only of this service"),
                    ("namespace", "only in this namespace"),
                    ("limit", f"at most so many (100 unless said otherwise, {LIST_MAX} at most)"),
                ),
                errors=(400,),
            ),
            Endpoint(
                method="POST",
                path=f"{ROOT}/rollouts",
                handler=self.start,
                role=Role.OPERATE,
                summary="Release a service",
                body=StartBody,
                answer=RolloutView,
                status=201,
                errors=(400, 404, 409, 413, 415, 422, 503),
            ),
            Endpoint(
                method="GET",
                path=f"{ROOT}/plans",
                handler=self.plans,
                role=Role.VIEW,
                summary="The plans that the daemon knows",
                answer=PlanList,
            ),
        )

    def _of_one(self) -> Sequence[Endpoint]:
        one = f"{ROOT}/rollouts/{{id}}"
        return (
            Endpoint(
                method="GET",
                path=one,
                handler=self.get,
                role=Role.VIEW,
                summary="One rollout by id, or the newest of a service",
                answer=RolloutView,
                query=(("namespace", "the service's namespace"),),
                errors=(404,),
            ),
            Endpoint(
                method="GET",
                path=f"{one}/events",
                handler=self.events,
                role=Role.VIEW,
                summary="The journal; with Accept: text/event-stream it goes on until the rollout ends",
                answer=EventList,
                query=(("after", "only entries with a higher number"),),
                errors=(404,),
            ),
            Endpoint(
                method="GET",
                path=f"{one}/explanations",
                handler=self.explain,
                role=Role.VIEW,
                summary="Why each transition happened, judged again from the journal",
                answer=ExplanationList,
                errors=(404,),
            ),
            Endpoint(
                method="POST",
                path=f"{one}:{{verb:approve|pause|resume|promote|abort|retry|undo}}",
                handler=self.order,
                role=Role.OPERATE,
                summary="Ask something of a rollout, or of the service behind it",
                body=OrderBody,
                answer=RolloutView,
                errors=(400, 404, 409, 413, 415, 422, 503),
            ),
        )

    async def list_rollouts(self, request: web.Request) -> web.StreamResponse:
        """GET /rollouts."""
        found = await self._store.rollouts(
            service=request.query.get("service", ""),
            namespace=request.query.get("namespace", ""),
            limit=_number(request, "limit", default=100, most=LIST_MAX),
        )
        return _json(RolloutList(items=[await self._view(rollout) for rollout in found]))

    async def start(self, request: web.Request) -> web.StreamResponse:
        """POST /rollouts."""
        body = await read_body(request, StartBody)
        wish = StartRequest(
            service=body.service,
            canary=body.to,
            stable=body.from_,
            namespace=body.namespace,
            plan=body.plan,
            weights=tuple(body.steps),
            hold=body.hold,
            actor=body.actor or "unknown",
            reason=body.reason,
            via=request.headers.get("X-Rollout-Client", "api")[:16],
            key=request.headers.get("Idempotency-Key", "")[:128],
        )
        if not body.dry_run:
            return _json(await self._view(await self._control.start(wish)), status=201)
        spec, problem = await self._control.prepare(wish)
        if problem:
            raise ProblemError(409, "not-now", problem)
        now = self._control.world.clock.now()
        draft = Rollout(id="dry-run", spec=spec, created=now, actor=wish.actor, reason=wish.reason, via=wish.via)
        return _json(rollout_view(draft, new_state(spec, now), None, []))

    async def get(self, request: web.Request) -> web.StreamResponse:
        """GET /rollouts/{id}."""
        return _json(await self._view(await self._find(request)))

    async def events(self, request: web.Request) -> web.StreamResponse:
        """GET /rollouts/{id}/events."""
        rollout = await self._find(request)
        after = _number(request, "after", default=-1)
        if "text/event-stream" in request.headers.get("Accept", ""):
            return await self._streams.serve(request, rollout, after)
        return _json(EventList(items=await self._events(rollout, after)))

    async def explain(self, request: web.Request) -> web.StreamResponse:
        """GET /rollouts/{id}/explanations."""
        rollout = await self._find(request)
        journal = await self._store.journal(rollout.id)
        items = [explanation(rollout, entry) for entry in journal if entry.judgement]
        return _json(ExplanationList(items=items))

    async def order(self, request: web.Request) -> web.StreamResponse:
        """POST /rollouts/{id}:{verb}."""
        body = await read_body(request, OrderBody)
        rollout = await self._find(request)
        verb = request.match_info["verb"]
        actor = body.actor or "unknown"
        match verb:
            case "retry":
                rollout = await self._control.retry(rollout, actor=actor, reason=body.reason)
            case "undo":
                spec = rollout.spec
                rollout = await self._control.undo(
                    spec.namespace, spec.service, to=body.to, actor=actor, reason=body.reason
                )
            case _:
                kind = OrderKind.PROMOTE_FULL if verb == "promote" and body.full else _VERBS[verb]
                await self._control.order(rollout, kind, actor=actor, reason=body.reason, gate=body.gate)
        return _json(await self._view(rollout))

    async def plans(self, request: web.Request) -> web.StreamResponse:
        """GET /plans."""
        documents = [
            plan.model_dump(by_alias=True, exclude_unset=True, mode="json") for plan in self._control.plans.values()
        ]
        return _json(PlanList(items=documents))

    async def _find(self, request: web.Request) -> Rollout:
        return await self._control.find(request.match_info["id"], request.query.get("namespace", ""))

    async def _view(self, rollout: Rollout) -> RolloutView:
        live = self._board.get(rollout.id)
        state = live.state if live else await self._store.state(rollout.id)
        return rollout_view(rollout, state, live, await self._store.journal(rollout.id))

    async def _events(self, rollout: Rollout, after: int) -> list[EventView]:
        return [event_view(rollout, entry) for entry in await self._store.journal(rollout.id) if entry.number > after]


async def read_body(request: web.Request, model: type[Model]) -> Model:
    """Read and validate a JSON body; every problem is listed."""
    if request.content_type != "application/json":
        raise ProblemError(415, "content-type", f"send application/json, not {request.content_type}")
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise ProblemError(415, "content-encoding", "send the body as it is, not compressed")
    try:
        return model.model_validate_json(await request.read())
    except ValidationError as error:
        raise PlanError(problems_of(model, error)) from error


def _json(view: BaseModel, *, status: int = 200) -> web.Response:
    return web.json_response(text=view.model_dump_json(by_alias=True), status=status)


def _number(request: web.Request, name: str, *, default: int, most: int | None = None) -> int:
    text = request.query.get(name, str(default))
    if not text.removeprefix("-").isdigit() or len(text) > 9:
        raise ProblemError(400, "query", f"{name}: {text[:40]!r} is not a whole number")
    return int(text) if most is None else min(int(text), most)
