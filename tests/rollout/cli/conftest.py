"""Runs verbs against a real server over fakes, the way a shell would: arguments in, streams and exit code out."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from rollout.cli.main import run
from tests.rollout.edges.api.desk import Desk, desk

Result = TypeVar("Result")


@dataclass
class Shell:
    """A person at a terminal, with a daemon somewhere."""

    capsys: pytest.CaptureFixture[str]
    loop: asyncio.AbstractEventLoop
    desk: Desk
    server: str

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        """Run one command; give exit code, stdout, stderr."""
        self.capsys.readouterr()
        code = run(["--server", self.server, "--actor", "alice", *arguments])
        out, err = self.capsys.readouterr()
        return code, out, err

    def do(self, work: Callable[[Desk], Any]) -> Any:
        """Let something happen at the daemon's side."""

        async def call() -> Any:
            result = work(self.desk)
            return await result if asyncio.iscoroutine(result) else result

        return asyncio.run_coroutine_threadsafe(call(), self.loop).result(10)


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """A shell with a running daemon."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    context = desk(tmp_path)
    opened = asyncio.run_coroutine_threadsafe(context.__aenter__(), loop).result(10)
    server = str(opened.client.make_url("/")).rstrip("/")
    try:
        yield Shell(capsys=capsys, loop=loop, desk=opened, server=server)
    finally:
        asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
