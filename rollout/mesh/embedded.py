"""The process that keeps Envoy alive on a mesh directory: starts it, starts it again, says where it listens.

It is not in the way of anything: documents are written by whoever opens the directory, Envoy reads files. When this
process dies, Envoy goes with it (ports must not stay taken); when Envoy dies, it is back in a fraction of a second on
the same ports with the same routes.
"""

import asyncio
import dataclasses
import fcntl
import json
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import structlog

from rollout.beside import beside
from rollout.child import Child, free_ports
from rollout.mesh.admin import EnvoyAdmin
from rollout.mesh.directory import STATUS_FILE, Applied, MeshDirectory, MeshStatus
from rollout.mesh.envoy import start_envoy
from rollout.mesh.object_store import replace_file
from rollout.mesh.registry import Proxy, Registry
from rollout.ports import Refused, Unavailable

log = structlog.get_logger()

START_TIMEOUT_S = 15.0
LOOK_EVERY_S = 0.02
HEAL_EVERY_S = 1.0
RESTART_S = (0.1, 0.5, 2.0, 10.0)
"""Before Envoy is started again; the last one counts for every further crash within a minute."""
CALM_S = 60.0


class EmbeddedMesh:
    """A running mesh."""

    def __init__(self, directory: MeshDirectory, status: MeshStatus) -> None:
        self.directory, self.status = directory, status

    def address(self, listener: str) -> str:
        """Where a listener listens, host:port."""
        return self.status.listeners[listener]


@asynccontextmanager
async def embedded_mesh(
    root: Path, registry: Registry, documents: Iterable[Mapping[str, Any]], now: Callable[[], float]
) -> AsyncIterator[EmbeddedMesh]:
    """Run Envoy on *root*. Ports that are 0 in *registry* are chosen; they stay the same when Envoy restarts.

    Raises InvalidDocument, Rejected, Refused (the directory is taken, a port is in use), Unavailable.
    """
    with _owned(root):
        with_ports = _with_ports(registry)
        _refuse_taken_ports(with_ports)
        directory = await asyncio.to_thread(MeshDirectory.create, root, with_ports, now)
        await asyncio.to_thread(_first_publish, directory, list(documents))
        keeper = _Keeper(directory, now)
        try:
            status = await keeper.start()
            async with beside(keeper.keep(), _heal(directory)):
                yield EmbeddedMesh(directory, status)
        finally:
            await keeper.stop()
            (root / STATUS_FILE).unlink(missing_ok=True)


def _first_publish(directory: MeshDirectory, documents: list[Mapping[str, Any]]) -> Applied:
    applied = directory.apply(documents)
    directory.publish(is_prepared=True)
    return applied


@contextmanager
def _owned(root: Path) -> Iterator[None]:
    """Hold the right to run Envoy on a directory; one process has it, and loses it with its life."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / "owner").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused(f"another process runs the mesh in {root}") from None
        yield


def _with_ports(registry: Registry) -> Registry:
    wanting = [name for name, port in registry.listeners.items() if not port]
    return registry.with_ports(dict(zip(wanting, free_ports(len(wanting)), strict=True)))


def _refuse_taken_ports(registry: Registry) -> None:
    """Envoy would start without the listener, and say so in its log only."""
    for proxy in registry.proxies:
        for name, port in proxy.listeners.items():
            try:
                socket.create_server((proxy.bind, port)).close()
            except OSError as error:
                raise Refused(f"cannot listen on {proxy.bind}:{port} for {name}: {error.strerror}") from error


async def _heal(directory: MeshDirectory) -> None:
    """Publish what a writer that was killed between its two steps has left."""
    while True:
        await asyncio.sleep(HEAL_EVERY_S)
        try:
            if not await asyncio.to_thread(directory.is_published):
                changed = await asyncio.to_thread(directory.publish)
                if changed:  # otherwise the writer was only not done yet
                    log.info("mesh.healed", files=changed)
        except (Refused, Unavailable, OSError) as error:
            log.warning("mesh.unhealed", error=str(error))


class _Keeper:
    """Starts Envoy and starts it again."""

    def __init__(self, directory: MeshDirectory, now: Callable[[], float]) -> None:
        self._directory, self._now = directory, now
        self._envoy: Child | None = None

    async def start(self) -> MeshStatus:
        """Start Envoy and wait until it serves. Raises Unavailable."""
        root = self._directory.root
        self._envoy = await start_envoy(root, self._directory.xds)
        admin = await self._admin_address(root / "admin", self._envoy)
        await self._ready(admin, self._envoy)
        status = MeshStatus(pid=os.getpid(), admin=admin, listeners=_addresses(self._directory.registry().proxies))
        replace_file(root / STATUS_FILE, json.dumps(dataclasses.asdict(status)).encode())
        return status

    async def keep(self) -> None:
        """Start it again whenever it ends."""
        crashes = 0
        while True:
            assert self._envoy is not None, "start() comes first"
            begun = self._now()
            code = await self._envoy.wait()
            crashes = 0 if self._now() - begun > CALM_S else crashes
            pause_s = RESTART_S[min(crashes, len(RESTART_S) - 1)]
            crashes += 1
            log.warning("envoy.ended", exit_code=code, again_in_s=pause_s)
            await asyncio.sleep(pause_s)
            try:
                await self.start()
            except Unavailable as error:
                log.warning("envoy.failed", error=str(error))

    async def stop(self) -> None:
        """End it."""
        if self._envoy is not None:
            await self._envoy.stop()

    async def _admin_address(self, file: Path, envoy: Child) -> str:
        async for _ in _tries(envoy):
            if text := _text(file):
                return text
        raise Unavailable(f"Envoy did not start{envoy.last_words()}")

    async def _ready(self, address: str, envoy: Child) -> None:
        admin = EnvoyAdmin(address)
        try:
            async for _ in _tries(envoy):
                if await admin.is_ready():
                    return
        finally:
            await admin.close()
        raise Unavailable(f"Envoy does not serve{envoy.last_words()}")


def _text(file: Path) -> str:
    return file.read_text().strip() if file.exists() else ""


async def _tries(envoy: Child) -> AsyncIterator[None]:
    """Look again and again until Envoy has ended or time is up."""
    for _ in range(int(START_TIMEOUT_S / LOOK_EVERY_S)):
        if envoy.exit_code is not None:
            return
        yield
        await asyncio.sleep(LOOK_EVERY_S)


def _addresses(proxies: Iterable[Proxy]) -> dict[str, str]:
    return {
        name: f"[{proxy.bind}]:{port}" if ":" in proxy.bind else f"{proxy.bind}:{port}"
        for proxy in proxies
        for name, port in proxy.listeners.items()
    }
