"""How an API server says no, in the words of the ports: try again, look again, or do not."""

import json
from typing import Any

from rollout.ports import Conflict, Refused, Unavailable


class NotFound(Refused):
    """There is no such object, or no such resource."""


class Exists(Conflict):
    """An object of that name exists already."""


class Gone(Unavailable):
    """The version that was asked for is older than what the server remembers: list again."""


class Throttled(Unavailable):
    """The server asks for patience; seconds."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Unknown(Unavailable):
    """A write was sent and no answer came: it may or may not have happened."""


class Unauthorized(Refused):
    """The server does not know us; a new token may help."""


RETRY_AFTER_MAX_S = 30.0  # a proxy's typo must not stop the daemon


def error_of(status: int, body: bytes, retry_after: str | None, what: str) -> Unavailable | Refused:
    """The exception for an answer of 400 and above."""
    reason, message, causes = _read(body)
    text = f"{what}: {message or f'the API server answers {status}'}"
    match status:
        case 401:
            return Unauthorized(text)
        case 404:
            return NotFound(text)
        case 409 if reason == "AlreadyExists":
            return Exists(text)
        case 409 if causes:  # server-side apply: a field belongs to somebody else, and will tomorrow
            return Refused(text)
        case 409:
            return Conflict(text)
        case 410:
            return Gone(text)
        case 429:
            return Throttled(text, _patience_s(retry_after))
        case _ if status >= 500:
            return Unavailable(text)
        case _:
            return Refused(text)


def _read(body: bytes) -> tuple[str, str, list[Any]]:
    """Reason, message and causes of a Status; a proxy in between may answer anything."""
    try:
        status = json.loads(body)
        details = status.get("details") or {}
        return str(status.get("reason", "")), str(status.get("message", "")), list(details.get("causes") or ())
    except (ValueError, AttributeError):
        return "", "", []


def _patience_s(retry_after: str | None) -> float:
    """Seconds to wait; Retry-After may also be a date, which no API server sends."""
    return min(float(retry_after), RETRY_AFTER_MAX_S) if retry_after and retry_after.isdigit() else 1.0
