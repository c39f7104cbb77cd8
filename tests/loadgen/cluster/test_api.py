"""The door to the API server, against a small one on a real socket."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml
from aiohttp import web

from loadgen.cluster.api import RefusedError, running

pytest.importorskip("kubernetes_asyncio", reason="the extra kubernetes is not installed")
pytestmark = [pytest.mark.asyncio, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
JOB = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "load", "namespace": "here"}, "spec": {}}


class ApiServer:
    """Keeps Jobs; refuses with *status* when told to."""

    def __init__(self) -> None:
        self.jobs: dict[str, Any] = {}
        self.status = 0
        self.seen: list[tuple[str, str, str]] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.seen.append((request.method, request.path, request.headers.get("Authorization", "")))
        body = await request.json()
        if self.status:
            message = {"kind": "Status", "message": "jobs is forbidden: User cannot create"}
            return web.json_response(message if self.status == 403 else ["?"], status=self.status)
        if request.method == "POST":
            self.jobs[body["metadata"]["name"]] = body
            return web.json_response(body, status=201)
        assert body["propagationPolicy"] == "Background"
        return web.json_response(self.jobs.pop(request.path.rpartition("/")[2]))


@pytest_asyncio.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ApiServer]:
    server = ApiServer()
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", server.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "u", "user": {"token": "of-a-person"}}],
        "contexts": [{"name": "test", "context": {"cluster": "c", "user": "u"}}],
    }
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(config))
    monkeypatch.setenv("KUBECONFIG", str(file))
    monkeypatch.setattr("kubernetes_asyncio.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(file))
    try:
        yield server
    finally:
        await runner.cleanup()


async def test_the_job_is_there_while_it_runs_and_gone_afterwards(server: ApiServer) -> None:
    async with running(JOB):
        assert server.jobs == {"load": JOB}

    assert not server.jobs
    path = "/apis/batch/v1/namespaces/here/jobs"
    assert [(method, where) for method, where, _ in server.seen] == [("POST", path), ("DELETE", f"{path}/load")]
    assert {token for _, _, token in server.seen} == {"Bearer of-a-person"}


async def test_the_job_goes_when_the_run_fails(server: ApiServer) -> None:
    with pytest.raises(KeyError):
        async with running(JOB):
            raise KeyError

    assert not server.jobs


async def test_a_no_is_told_in_the_servers_words(server: ApiServer) -> None:
    server.status = 403
    with pytest.raises(RefusedError, match="403 jobs is forbidden"):
        async with running(JOB):
            pass
    server.status = 500
    with pytest.raises(RefusedError, match="500"):
        async with running(JOB):
            pass


async def test_a_cluster_that_cannot_be_reached_is_named(
    server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RefusedError, match="kubernetes"):
        async with running(JOB, context="another"):
            pass
    text = (tmp_path / "kubeconfig").read_text()
    (tmp_path / "kubeconfig").write_text(text.replace("http://127.0.0.1:", "http://127.0.0.1:1#"))
    with pytest.raises(OSError, match=r"kubernetes: POST"):
        async with running(JOB):
            pass
