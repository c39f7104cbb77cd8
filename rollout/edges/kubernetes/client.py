"""The one door to kubernetes_asyncio: its config loaders and its ApiClient, and nothing else of it.

Why not more: its dynamic client takes a 409 for a success, its elector leads on after its lease has run out, its
watch hangs on a half-open connection, and no call has a timeout. Here every call has one; reads are tried again; a
write whose outcome is unknown is settled by reading. Everything is plain JSON. Importing the library costs 0.4 s and
63 MB, so only opening a cluster does it.
"""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp

from rollout.edges.kubernetes.errors import Throttled, Unauthorized, Unknown, error_of
from rollout.ports import Conflict, Refused, Unavailable

Json = dict[str, Any]

USER_AGENT = "rollout"
FIELD_MANAGER = "rollout"
CALL_TIMEOUT_S = 5.0  # an API server that needs longer is overloaded; the loop looks again anyway
CONNECT_TIMEOUT_S = 2.0
READ_ATTEMPTS = 3
READ_PAUSE_S = 0.1  # doubled each time, with jitter: many daemons must not come back in step
REQUESTS_PER_S = 50.0  # Argo Rollouts takes 40; ours are watches and few writes, so this is for accidents
REQUESTS_BURST = 100.0
PAGE = 500
MERGE_PATCH = "application/merge-patch+json"
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(slots=True)
class Bucket:
    """A rate limit: so many requests a second, and a burst of them after a quiet while."""

    rate_per_s: float = REQUESTS_PER_S
    burst: float = REQUESTS_BURST
    _due: float = 0.0

    async def take(self) -> None:
        """Wait for this request's turn."""
        now = asyncio.get_running_loop().time()
        self._due = max(self._due, now - self.burst / self.rate_per_s) + 1 / self.rate_per_s
        if self._due > now:
            await asyncio.sleep(self._due - now)


