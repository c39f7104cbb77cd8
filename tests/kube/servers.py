"""A plain HTTP client for the conformance suite: what is tested is the server, so no client of ours is in between."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from tests.kube.fake import ADMIN_TOKEN, FakeKube

Json = dict[str, Any]
MERGE = "application/merge-patch+json"
PATCH = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"
ISTIO = "networking.istio.io/v1"
ROLLOUT = "rollout.dev/v1alpha1"


@dataclass(frozen=True)
class Answer:
    """Status, body, headers."""

    status: int
    body: Any
    headers: Any

    @property
    def version(self) -> str:
        return str(self.body["metadata"]["resourceVersion"])


@dataclass(frozen=True)
class Server:
    """An API server and a namespace to work in."""

    base: str
    namespace: str
    session: aiohttp.ClientSession
    fake: FakeKube | None = None

    def path(self, group_version: str, plural: str, name: str = "", sub: str = "") -> str:
        root = f"/api/{group_version}" if "/" not in group_version else f"/apis/{group_version}"
        return "/".join(filter(None, (f"{root}/namespaces/{self.namespace}/{plural}", name, sub)))

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        kind: str = "application/json",
        token: str | None = ADMIN_TOKEN,
        authorization: str = "",
        **query: str,
    ) -> Answer:
        headers = {"Content-Type": kind, "User-Agent": "conformance/1"}
        if authorization or token:
            headers["Authorization"] = authorization or f"Bearer {token}"
        data = None if body is None else json.dumps(body)
        async with self.session.request(method, self.base + path, data=data, headers=headers, params=query) as answer:
            return Answer(answer.status, await answer.json(content_type=None), answer.headers)

    async def create(self, group_version: str, plural: str, body: Json, **options: Any) -> Answer:
        return await self.ask("POST", self.path(group_version, plural), body, **options)

    async def virtual_service(self, name: str = "reviews", http: Any = None) -> Answer:
        """Create one with two weights."""
        answer = await self.create(ISTIO, "virtualservices", virtual_service(name, http))
        assert answer.status == 201, answer.body
        return answer

    async def patch_vs(self, body: Any, *, kind: str = MERGE, name: str = "reviews", **query: str) -> Answer:
        return await self.ask("PATCH", self.path(ISTIO, "virtualservices", name), body, kind=kind, **query)

    async def get_vs(self, name: str = "reviews") -> Answer:
        return await self.ask("GET", self.path(ISTIO, "virtualservices", name))

    @asynccontextmanager
    async def watch(self, path: str, **query: str) -> AsyncIterator["Watched"]:
        params = {"watch": "true", **query}
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        async with self.session.get(self.base + path, params=params, headers=headers) as answer:
            yield Watched(answer)

    async def define(self, *definitions: Json) -> None:
        """Create CRDs once and wait until they are served."""
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        for crd in definitions:
            answer = await self.ask("POST", path, crd)
            assert answer.status in (201, 409), answer.body
        for crd in definitions:
            spec = crd["spec"]
            plural = f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}"
            while (await self.ask("GET", plural)).status == 404:
                await asyncio.sleep(0.05)


class Watched:
    """Events of one watch, one by one."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.status = answer.status
        self._answer = answer

    async def next(self, within_s: float = 5.0) -> tuple[str, Json] | None:
        """Type and object of the next event; None when the server ended the watch."""
        async with asyncio.timeout(within_s):
            line = await self._answer.content.readline()
        if not line:
            return None
        event = json.loads(line)
        return event["type"], event["object"]


def virtual_service(name: str = "reviews", http: Any = None) -> Json:
    route = [
        {"destination": {"host": "reviews", "subset": "v1"}, "weight": 50},
        {"destination": {"host": "reviews", "subset": "v3"}, "weight": 50},
    ]
    return {
        "apiVersion": ISTIO,
        "kind": "VirtualService",
        "metadata": {"name": name},
        "spec": {"hosts": ["reviews"], "http": http if http is not None else [{"route": route}]},
    }


def weights(first: int, second: int) -> Json:
    """A patch that sets them."""
    changed = virtual_service()["spec"]["http"]
    changed[0]["route"][0]["weight"], changed[0]["route"][1]["weight"] = first, second
    return {"spec": {"http": changed}}


@asynccontextmanager
async def opened(base: str, ca: Path, namespace: str, fake: FakeKube | None = None) -> AsyncIterator[Server]:
    """A session with the server, and the namespace."""
    context = ssl.create_default_context(cafile=ca)
    connector = aiohttp.TCPConnector(ssl=context)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=30)) as session:
        server = Server(base, namespace, session, fake)
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        answer = await server.ask("POST", "/api/v1/namespaces", body)
        assert answer.status == 201, answer.body
        yield server
