"""The programs of bookinfo and httpbin as children: one process per workload, restarted when it crashes.

A restarted program keeps its port, as a Pod behind a Service keeps its address for its callers, and remembers the
scenario it plays: a crash that was asked for becomes a crash loop.
"""

import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from rollout.child import Child, ChildFailed
from rollout.demo.cast import Wish, remember
from rollout.demo.scenarios import scenario_named
from rollout.mesh.registry import Address, Registry, Workload

READY_TIMEOUT_S = 20.0
RESTART_S = 1.0  # as Kubernetes' first back-off, shortened for an impatient audience


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """One workload to be run."""

    service: str
    version: str

    @property
    def name(self) -> str:
        """The Deployment's name."""
        return f"{self.service}-{self.version}"


def players() -> tuple[Role, ...]:
    """Every workload of the demo."""
    services = {
        "productpage": ("v1",),
        "details": ("v1",),
        "ratings": ("v1",),
        "reviews": ("v1", "v2", "v3"),
        "httpbin": ("v1",),
    }
    return tuple(Role(service=service, version=version) for service, found in services.items() for version in found)


class Player:
    """One running workload."""

    def __init__(self, role: Role, root: Path, outbound: str) -> None:
        self.name = role.name
        self._role, self._root, self._outbound = role, root, outbound
        self._scenario_file = root / f"{role.name}.scenario"
        self._child: Child | None = None
        self._ready: Mapping[str, object] = {}
        self._port = self._admin_port = 0

    @property
    def workload(self) -> Workload:
        """As the mesh's registry knows it."""
        return Workload(
            pod=self.pod,
            workload=self.name,
            namespace="bookinfo",
            labels={"app": self._role.service, "version": self._role.version},
            address=Address("127.0.0.1", self._port),
        )

    @property
    def pod(self) -> str:
        """The pod's name."""
        pods = self._ready["pods"]
        assert isinstance(pods, dict), "the ready line lists pods"
        return str(pods[self.name])

    @property
    def address(self) -> str:
        """host:port."""
        return f"127.0.0.1:{self._port}"

    async def start(self) -> None:
        """Start it and wait until it serves. Raises ChildFailed."""
        self._child = await Child.start(self._command(), self._root / f"{self.name}.log", name=self.name)
        self._ready = json.loads(await self._child.ready_line(READY_TIMEOUT_S))
        ports = self._ready["ports"]
        assert isinstance(ports, dict), "the ready line lists ports"
        self._port, self._admin_port = ports[self.name], int(str(self._ready["admin_port"]))

    def _command(self) -> list[str]:
        role = self._role
        program = "rollout.demo.httpbin" if role.service == "httpbin" else "rollout.demo.bookinfo"
        command = [sys.executable, "-m", program]
        if role.service != "httpbin":
            command += ["--service", role.service, "--version", role.version]
        command += ["--outbound", f"http://{self._outbound}"] if self._outbound else []
        command += ["--port", str(self._port), "--admin-port", str(self._admin_port)]
        return [*command, "--scenario-file", str(self._scenario_file)]

    async def keep(self) -> None:
        """Start it again whenever it ends, until cancelled."""
        while True:
            assert self._child is not None, "start() comes first"
            await self._child.wait()
            await asyncio.sleep(RESTART_S)
            try:
                await self.start()
            except ChildFailed:
                continue

    async def play(self, scenario: str) -> None:
        """Play another scenario from now on; a program that is down plays it when it is back."""
        wish = Wish(scenario=scenario_named(scenario))
        await asyncio.to_thread(remember, wish, self._scenario_file)
        try:
            async with (
                aiohttp.ClientSession(trust_env=False) as session,
                session.put(f"http://127.0.0.1:{self._admin_port}/__scenario", json=wish.document()) as answer,
            ):
                answer.raise_for_status()
        except aiohttp.ClientConnectionError:
            await self._back()

    async def _back(self) -> None:
        for _ in range(int(READY_TIMEOUT_S / 0.1)):
            await asyncio.sleep(0.1)
            if self._child is not None and self._child.exit_code is None and self._ready:
                return
        raise ChildFailed(f"{self.name} does not come back")

    async def stop(self) -> None:
        """End it."""
        if self._child is not None:
            await self._child.stop()


async def start_player(role: Role, root: Path, registry: Registry) -> Player:
    """Start one workload; it calls others through the sidecar that *registry* gives it."""
    port = registry.listeners.get(f"{role.name}.bookinfo", 0)
    player = Player(role, root, f"127.0.0.1:{port}" if port else "")
    await player.start()
    return player
