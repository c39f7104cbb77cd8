"""Everything the demo stands on: bookinfo, Envoy, Prometheus and the daemon, on free loopback ports.

All of it ends with the block that opened it, and with this process even when that is killed.
"""

import asyncio
import shutil
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from rollout.beside import beside
from rollout.child import Child, ChildFailed, free_ports
from rollout.demo.backstage import Player, players, start_player
from rollout.demo.monitoring import prometheus_command, write_prometheus_config
from rollout.mesh.embedded import EmbeddedMesh, embedded_mesh
from rollout.mesh.registry import Registry, load_registry
from rollout.mesh.translate.document import Key
from rollout.ports import Unavailable
from rollout.yaml_documents import load, load_all

CONFIG = Path(__file__).parents[2] / "config"
DOCUMENTS = ("bookinfo-gateway.yaml", "destination-rule-all.yaml", "virtual-service-all-v1.yaml")
USERS_LISTENER = "productpage-v1.bookinfo"
GATEWAY_LISTENER = "istio-ingressgateway.istio-system:80"
READY_TIMEOUT_S = 20.0
LOOK_EVERY_S = 0.05
Tell = Callable[[str], None]


@dataclass(slots=True, kw_only=True)
class Stage:
    """What is running, and where."""

    root: Path
    mesh: EmbeddedMesh
    cast: dict[str, Player]
    daemon: Child
    daemon_url: str
    prometheus_url: str | None
    page_url: str
    _documents: list[Mapping[str, Any]] = field(default_factory=list)

    @property
    def users_address(self) -> str:
        """host:port of productpage's sidecar: where users' requests for reviews enter the mesh."""
        return self.mesh.address(USERS_LISTENER)

    async def play(self, scenario: str, workload: str = "reviews-v3") -> None:
        """Let a workload behave in another way, as a new build of it would. Raises ChildFailed."""
        await self.cast[workload].play(scenario)

    async def reset(self) -> None:
        """All traffic back to v1, as before any release."""
        await asyncio.to_thread(self.mesh.directory.apply, _only(self._documents, "VirtualService", "reviews"))

    def weights(self) -> dict[str, int]:
        """The weights of reviews as documented, in percent."""
        document = self.mesh.directory.get(Key("VirtualService", "bookinfo", "reviews"))
        assert document is not None, "reset() and the daemon keep it"
        route = document["spec"]["http"][-1]["route"]
        if len(route) == 1:
            return {route[0]["destination"]["subset"]: 100}
        return {entry["destination"]["subset"]: entry.get("weight", 0) for entry in route}


@asynccontextmanager
async def open_stage(
    root: Path, *, plan: Path, tell: Tell, hooks: Path | None = None, with_prometheus: bool = True
) -> AsyncIterator[Stage]:
    """Start everything in *root*, which is emptied first. Raises ChildFailed, Unavailable, Refused."""
    shutil.rmtree(root, ignore_errors=True)
    (root / "plans").mkdir(parents=True)
    shutil.copy(plan, root / "plans" / plan.name)
    registry = _with_ports(load_registry(load((CONFIG / "bookinfo/registry.yaml").read_bytes())))
    documents = _documents()
    async with AsyncExitStack() as stack:
        began = time.monotonic()  # noqa: TID251 - for people
        cast = await _start_cast(stack, root, registry)
        tell(f"bookinfo: {len(cast)} programs ({_seconds_since(began)})")
        workloads = [player.workload for player in cast.values()]
        mesh = await stack.enter_async_context(
            embedded_mesh(root / "mesh", registry.with_workloads(workloads), documents, time.time)  # noqa: TID251
        )
        tell(f"Envoy serves {len(mesh.status.listeners)} listeners ({_seconds_since(began)})")
        daemon_port, prometheus_port = free_ports(2)
        daemon_url = f"http://127.0.0.1:{daemon_port}"
        prometheus_url = None
        if with_prometheus and shutil.which("prometheus"):
            prometheus_url = f"http://127.0.0.1:{prometheus_port}"
            config = write_prometheus_config(root, mesh.status.admin, f"127.0.0.1:{daemon_port}")
            command = prometheus_command(config, root / "prometheus", prometheus_port)
            await _start(stack, command, root, "prometheus")
        daemon = await _start(stack, _daemon_command(root, daemon_url, prometheus_url, hooks), root, "daemon")
        await _ready(f"{daemon_url}/readyz", daemon)
        tell(f"daemon and Prometheus are up ({_seconds_since(began)})")
        yield Stage(
            root=root,
            mesh=mesh,
            cast=cast,
            daemon=daemon,
            daemon_url=daemon_url,
            prometheus_url=prometheus_url,
            page_url=f"http://{mesh.address(GATEWAY_LISTENER)}/productpage",
            _documents=documents,
        )


def _documents() -> list[Mapping[str, Any]]:
    files = [CONFIG / "bookinfo" / name for name in DOCUMENTS]
    return [document.value for file in files for document in load_all(file.read_bytes(), file=str(file))]


def _only(documents: list[Mapping[str, Any]], kind: str, name: str) -> list[Mapping[str, Any]]:
    return [raw for raw in documents if (raw["kind"], raw["metadata"]["name"]) == (kind, name)]


def _with_ports(registry: Registry) -> Registry:
    """Every listener's port is chosen before anything starts: programs call through their sidecars."""
    wanting = [name for name, port in registry.listeners.items() if not port]
    return registry.with_ports(dict(zip(wanting, free_ports(len(wanting)), strict=True)))


async def _start_cast(stack: AsyncExitStack, root: Path, registry: Registry) -> dict[str, Player]:
    async with asyncio.TaskGroup() as tasks:
        starting = [tasks.create_task(start_player(role, root, registry)) for role in players()]
    cast = {player.name: player for player in (task.result() for task in starting)}
    stack.push_async_callback(_stop, cast.values())
    await stack.enter_async_context(beside(*(player.keep() for player in cast.values())))
    return cast


async def _stop(cast: Iterable[Player]) -> None:
    async with asyncio.TaskGroup() as ending:
        for player in cast:
            ending.create_task(player.stop())


async def _start(stack: AsyncExitStack, command: list[str], root: Path, name: str) -> Child:
    child = await Child.start(command, root / f"{name}.log", name=name)
    stack.push_async_callback(child.stop)
    return child


def _daemon_command(root: Path, url: str, prometheus_url: str | None, hooks: Path | None) -> list[str]:
    command = [sys.executable, "-m", "rollout", "serve", "--listen", url.removeprefix("http://")]
    command += ["--mesh", str(root / "mesh"), "--state", str(root / "rollout.sqlite"), "--plans", str(root / "plans")]
    command += ["--prometheus", prometheus_url] if prometheus_url else []
    return command + (["--hooks", str(hooks)] if hooks else [])


async def _ready(url: str, child: Child) -> None:
    """Wait until *url* answers 200. Raises ChildFailed."""
    async with aiohttp.ClientSession(trust_env=False) as session:
        for _ in range(int(READY_TIMEOUT_S / LOOK_EVERY_S)):
            if child.exit_code is not None:
                raise ChildFailed(f"{child.name} ended with {child.exit_code}{child.last_words()}")
            try:
                async with session.get(url) as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(LOOK_EVERY_S)
    raise Unavailable(f"{child.name} is not ready after {READY_TIMEOUT_S:g} s{child.last_words()}")


def _seconds_since(began: float) -> str:
    return f"{time.monotonic() - began:.1f} s"  # noqa: TID251 - for people
