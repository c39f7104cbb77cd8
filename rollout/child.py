"""Child processes that never outlive us: Envoy, Prometheus and the programs of the demo.

A child writes to a log file, dies when its parent dies (Linux: the kernel signals it, even after `kill -9` of the
parent), and is stopped politely first, by force after a grace period.
"""

import asyncio
import os
import random
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

GRACE_S = 3.0
PORTS = range(20_000, 32_000)
LOOK_EVERY_S = 0.01  # whether a child that was told to end has ended
READY_LINE_BYTES_MAX = 64 * 1024
# PR_SET_PDEATHSIG (1) survives exec. A parent that died before the call is noticed by its changed process id.
_PRELUDE = (
    "import ctypes,os,sys;ctypes.CDLL(None).prctl(1,15);"
    "os.getppid()==int(sys.argv[1]) or sys.exit(1);os.execv(sys.argv[2],sys.argv[2:])"
)


class ChildFailed(Exception):
    """A child ended, or was not ready, when it should have been; says what its log ends with."""


class Child:
    """One running child."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path, name: str) -> None:
        self._process, self.log, self.name = process, log, name

    @classmethod
    async def start(
        cls, command: Sequence[str], log: Path, *, name: str, environment: Mapping[str, str] | None = None
    ) -> "Child":
        """Start *command* (an absolute path and its arguments) in a process group of its own.

        Its stdout can be read with `ready_line`; its stderr goes to *log*. A terminal's Ctrl-C does not reach it.
        """
        bound = [*_bound_to_parent(), *command] if sys.platform == "linux" else list(command)
        with log.open("ab") as stderr:
            process = await asyncio.create_subprocess_exec(
                *bound,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
                env={**os.environ, **(environment or {})},
                limit=READY_LINE_BYTES_MAX,
                start_new_session=True,
            )
        return cls(process, log, name)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self._process.returncode

    async def ready_line(self, timeout_s: float) -> str:
        """The next line of its stdout. Raises ChildFailed when it ends, or says nothing for so long."""
        assert self._process.stdout is not None, "stdout is a pipe"
        try:
            async with asyncio.timeout(timeout_s):
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise ChildFailed(f"{self.name} was not ready within {timeout_s:g} s{self.last_words()}") from None
        except ValueError:  # asyncio's word for a line that is longer than the limit
            raise ChildFailed(
                f"{self.name} wrote {READY_LINE_BYTES_MAX} bytes and no line{self.last_words()}"
            ) from None
        if not line:
            raise ChildFailed(f"{self.name} ended with {await self.wait()}{self.last_words()}")
        return line.decode(errors="replace").rstrip("\n")

    async def wait(self) -> int:
        """Its exit code, once it has ended; what it prints meanwhile is thrown away."""
        assert self._process.stdout is not None, "stdout is a pipe"
        while await self._process.stdout.read(READY_LINE_BYTES_MAX):
            pass
        return await self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it still runs."""
        if self.exit_code is None:
            self._process.send_signal(number)

    async def stop(self, grace_s: float = GRACE_S) -> None:
        """End it: SIGTERM, and SIGKILL after *grace_s* seconds."""
        self.signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(grace_s):
                await self._ended()
        except TimeoutError:
            self.signal(signal.SIGKILL)
            await self._ended()
        # Output that nobody has read would keep the pipe open; there is no public way to close one.
        self._process._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001

    async def _ended(self) -> None:
        """Not Process.wait(), which also waits until the pipe has been read to its end: nobody reads here."""
        while self.exit_code is None:  # noqa: ASYNC110 - the event loop tells of it in no other way
            await asyncio.sleep(LOOK_EVERY_S)

    def last_words(self, lines: int = 5) -> str:
        """The end of its log, ready to be appended to a message."""
        text = self.log.read_text(errors="replace").splitlines()[-lines:] if self.log.exists() else []
        return "; its log ends:\n  " + "\n  ".join(text) if text else f" (its log is empty: {self.log})"


def _bound_to_parent() -> list[str]:
    return [sys.executable, "-I", "-S", "-c", _PRELUDE, str(os.getpid())]


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """Ports nobody listens on now. Another process may take one before it is used: then its bind fails loudly.

    They lie below the range from which the kernel takes ports for outgoing connections (32768 and up on Linux): there,
    any busy client on this machine would take one sooner or later.
    """
    found: list[int] = []
    candidates = iter(random.sample(PORTS, len(PORTS)))
    while len(found) < count:
        port = next(candidates)
        with socket.socket() as door:
            try:
                door.bind((host, port))
            except OSError:
                continue
        found.append(port)
    return found
