"""A worker: `python -m loadgen worker`, one process that runs its share of a plan and streams what it sees.

It reads one line of JSON on standard input (an `Assignment`), then commands, one per line. The end of that stream means
that the parent died, and ends the run at once. It writes one line per message on standard output and never waits for
the reader: while the pipe is full, snapshots are added up instead. The messages are in `core/snapshot.py`.
"""

import contextlib
import os
import select
import signal
from collections.abc import Callable
from enum import IntEnum

from loadgen.closed_loop import ClosedLoop
from loadgen.core.limits import NotAllowedError
from loadgen.core.plan import Plan
from loadgen.core.snapshot import (
    Assignment,
    Command,
    Failed,
    Finished,
    Message,
    Snapshot,
    Started,
    decode_assignment,
    decode_command,
    encode,
)
from loadgen.engine import Engine, Transport
from loadgen.monitor import Monitor
from loadgen.open_loop import OpenLoop
from loadgen.transport.address import UnreachableError
from loadgen.transport.channel import Desk
from loadgen.transport.clock import now_ns
from loadgen.transport.http1_transport import Http1Transport
from loadgen.transport.poller import READ, WRITE, best_poller

PLAN_BYTES_MAX = 16 << 20  # a plan with a 1 MiB body per target, in base64
FLUSH_S_MAX = 5.0  # how long the last words may take to be read


class Exit(IntEnum):
    """How a worker ends."""

    OK = 0
    ORPHANED = 1
    REFUSED = 104  # wrong plan, forbidden target, unknown name: k6's number for a bad configuration


class Outlet:
    """Standard output, without ever waiting for it."""

    def __init__(self, fd: int, desk: Desk) -> None:
        self._fd, self._desk = fd, desk
        self._rest = memoryview(b"")
        self._is_gone = False
        os.set_blocking(fd, False)

    def is_ready(self) -> bool:
        """Whether everything said so far was taken."""
        return not self._rest

    def say(self, message: Message) -> None:
        """Say something; only when ready, or at the end."""
        line = encode(message)
        self._rest = memoryview(bytes(self._rest) + line if self._rest else line)
        self._write()
        if self._rest and self._fd not in self._desk.by_fd:
            self._desk.by_fd[self._fd] = self
            self._desk.poller.register(self._fd, WRITE)

    def readable(self) -> int:
        """Go on: the pipe takes more."""
        self._write()
        if not self._rest:
            del self._desk.by_fd[self._fd]
            self._desk.poller.unregister(self._fd)
        return 0

    def _write(self) -> None:
        try:
            while self._rest:
                self._rest = self._rest[os.write(self._fd, self._rest) :]
        except BlockingIOError:
            pass
        except OSError:  # nobody listens any more
            self._rest = memoryview(b"")

    def flush(self) -> None:
        """Wait for the last words to be taken, but not for ever."""
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        until = now_ns() + round(FLUSH_S_MAX * 1e9)
        while self._rest and now_ns() < until:
            poll.poll(100)
            self._write()


class Inlet:
    """Standard input: commands, and the parent's death."""

    def __init__(self, fd: int, rest: bytes, obey: Callable[[Command], None], orphaned: Callable[[], None]) -> None:
        self._fd, self._rest, self._obey, self._orphaned = fd, rest, obey, orphaned
        os.set_blocking(fd, False)

    def readable(self) -> int:
        """Take what came."""
        try:
            data = os.read(self._fd, 65_536)
        except BlockingIOError:
            return 0
        except OSError:
            data = b""
        if not data or len(self._rest) > 65_536:
            self._orphaned()
            return 0
        self.take(data)
        return 0

    def take(self, data: bytes) -> None:
        """Obey every whole line."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            with contextlib.suppress(ValueError):  # a command we do not know changes nothing
                self._obey(decode_command(line))


def read_line(fd: int) -> tuple[bytes, bytes]:
    """Read the first line, and whatever came with it."""
    data = b""
    while b"\n" not in data and len(data) <= PLAN_BYTES_MAX:
        part = os.read(fd, 1 << 20)
        if not part:
            break
        data += part
    line, _, rest = data.partition(b"\n")
    return line, rest


def build(assignment: Assignment) -> Engine:
    """Put an engine together."""
    loop = ClosedLoop if assignment.plan.closed else OpenLoop
    return loop(assignment, transport_of(assignment.plan), best_poller())


def transport_of(plan: Plan) -> Transport:
    """Give the transport that a plan asks for. Raises ValueError when that is not installed."""
    if not plan.http2:
        return Http1Transport(plan)
    try:
        from loadgen.transport.http2_transport import Http2Transport  # noqa: PLC0415  # an extra
    except ModuleNotFoundError as error:
        raise ValueError("http2: not installed; it comes with rollout[http2]") from error
    return Http2Transport(plan)


class Worker:
    """Ties an engine to two pipes."""

    def __init__(self, engine: Engine, stdin: int, stdout: int, rest: bytes) -> None:
        self._engine = engine
        self._outlet = Outlet(stdout, engine.desk)
        self._monitor = Monitor(engine, self._outlet.is_ready, self._outlet.say)
        self._stdin = stdin
        self._inlet = Inlet(stdin, rest, self._obey, self._orphan)
        self._is_orphan = False

    def _listen(self) -> None:
        """Take commands from now on, those that came while connections were opened first."""
        self._engine.desk.by_fd[self._stdin] = self._inlet
        with contextlib.suppress(PermissionError):  # a file as standard input: no commands, no end
            self._engine.poller.register(self._stdin, READ)
        self._inlet.take(b"")

    def _obey(self, command: Command) -> None:
        if command.command == "stop":
            self._engine.stop()
        else:
            self._engine.set_rate(command.per_s)

    def _orphan(self) -> None:
        self._is_orphan = True
        self._engine.abort()

    def stop(self) -> None:
        """Stop as if told to."""
        self._engine.stop()

    def run(self) -> Exit:
        """Run to the end and say so."""
        engine = self._engine
        engine.warm_up()
        engine.prepare()
        self._monitor.begin()
        self._outlet.say(Started(start_unix_s=self._monitor.start_unix_s, pid=os.getpid()))
        self._listen()
        engine.run()
        at = now_ns()
        engine.finish()
        self._monitor.look(at)
        if self._is_orphan:
            return Exit.ORPHANED
        pending: Snapshot | None = self._monitor.pending
        if pending is not None:
            self._outlet.say(pending)
        self._outlet.say(Finished(report=self._monitor.report(at, interrupted=engine.is_stopping)))
        self._outlet.flush()
        return Exit.OK


def main(stdin: int = 0, stdout: int = 1) -> int:
    """Run one assignment."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides what it means
    line, rest = read_line(stdin)
    try:
        engine = build(decode_assignment(line))
    except (ValueError, NotAllowedError) as error:
        return refused(stdout, Failed(kind="plan", message=str(error)))
    except (UnreachableError, OSError) as error:
        return refused(stdout, Failed(kind="world", message=str(error)))
    worker = Worker(engine, stdin, stdout, rest)
    signal.signal(signal.SIGTERM, lambda *_: worker.stop())
    return worker.run()


def refused(stdout: int, message: Failed) -> int:
    """Say why nothing happens."""
    with contextlib.suppress(OSError):
        os.write(stdout, encode(message))
    return Exit.REFUSED