class Cluster:
    """One API server, as one user. Use `async with cluster(...)`."""

    def __init__(self, api: Any, namespace: str, expire_token: Callable[[], None]) -> None:
        self.namespace = namespace
        """Where we live, or what the context says."""
        self._api = api
        self._expire_token = expire_token
        self._bucket = Bucket()

    async def get(self, path: str, **query: str) -> Json:
        """One object. Raises NotFound, Refused, Unavailable."""
        return await self._read(path, list(query.items()))

    async def list_all(self, path: str, **query: str) -> tuple[list[Json], str]:
        """All objects of a resource and the version of the list, page by page. Raises Refused, Unavailable."""
        items: list[Json] = []
        more = ""
        while True:
            page = await self._read(
                path, [*query.items(), ("limit", str(PAGE)), *([("continue", more)] if more else [])]
            )
            items += page.get("items") or ()
            metadata = page["metadata"]
            more = metadata.get("continue", "")
            if not more:
                return items, metadata["resourceVersion"]

    async def create(self, path: str, body: Json) -> Json:
        """A new object. Raises Exists, Refused, Unavailable."""
        try:
            return await self._call("POST", path, body=body)
        except Unknown:
            return await self._read(f"{path}/{body['metadata']['name']}", [])  # names are ours alone: there it is ours

    async def merge(self, path: str, patch: Json) -> Json:
        """A merge patch; with metadata.resourceVersion in it, of that version only.

        Raises Conflict, NotFound, Refused, Unavailable.
        """
        try:
            return await self._call("PATCH", path, body=patch, content_type=MERGE_PATCH)
        except Unknown as error:
            return await self._settle(path.removesuffix("/status"), patch, error)

    async def replace(self, path: str, body: Json) -> Json:
        """Replace an object of the version in it. Raises Conflict, NotFound, Refused, Unavailable."""
        try:
            return await self._call("PUT", path, body=body)
        except Unknown as error:
            return await self._settle(path, {"spec": body.get("spec")}, error)

    async def delete(self, path: str) -> None:
        """Delete an object. Raises NotFound, Refused, Unavailable."""
        await self._call("DELETE", path)

    @asynccontextmanager
    async def stream(self, path: str, query: Mapping[str, str], silence_s: float) -> AsyncIterator[AsyncIterator[Json]]:
        """The events of a watch. Raises Gone, Refused, Unavailable; so does reading on, after *silence_s* as well."""
        timeout = aiohttp.ClientTimeout(sock_connect=CONNECT_TIMEOUT_S, sock_read=silence_s)
        with _translated(f"watch {path}", is_write=False):
            answer = await self._send("GET", path, list(query.items()), None, "", timeout)
        try:
            if answer.status >= 400:
                raise error_of(answer.status, await answer.read(), None, f"watch {path}")
            yield _lines(answer, path)
        finally:
            answer.close()

    async def _settle(self, path: str, patch: Json, error: Unknown) -> Json:
        """Find out whether a write happened, by looking."""
        live = await self._read(path, [])
        if contains(live, {key: value for key, value in patch.items() if key != "metadata"}):
            return live
        if live["metadata"]["resourceVersion"] != patch.get("metadata", {}).get("resourceVersion"):
            raise Conflict(f"{path} has changed while a write to it was under way") from error
        raise Unavailable(f"{path}: a write was lost") from error

    async def _read(self, path: str, query: list[tuple[str, str]]) -> Json:
        """A read does no harm: try again, a little later each time."""
        for attempt in range(READ_ATTEMPTS):
            try:
                return await self._call("GET", path, query=query)
            except Unavailable as error:
                if attempt == READ_ATTEMPTS - 1:
                    raise
                pause_s = error.retry_after_s if isinstance(error, Throttled) else READ_PAUSE_S * 2**attempt
                await asyncio.sleep(pause_s * random.uniform(0.5, 1.5))  # noqa: S311 jitter, no secret
        raise AssertionError("the last attempt returns or raises")

    async def _call(
        self,
        method: str,
        path: str,
        *,
        query: list[tuple[str, str]] | None = None,
        body: Json | None = None,
        content_type: str = "application/json",
    ) -> Json:
        """One request and its answer; a second one with a new token when the first is not known."""
        try:
            return await self._once(method, path, query or [], body, content_type)
        except Unauthorized:
            self._expire_token()
            return await self._once(method, path, query or [], body, content_type)

    async def _once(
        self, method: str, path: str, query: list[tuple[str, str]], body: Json | None, content_type: str
    ) -> Json:
        await self._bucket.take()
        what = f"{method} {path}"
        timeout = aiohttp.ClientTimeout(total=CALL_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S)
        if method in ("POST", "PUT", "PATCH"):
            query = [*query, ("fieldManager", FIELD_MANAGER)]
        with _translated(what, is_write=method != "GET"):
            answer = await self._send(method, path, query, body, content_type, timeout)
            try:
                content = await answer.read()
            finally:
                answer.release()
        if answer.status >= 400:
            raise error_of(answer.status, content, answer.headers.get("Retry-After"), what)
        try:
            found = json.loads(content)
        except ValueError as error:
            raise Unavailable(f"{what}: the answer is not JSON") from error
        if not isinstance(found, dict):
            raise Unavailable(f"{what}: the answer is no object")
        return found

    async def _send(
        self,
        method: str,
        path: str,
        query: list[tuple[str, str]],
        body: Json | None,
        content_type: str,
        timeout: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        """With _preload_content=False the library checks no status and raises nothing of its own: we do."""
        headers = {"Accept": "application/json"} | ({"Content-Type": content_type} if content_type else {})
        answer: aiohttp.ClientResponse = await self._api.call_api(
            path,
            method,
            query_params=query,
            header_params=headers,
            body=body,
            auth_settings=["BearerToken"],
            _preload_content=False,
            _request_timeout=timeout,
        )
        return answer


class _translated:  # noqa: N801 reads like the keyword it stands beside
    """aiohttp's failures in our words."""

    def __init__(self, what: str, *, is_write: bool) -> None:
        self._what, self._is_write = what, is_write

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        text = f"{self._what}: {str(error) or type(error).__name__}"
        if isinstance(error, aiohttp.ClientConnectorError):  # nothing was sent
            raise Unavailable(text) from error
        if isinstance(error, aiohttp.ClientError | OSError):  # TimeoutError is an OSError
            raise (Unknown if self._is_write else Unavailable)(text) from error


async def _lines(answer: aiohttp.ClientResponse, path: str) -> AsyncIterator[Json]:
    with _translated(f"watch {path}", is_write=False):
        async for line in answer.content:
            try:
                yield json.loads(line)
            except ValueError as error:
                raise Unavailable(f"watch {path}: a line that is not JSON") from error


def contains(live: Any, patch: Any) -> bool:
    """Whether a merge patch would change nothing."""
    if not isinstance(patch, dict):
        return bool(live == patch)
    if not isinstance(live, dict):
        return False
    return all(key not in live if value is None else contains(live.get(key), value) for key, value in patch.items())


@asynccontextmanager
async def cluster(
    *,
    kubeconfig: Path | None = None,
    context: str | None = None,
    namespace: str | None = None,
    account: Path = ACCOUNT,
) -> AsyncIterator[Cluster]:
    """Connect: by *kubeconfig* when it is named, else as the pod's ServiceAccount, else by the user's kubeconfig.

    Raises Refused when there is no configuration or it makes no sense.
    """
    try:
        from kubernetes_asyncio import client, config
    except ImportError as error:
        raise Refused("a cluster needs kubernetes-asyncio: pip install 'rollout[kubernetes]'") from error
    configuration = client.Configuration()
    expire = _nothing_to_expire
    try:
        if kubeconfig is None and context is None and (account / "token").exists():
            expire = _in_cluster(configuration, account)
            home = (account / "namespace").read_text().strip() if (account / "namespace").exists() else "default"
        else:
            loader = await config.load_kube_config(
                config_file=str(kubeconfig) if kubeconfig else None,
                context=context,
                client_configuration=configuration,
                persist_config=False,
            )
            active: Any = loader.current_context
            home = (active.get("context") or {}).get("namespace") or "default"
    except Exception as error:  # the library's loaders raise whatever their parsers and plugins do
        raise Refused(f"no cluster: {error}") from error
    api = client.ApiClient(configuration)
    api.user_agent = USER_AGENT
    try:
        yield Cluster(api, namespace or home, expire)
    finally:
        await api.close()


def _nothing_to_expire() -> None:
    """A kubeconfig's credentials are read once, or refreshed by the library."""


def _in_cluster(configuration: Any, account: Path) -> Callable[[], None]:
    """Take the mounted token, read anew every minute; return what makes it be read at once."""
    from kubernetes_asyncio.config.incluster_config import InClusterConfigLoader

    loader = InClusterConfigLoader(token_filename=str(account / "token"), cert_filename=str(account / "ca.crt"))
    loader.load_and_set(configuration)
    refresh = configuration.refresh_api_key_hook

    def refreshed(current: Any) -> None:
        refresh(current)
        current.api_key["BearerToken"] = current.api_key["BearerToken"].strip()  # a newline is an illegal header

    def expire() -> None:
        loader.token_expires_at = datetime(1970, 1, 1)  # noqa: DTZ001 the library compares naive local times

    configuration.refresh_api_key_hook = refreshed
    return expire
