"""The daemon's API for the verbs: blocking, standard library only, because a verb must start in a blink."""

import http.client
import json
import urllib.parse
from collections.abc import Iterator
from typing import Any

from rollout.cli.exit_codes import Exit

CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 30.0  # start reads routing documents and may wait for a busy cluster
ANSWER_BYTES_MAX = 64 * 1024 * 1024  # a thousand rollouts with all their steps fit in a tenth of this

_EXITS = {401: Exit.FORBIDDEN, 403: Exit.FORBIDDEN, 409: Exit.NOT_NOW, 422: Exit.USAGE}


class Failed(Exception):
    """A verb cannot do what was asked: what to tell the person, and the exit code."""

    def __init__(self, message: str, code: Exit = Exit.ERROR, *, hint: str = "") -> None:
        super().__init__(message)
        self.code, self.hint = code, hint


class Client:
    """One daemon."""

    def __init__(self, server: str, token: str = "") -> None:
        parts = urllib.parse.urlsplit(server if "//" in server else f"http://{server}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Failed(f"{server!r} is not the address of a daemon: write http://host:port", Exit.USAGE)
        self.server = server
        self._parts = parts
        self._token = token

    def get(self, path: str, **query: object) -> Any:
        """GET a JSON body; parameters that are None are left out."""
        text = urllib.parse.urlencode({key: value for key, value in query.items() if value is not None})
        return self._call("GET", f"{path}?{text}" if text else path)

    def post(self, path: str, body: dict[str, Any], *, key: str = "") -> Any:
        """POST a JSON body."""
        return self._call("POST", path, body, {"Idempotency-Key": key} if key else {})

    def events(self, path: str) -> Iterator[Any]:
        """The JSON data of a stream of server-sent events, until it ends."""
        connection = self._connection()
        try:
            answer = self._send(connection, "GET", path, None, {"Accept": "text/event-stream"})
            if answer.status >= 400:
                raise _failure(answer.status, answer.read(ANSWER_BYTES_MAX))
            if connection.sock is not None:
                connection.sock.settimeout(60)  # the daemon sends a comment every 15 s
            for line in answer:
                if line.startswith(b"data:"):
                    yield json.loads(line[5:])
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from error
        finally:
            connection.close()

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None, headers: Any = None) -> Any:
        connection = self._connection()
        try:
            answer = self._send(connection, method, path, body, headers or {})
            text = answer.read(ANSWER_BYTES_MAX)
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from error
        finally:
            connection.close()
        if answer.status >= 400:
            raise _failure(answer.status, text)
        return json.loads(text)

    def _connection(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
        assert self._parts.hostname is not None, "checked when the client was made"
        return kind(self._parts.hostname, self._parts.port, timeout=CONNECT_TIMEOUT_S)

    def _send(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: Any, headers: dict[str, str]
    ) -> http.client.HTTPResponse:
        connection.connect()
        connection.sock.settimeout(ANSWER_TIMEOUT_S)
        headers = {"Accept": "application/json", **headers}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        connection.request(method, self._parts.path.rstrip("/") + path, data, headers)
        return connection.getresponse()

    def _unreachable(self, error: Exception) -> Failed:
        why = "timed out" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
        return Failed(
            f"cannot reach the daemon at {self.server}: {why}",
            hint="start one with `rollout serve`, or name another with --server or ROLLOUT_SERVER",
        )


def _failure(status: int, text: bytes) -> Failed:
    """A problem document as an exception."""
    try:
        problem = json.loads(text)
    except ValueError:
        problem = {}
    if not isinstance(problem, dict) or "detail" not in problem:
        return Failed(f"the daemon answered {status} and not with a problem document: is this Rollout's address?")
    lines = [str(problem["detail"])]
    lines += [f"  {item['path']}: {item['message']}" for item in problem.get("problems", ())]
    return Failed("\n".join(lines), _EXITS.get(status, Exit.ERROR), hint=problem.get("hint", ""))
