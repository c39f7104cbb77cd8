"""Errors as RFC 9457 problem documents: a status, a constant code for programs, a sentence, and the way out."""

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from rollout.control import NotFound, NotNow
from rollout.core.plan_rules import PlanError
from rollout.edges.api.models import ProblemView
from rollout.ports import Conflict, Refused, Unavailable

log = structlog.get_logger()


class ProblemError(Exception):
    """Raised by handlers; becomes the answer."""

    def __init__(self, status: int, code: str, detail: str, *, hint: str = "") -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.hint = status, code, detail, hint


def answer(view: ProblemView, *, headers: dict[str, str] | None = None) -> web.Response:
    """Write a problem document."""
    return web.json_response(
        text=view.model_dump_json(by_alias=True, exclude_defaults=True),
        status=view.status,
        content_type="application/problem+json",
        headers=headers,
    )


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every exception into a problem document; our own bugs become a 500 that tells nothing, and a log line."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return answer(_view(error.status, f"http-{error.status}", error.text or error.reason))
    except Exception as error:  # noqa: BLE001 - the last resort of a server: one request fails, not the daemon
        return answer(_view_of(request, error))


def _view_of(request: web.Request, error: Exception) -> ProblemView:
    match error:
        case ProblemError():
            return _view(error.status, error.code, error.detail, hint=error.hint)
        case PlanError():
            listed = [{"path": problem.path, "message": problem.message} for problem in error.problems]
            view = _view(422, "invalid-plan", f"the plan has {len(listed)} problem(s)")
            return view.model_copy(update={"problems": listed})
        case NotFound():
            return _view(404, "not-found", str(error.args[0]))
        case NotNow():
            return _view(409, "not-now", str(error))
        case Conflict():
            return _view(409, "conflict", str(error))
        case Refused():
            return _view(422, "refused", str(error))
        case Unavailable():
            return _view(503, "unavailable", str(error), hint="try again")
        case _:
            log.error("request.failed", method=request.method, path=request.path, exc_info=error)
            return _view(500, "bug", "this is a bug in Rollout; the daemon's log has the details")


_TITLES = {
    400: "Bad request",
    401: "Not authenticated",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Not possible now",
    413: "Too large",
    415: "Wrong content type",
    421: "Wrong host",
    422: "Cannot be done as asked",
    429: "Too many requests",
    500: "Internal error",
    503: "Not available",
}


def _view(status: int, code: str, detail: str, *, hint: str = "") -> ProblemView:
    title = _TITLES.get(status, "Error")
    return ProblemView(title=title, status=status, detail=detail, code=code, hint=hint)
