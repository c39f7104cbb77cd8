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

from rollout.beside import beside, together
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


def documents_of(*names: str) -> list[Mapping[str, Any]]:
    """The documents of files of config/bookinfo, by file name."""
    files = [CONFIG / "bookinfo" / name for name in names]
    return [document.value for file in files for document in load_all(file.read_bytes(), file=str(file))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bookinfo:
    """bookinfo and httpbin behind an Envoy, all traffic on v1."""

    mesh: EmbeddedMesh
    cast: Mapping[str, Player]

    @property
    def users_address(self) -> str:
        """host:port of productpage's sidecar: where users' requests for reviews enter the mesh."""
        return self.mesh.address(USERS_LISTENER)

    @property
    def page_url(self) -> str:
        """The product page, through the ingress gateway."""
        return f"http://{self.mesh.address(GATEWAY_LISTENER)}/productpage"

    async def apply(self, *names: str) -> None:
        """Apply files of config/bookinfo."""
        await asyncio.to_thread(self.mesh.directory.apply, documents_of(*names))

    async def reset(self) -> None:
        """All traffic back to v1, as before any release."""
        everything = documents_of("virtual-service-all-v1.yaml")
        reviews = [raw for raw in everything if raw["metadata"]["name"] == "reviews"]
        await asyncio.to_thread(self.mesh.directory.apply, reviews)

    def weights(self) -> dict[str, int]:
        """The weights of reviews as documented, in percent."""
        document = self.mesh.directory.get(Key("VirtualService", "bookinfo", "reviews"))
        assert document is not None, "reset() and the daemon keep it"
        route = document["spec"]["http"][-1]["route"]
        if len(route) == 1:
            return {route[0]["destination"]["subset"]: 100}
        return {entry["destination"]["subset"]: entry.get("weight", 0) for entry in route}


@asynccontextmanager
async def open_bookinfo(root: Path, tell: Tell = lambda _: None) -> AsyncIterator[Bookinfo]:
    """Start bookinfo, httpbin and Envoy in *root*, which is emptied first. Raises ChildFailed, Unavailable, Refused."""
    _empty(root)
    registry = _with_ports(load_registry(load((CONFIG / "bookinfo/registry.yaml").read_bytes())))
    async with AsyncExitStack() as stack:
        cast = await _start_cast(stack, root, registry)
        tell(f"bookinfo: {len(cast)} programs")
        whole = registry.with_workloads(player.workload for player in cast.values())
        mesh = await stack.enter_async_context(
            embedded_mesh(root / "mesh", whole, documents_of(*DOCUMENTS), time.time)  # noqa: TID251 - labels only
        )
        tell(f"Envoy: {len(mesh.status.listeners)} listeners")
        yield Bookinfo(mesh=mesh, cast=cast)


def _empty(root: Path) -> None:
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)


def _with_ports(registry: Registry) -> Registry:
    """Every listener's port is chosen before anything starts: programs call through their sidecars."""
    wanting = [name for name, port in registry.listeners.items() if not port]
    return registry.with_ports(dict(zip(wanting, free_ports(len(wanting)), strict=True)))


async def _start_cast(stack: AsyncExitStack, root: Path, registry: Registry) -> dict[str, Player]:
    started = await together(*(start_player(role, root, registry) for role in players()))
    cast = {player.name: player for player in started}
    stack.push_async_callback(_stop, cast.values())
    await stack.enter_async_context(beside(*(player.keep() for player in cast.values())))
    return cast


async def _stop(cast: Iterable[Player]) -> None:
    await together(*(player.stop() for player in cast))


@dataclass(slots=True, kw_only=True)
class Stage:
    """Bookinfo with a daemon and a Prometheus."""

    root: Path
    bookinfo: Bookinfo
    daemon_url: str
    prometheus_url: str | None
    hooks: Path | None = None
    running: dict[str, Child] = field(default_factory=dict)
    """"daemon" and "prometheus"."""

    async def start_daemon(self) -> None:
        """Start it, again if need be, and wait until it is ready. Raises ChildFailed, Unavailable."""
        command = [sys.executable, "-m", "rollout", "serve", "--listen", self.daemon_url.removeprefix("http://")]
        command += ["--mesh", str(self.root / "mesh"), "--state", str(self.root / "rollout.sqlite")]
        command += ["--plans", str(self.root / "plans")]
        command += ["--prometheus", self.prometheus_url] if self.prometheus_url else []
        command += ["--hooks", str(self.hooks)] if self.hooks else []
        await self._start("daemon", command, f"{self.daemon_url}/readyz")

    async def start_prometheus(self) -> None:
        """The same for Prometheus, if it is installed."""
        if self.prometheus_url is not None:
            admin, daemon = self.bookinfo.mesh.status.admin, self.daemon_url.removeprefix("http://")
            config = write_prometheus_config(self.root, admin, daemon)
            port = int(self.prometheus_url.rpartition(":")[2])
            command = prometheus_command(config, self.root / "prometheus", port)
            await self._start("prometheus", command, f"{self.prometheus_url}/-/ready")

    async def _start(self, name: str, command: list[str], ready_url: str) -> None:
        child = self.running[name] = await Child.start(command, self.root / f"{name}.log", name=name)
        await _ready(ready_url, child)

    async def stop(self) -> None:
        """End both."""
        for child in self.running.values():
            await child.stop()


@asynccontextmanager
async def open_stage(root: Path, *, plan: Path, tell: Tell, hooks: Path | None = None) -> AsyncIterator[Stage]:
    """Start everything in *root*, which is emptied first. Raises ChildFailed, Unavailable, Refused."""
    async with open_bookinfo(root, tell) as bookinfo:
        (root / "plans").mkdir()
        shutil.copy(plan, root / "plans" / plan.name)
        daemon_port, prometheus_port = free_ports(2)
        stage = Stage(
            root=root,
            bookinfo=bookinfo,
            daemon_url=f"http://127.0.0.1:{daemon_port}",
            prometheus_url=f"http://127.0.0.1:{prometheus_port}" if shutil.which("prometheus") else None,
            hooks=hooks,
        )
        try:
            await together(stage.start_prometheus(), stage.start_daemon())
            tell(f"Prometheus at {stage.prometheus_url}" if stage.prometheus_url else "no Prometheus: not installed")
            tell(f"daemon at {stage.daemon_url}")
            yield stage
        finally:
            await stage.stop()


async def _ready(url: str, child: Child) -> None:
    """Wait until *url* answers 200. Raises ChildFailed, Unavailable."""
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
