"""Server-sent events: a rollout's journal as it grows, until the rollout ends or the client leaves."""

import asyncio

from aiohttp import web

from rollout.board import Board
from rollout.edges.api.problems import ProblemError
from rollout.edges.api.views import event_view
from rollout.ports import Rollout, Store

HEARTBEAT_S = 15.0  # proxies cut connections that stay silent for longer
STREAMS_MAX = 100  # each holds a connection and a task


class EventStreams:
    """All open streams of the server."""

    def __init__(self, board: Board, store: Store) -> None:
        self._board = board
        self._store = store
        self._open = 0

    async def serve(self, request: web.Request, rollout: Rollout, after: int) -> web.StreamResponse:
        """Send entries with a number above *after*; a reader that comes back names its last one in Last-Event-ID."""
        if self._open >= STREAMS_MAX:
            raise ProblemError(503, "too-many-streams", f"{STREAMS_MAX} event streams are open", hint="poll instead")
        last = request.headers.get("Last-Event-ID", "")
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        answer.headers["X-Accel-Buffering"] = "no"
        await answer.prepare(request)
        self._open += 1
        try:
            await self._follow(answer, rollout, int(last) if last.isdigit() else after)
        except ConnectionError:
            pass  # the reader left
        finally:
            self._open -= 1
        return answer

    async def _follow(self, answer: web.StreamResponse, rollout: Rollout, after: int) -> None:
        news = self._board.news()
        while True:
            journal = await self._store.journal(rollout.id)
            for entry in journal:
                if entry.number > after:
                    after = entry.number
                    data = event_view(rollout, entry).model_dump_json(by_alias=True)
                    await answer.write(f"id: {entry.number}\ndata: {data}\n\n".encode())
            if journal and journal[-1].state.phase.is_final:
                return
            try:
                async with asyncio.timeout(HEARTBEAT_S):
                    await anext(news)
            except TimeoutError:
                await answer.write(b": still here\n\n")
                news = self._board.news()  # the timeout has closed the generator
