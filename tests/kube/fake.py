"""An API server for tests: aiohttp over TLS on a real socket, in the test's own event loop.

Nothing is in here that has no row in the conformance suite, which a real server has to pass as well.
"""

import asyncio
import base64
import contextlib
import json
import random
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.kube.access import Access, Attempt, User
from tests.kube.certificates import Certificates
from tests.kube.errors import ApiError, Json, invalid, not_found
from tests.kube.faults import Cut, Faults
from tests.kube.kinds import Kind
from tests.kube.storage import Address, Storage, Writer

ADMIN_TOKEN = "admin-token"
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(frozen=True)
class Target:
    """What a path names."""

    group: str
    version: str
    plural: str = ""
    namespace: str = ""
    name: str = ""
    sub: str = ""

    @classmethod
    def of(cls, path: str) -> "Target":
        """Raises ApiError 404."""
        parts = path.strip("/").split("/")
        if parts[0] == "api" and len(parts) >= 2:
            group, version, rest = "", parts[1], parts[2:]
        elif parts[0] == "apis" and len(parts) >= 3:
            group, version, rest = parts[1], parts[2], parts[3:]
        else:
            raise ApiError(404, "NotFound", "the server could not find the requested resource")
        namespace = ""
        if len(rest) > 2 and rest[0] == "namespaces":
            namespace, rest = rest[1], rest[2:]
        plural, name, sub = [*rest, "", "", ""][:3]
        return cls(group, version, plural, namespace, name, sub)


@dataclass
class FakeKube:
    """The server; `async with fake_kube(certificates) as kube`."""

    storage: Storage = field(default_factory=Storage)
    faults: Faults = field(default_factory=Faults)
    bookmark_s: float = 60.0
    base: str = ""
    requests: list[tuple[str, str]] = field(default_factory=list)
    _streams: dict[int, web.Request] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.access = Access(self.storage)
        self.access.tokens[ADMIN_TOKEN] = User("admin", ("system:masters",))
        for name in ("default", "kube-system"):
            self.put("", "namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    def put(self, group: str, plural: str, body: Json, namespace: str = "") -> Json:
        """Create an object behind the API's back."""
        stored, _ = self.storage.create(self.storage.kinds.known[group, plural], namespace, body, Writer())
        return stored

    def cut_watches(self) -> None:
        """Drop every watch's connection, in the middle of whatever it says."""
        for request in list(self._streams.values()):
            if request.transport is not None:
                request.transport.abort()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Any request."""
        self.requests.append((request.method, request.path_qs))
        await self.faults.thawed.wait()
        try:
            self.faults.take(request.method, request.path_qs, after_commit=False)
            answer = await self._answer(request)
            await self.faults.thawed.wait()
            self.faults.take(request.method, request.path_qs, after_commit=True)
        except Cut:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        except ApiError as error:
            headers = {"Retry-After": str(error.retry_after)} if error.retry_after is not None else {}
            return web.json_response(error.body, status=error.code, headers=headers)
        return answer

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if request.path in ("/readyz", "/livez"):
            return web.Response(text="ok")
        user = self.access.user_of(request.headers.get("Authorization", ""))
        if request.path == "/version":
            return web.json_response({"major": "1", "minor": "36", "gitVersion": "v1.36.0-fake"})
        target = Target.of(request.path)
        if not target.plural:
            return self._discover(target)
        if target.plural in ("tokenreviews", "subjectaccessreviews"):
            self.access.check(user, Attempt("create", target.group, target.plural))
            body = await request.json()
            reviews = self.access.token_review, self.access.subject_access_review
            return web.json_response(reviews[target.plural != "tokenreviews"](body), status=201)
        kind = self.storage.kinds.find(target.group, target.version, target.plural)
        if kind is None:
            raise ApiError(404, "NotFound", "the server could not find the requested resource")
        self.access.check(user, self._attempt(request, target))
        if request.method == "GET" and not target.name:
            if request.query.get("watch") in ("true", "1"):
                return await self._watch(request, kind, target)
            return web.json_response(self._list(request, kind, target))
        if request.method == "GET":
            return web.json_response(_as(self.storage.find(kind, _address(kind, target)), target))
        return await self._write(request, kind, target, user)

    @staticmethod
    def _attempt(request: web.Request, target: Target) -> Attempt:
        resource = target.plural + (f"/{target.sub}" if target.sub else "")
        reading = "get" if target.name else "watch" if request.query.get("watch") in ("true", "1") else "list"
        verb = _VERBS.get(request.method, reading)
        return Attempt(verb, target.group, resource, target.namespace, target.name)

    def _discover(self, target: Target) -> web.Response:
        kinds = self.storage.kinds.of_version(target.group, target.version)
        if not kinds:
            raise ApiError(404, "NotFound", "the server could not find the requested resource")
        resources = [{"name": kind.plural, "kind": kind.kind, "namespaced": kind.is_namespaced} for kind in kinds]
        group = f"{target.group}/{target.version}".lstrip("/")
        return web.json_response({"kind": "APIResourceList", "groupVersion": group, "resources": resources})

    def _list(self, request: web.Request, kind: Kind, target: Target) -> Json:
        found = [
            item
            for (namespace, _), item in sorted(self.storage.all_of(kind.group, kind.plural).items())
            if target.namespace in ("", namespace) and _selected(item, request.query, kind)
        ]
        offset = int(base64.b64decode(request.query["continue"])) if request.query.get("continue") else 0
        limit = int(request.query.get("limit") or 0) or len(found)
        metadata: Json = {"resourceVersion": str(self.storage.version)}
        if offset + limit < len(found):
            metadata["continue"] = base64.b64encode(str(offset + limit).encode()).decode()
        return {
            "kind": f"{kind.kind}List",
            "apiVersion": f"{target.group}/{target.version}".lstrip("/"),
            "metadata": metadata,
            "items": [_as(item, target) for item in found[offset : offset + limit]],
        }

    async def _write(self, request: web.Request, kind: Kind, target: Target, user: User) -> web.Response:
        content_type = request.content_type
        manager = request.query.get("fieldManager") or request.headers.get("User-Agent", "unknown").split("/")[0]
        strict = request.query.get("fieldValidation") == "Strict"
        writer = Writer(user=user.name, manager=manager, is_strict=strict)
        address, storage = _address(kind, target), self.storage
        try:
            body = json.loads(await request.read() or b"{}")
        except ValueError as error:
            raise ApiError(400, "BadRequest", f"cannot be parsed: {error}") from error
        if target.plural == "serviceaccounts" and target.sub == "token":
            return web.json_response(self._token(target, body), status=201)
        dropped: list[str] = []
        status = 200
        if request.method == "POST":
            stored, dropped = storage.create(kind, target.namespace, body, writer)
            status = 201
        elif request.method == "PUT":
            stored, dropped = storage.replace(kind, address, body, writer, sub=target.sub)
        elif request.method == "DELETE":
            stored = storage.delete(kind, address, writer)
        elif content_type == "application/apply-patch+yaml":
            if not request.query.get("fieldManager"):
                raise invalid("PatchOptions.meta.k8s.io", "fieldManager: Required value: is required for apply patch")
            force = request.query.get("force") == "true"
            stored, created = storage.apply(kind, address, body, writer, force=force, sub=target.sub)
            status = 201 if created else 200
        else:
            stored, dropped = storage.patch(kind, address, body, content_type, writer, sub=target.sub)
        headers = {"Warning": f'299 - "unknown field {dropped[0]!r}"'} if dropped else {}
        return web.json_response(_as(stored, target), status=status, headers=headers)

    def _token(self, target: Target, body: Json) -> Json:
        if (target.namespace, target.name) not in self.storage.all_of("", "serviceaccounts"):
            raise not_found(f'serviceaccounts "{target.name}"')
        audiences = tuple((body.get("spec") or {}).get("audiences") or ())
        token = self.access.issue(target.namespace, target.name, audiences)
        return {**body, "status": {"token": token, "expirationTimestamp": "2100-01-01T00:00:00Z"}}

    async def _watch(self, request: web.Request, kind: Kind, target: Target) -> web.StreamResponse:
        loop = asyncio.get_running_loop()
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        self._streams[id(request)] = request
        asked = request.query.get("resourceVersion", "0")
        ends = loop.time() + float(request.query.get("timeoutSeconds") or random.uniform(1800, 3600))
        bookmarks = request.query.get("allowWatchBookmarks") == "true"
        try:
            if asked in ("", "0"):
                seen = self.storage.version
                for item in self._list(request, kind, target)["items"]:
                    await _say(response, "ADDED", item)
            else:
                seen = int(asked)
                if seen < self.storage.compacted:
                    gone = ApiError(410, "Expired", f"too old resource version: {seen} ({self.storage.compacted})")
                    await _say(response, "ERROR", gone.body)
                    return response
            await self._stream(response, kind, target, seen, ends, bookmarks)
        except ConnectionError:
            pass
        finally:
            del self._streams[id(request)]
        return response

    async def _stream(
        self, response: web.StreamResponse, kind: Kind, target: Target, seen: int, ends: float, bookmarks: bool
    ) -> None:
        loop = asyncio.get_running_loop()
        marked, next_mark = seen, loop.time() + self.bookmark_s
        while True:
            changed = self.storage.changed
            await self.faults.thawed.wait()
            for happening in list(self.storage.since(seen, kind, target.namespace)):
                if self.faults.event_delay_s:
                    await asyncio.sleep(self.faults.event_delay_s)
                await _say(response, happening.type, _as(happening.object, target))
                seen = happening.version
            now = loop.time()
            if now >= ends:
                break
            if bookmarks and now >= next_mark:
                next_mark = now + self.bookmark_s
                if seen > marked:  # an idle resource gets none
                    marked = seen
                    await self._bookmark(response, target, seen, kind)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(ends, next_mark if bookmarks else ends) - now):
                    await changed.wait()
        if bookmarks:
            await self._bookmark(response, target, max(seen, self.storage.version), kind)

    @staticmethod
    async def _bookmark(response: web.StreamResponse, target: Target, version: int, kind: Kind) -> None:
        group = f"{target.group}/{target.version}".lstrip("/")
        mark = {"kind": kind.kind, "apiVersion": group, "metadata": {"resourceVersion": str(version)}}
        await _say(response, "BOOKMARK", mark)


async def _say(response: web.StreamResponse, type_: str, item: Json) -> None:
    await response.write(json.dumps({"type": type_, "object": item}).encode() + b"\n")


def _address(kind: Kind, target: Target) -> Address:
    return (target.namespace if kind.is_namespaced else "", target.name)


def _as(item: Json, target: Target) -> Json:
    """In the version that was asked for."""
    return {**item, "apiVersion": f"{target.group}/{target.version}".lstrip("/")}


def _selected(item: Json, query: Any, kind: Kind) -> bool:
    labels = item["metadata"].get("labels") or {}
    for term in filter(None, query.get("labelSelector", "").split(",")):
        key, _, value = term.partition("=")
        if labels.get(key) != value:
            return False
    for term in filter(None, query.get("fieldSelector", "").split(",")):
        key, _, value = term.partition("=")
        if key not in ("metadata.name", "metadata.namespace", *kind.selectable):
            raise ApiError(400, "BadRequest", f"field label not supported: {key}")
        node: Any = item
        for part in key.split("."):
            node = node.get(part, "") if isinstance(node, dict) else ""
        if node != value:
            return False
    return True


@asynccontextmanager
async def fake_kube(certificates: Certificates) -> AsyncIterator[FakeKube]:
    """A running server on a free port."""
    kube = FakeKube()
    app = web.Application(client_max_size=4 * 2**20)
    app.router.add_route("*", "/{path:.*}", kube.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05, handler_cancellation=True)
    await runner.setup()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.server, certificates.server_key)
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    assert site._server is not None
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    kube.base = f"https://127.0.0.1:{port}"
    try:
        yield kube
    finally:
        kube.faults.thaw()
        kube.cut_watches()
        await runner.cleanup()
