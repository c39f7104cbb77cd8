"""The daemon with a real Envoy, a real Prometheus and real load: killed, blinded, asked by webhook; and still right."""

import asyncio
import hashlib
import hmac
import json
import re
import shutil
import signal
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from rollout.core.phase import Cause, Phase
from rollout.demo.audience import Audience, open_audience
from rollout.demo.stage import CONFIG, Stage, open_stage
from rollout.edges.sqlite_store import SqliteStore
from rollout.mesh.world import MeshWorld
from rollout.ports import JournalEntry, Unavailable
from tests.e2e.towns import until, within_binomial
from tests.rollout.core.worlds import spec

SECRET = "it is a secret to everybody"
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="Prometheus is missing: apt-get install prometheus"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    root = tmp_path_factory.mktemp("daemon")
    hooks = shutil.copy(CONFIG / "hooks.yaml", root / "hooks.yaml")
    (root / "hooks.secret").write_text(SECRET)
    # Nothing here is about latency; and on a busy machine v3, which asks ratings, is slower.
    plan = root / "reviews.yaml"
    plan.write_text((CONFIG / "demo/reviews.yaml").read_text().replace("max: 400ms", "max: 900ms"))
    async with open_stage(root / "stage", plan=plan, tell=print, hooks=Path(hooks)) as stage:
        yield stage


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def users(stage: Stage) -> AsyncIterator[Audience]:
    """Users come all the while: without them the users' check cannot pass."""
    async with open_audience(stage.bookinfo.users_address, stage.bookinfo.page_url) as audience:
        yield audience


@pytest_asyncio.fixture(loop_scope="module")
async def api(stage: Stage, users: Audience) -> AsyncIterator["Api"]:
    await stage.bookinfo.reset()
    await stage.bookinfo.cast["reviews-v3"].play("healthy")
    async with aiohttp.ClientSession(stage.daemon_url) as session:
        api = Api(session)
        yield api
        if stage.running["daemon"].exit_code is not None:  # a test that kills it has failed
            await stage.start_daemon()
        await api.end_everything()


class Api:
    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session

    async def get(self, path: str) -> dict[str, Any]:
        async with self.session.get(f"/api/v1{path}") as answer:
            found: dict[str, Any] = await answer.json()
            assert answer.status == 200, found
            return found

    async def start(self, **body: Any) -> dict[str, Any]:
        wish = {"service": "reviews", "namespace": "bookinfo", "to": "v3", "actor": "test", **body}
        async with self.session.post("/api/v1/rollouts", json=wish) as answer:
            found: dict[str, Any] = await answer.json()
            assert answer.status == 201, found
            return found

    async def order(self, rollout: str, verb: str) -> int:
        async with self.session.post(f"/api/v1/rollouts/{rollout}:{verb}", json={"actor": "test"}) as answer:
            return answer.status

    async def until(self, rollout: str, timeout_s: float = 60.0, **wanted: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    found = await self.get(f"/rollouts/{rollout}")
                    if all(found[key] == value for key, value in wanted.items()):
                        return found
                    assert found["result"] is None, f"{found['result']}: {found['detail']}"
                    await asyncio.sleep(0.05)
        except TimeoutError:
            seen = {key: found[key] for key in ("phase", "step", "weight", "waitingFor", "trouble", "checks")}
            pytest.fail(f"not {wanted} within {timeout_s:g} s: {seen}")

    async def end_everything(self) -> None:
        for rollout in (await self.get("/rollouts"))["items"]:
            if rollout["result"] is None:
                await self.order(rollout["id"], "abort")
                await self.until(rollout["id"], result="aborted")


async def kill(stage: Stage) -> None:
    stage.running["daemon"].signal(signal.SIGKILL)
    assert await stage.running["daemon"].wait() == -signal.SIGKILL


async def holds(stage: Stage, weight: int) -> bool:
    """Whether every proxy holds this weight."""
    async with MeshWorld.open(stage.root / "mesh", lambda: 0.0) as world:
        try:
            seen = await world.observe(spec())
        except Unavailable:
            return False
        return set(seen.canary_percent.values()) == {float(weight)}


async def test_killed_in_a_step_it_goes_on_from_the_journal(stage: Stage, api: Api) -> None:
    rollout = await api.start(steps=[20, 100], hold="3s")
    await until(partial(holds, stage, 20))
    await kill(stage)
    assert stage.bookinfo.weights() == {"v1": 80, "v3": 20}  # a dead daemon leaves traffic where it is
    await stage.start_daemon()

    done = await api.until(rollout["id"], result="promoted")

    assert stage.bookinfo.weights() == {"v1": 0, "v3": 100}
    numbers = [event["number"] for event in (await api.get(f"/rollouts/{rollout['id']}/events"))["items"]]
    assert numbers == sorted(set(numbers))
    assert done["step"] == 2
    documents = stage.bookinfo.mesh.directory.documents()
    assert "rollout-" not in json.dumps(documents)  # nothing of ours stays behind


async def test_killed_in_a_rollback_it_finishes_it(stage: Stage, api: Api) -> None:
    """The journal is set to the instant after the decision and before the write: the worst one to be killed at."""
    rollout = await api.start(steps=[30, 100], hold="20s")
    await until(partial(holds, stage, 30))
    await kill(stage)
    await decide_to_roll_back(stage.root / "rollout.sqlite", rollout["id"])
    assert stage.bookinfo.weights() == {"v1": 70, "v3": 30}
    await stage.start_daemon()

    await api.until(rollout["id"], phase="RolledBack")

    assert stage.bookinfo.weights() == {"v1": 100}


async def decide_to_roll_back(file: Path, rollout: str) -> None:
    """Do to the journal what the daemon does first."""
    store = await SqliteStore.open(file)
    try:
        last = (await store.journal(rollout))[-1]
        state = last.state.after(Cause.BREAKER_TRIPPED, now=last.at, detail="killed here")
        assert state.phase is Phase.ROLLING_BACK
        entry = JournalEntry(
            number=last.number + 1, at=last.at, state=state, judged=last.state, judgement=last.judgement
        )
        await store.append(rollout, entry)
    finally:
        await store.close()


async def test_without_prometheus_it_holds_says_so_and_goes_on(stage: Stage, api: Api) -> None:
    rollout = await api.start(steps=[20, 100], hold="3s")
    await api.until(rollout["id"], step=1, weight=20)
    await stage.running["prometheus"].stop()

    held = await api.until(rollout["id"], isBlind=True)
    await asyncio.sleep(4)  # longer than the hold
    still = await api.get(f"/rollouts/{rollout['id']}")

    assert still["step"] == held["step"] == 1
    assert "no fresh evidence from prometheus" in still["waitingFor"]
    assert any("127.0.0.1" in trouble for trouble in still["trouble"].values()), still["trouble"]
    assert 'rollout_evidence_blind{namespace="bookinfo",service="reviews"} 1.0' in await metrics(api)
    await stage.start_prometheus()
    await api.until(rollout["id"], result="promoted", timeout_s=90)
    assert 'rollout_evidence_blind{namespace="bookinfo",service="reviews"} 0.0' in await metrics(api)


async def metrics(api: Api) -> str:
    async with api.session.get("/metrics") as answer:
        return await answer.text()


async def test_the_share_that_clients_see_is_the_weight_that_is_set(stage: Stage, api: Api, users: Audience) -> None:
    before = users.count
    rollout = await api.start(steps=[25, 75, 100], hold="6s")
    for weight in (25, 75):
        await api.until(rollout["id"], weight=weight)
        await until(partial(holds, stage, weight))
        seen = await shares(users, 5.0)
        assert within_binomial(seen["v3"], sum(seen.values()), weight / 100), f"{weight} %: {seen}"
    await api.until(rollout["id"], result="promoted")
    assert (await users.settled()).since(before).failed == 0


async def shares(audience: Audience, seconds: float) -> dict[str, int]:
    before = await audience.settled()
    await asyncio.sleep(seconds)
    found = (await audience.settled()).since(before).by_version
    return {version: found.get(version, 0) for version in ("v1", "v3")}


def signed(body: bytes, secret: str = SECRET) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


async def test_a_signed_webhook_starts_a_release_once(stage: Stage, api: Api) -> None:
    payload = {
        "action": "published",
        "repository": {"name": "reviews"},
        "release": {"tag_name": "v3"},
        "sender": {"login": "ana"},
    }
    body = json.dumps(payload).encode()
    headers = {"X-GitHub-Event": "release", "X-GitHub-Delivery": "d-1", "Content-Type": "application/json"}

    async def deliver(data: bytes, **more: str) -> tuple[int, dict[str, Any]]:
        named = {key.replace("_", "-"): value for key, value in more.items()}
        async with api.session.post("/hooks/github", data=data, headers=headers | named) as answer:
            return answer.status, await answer.json()

    forged, _ = await deliver(body, X_Hub_Signature_256=signed(body, "guessed"))
    unsigned, _ = await deliver(body)
    oversized, _ = await deliver(b" " * 300_000, X_Hub_Signature_256=signed(b" " * 300_000))
    assert (forged, unsigned, oversized) == (401, 401, 413)
    before = len((await api.get("/rollouts"))["items"])
    status, started = await deliver(body, X_Hub_Signature_256=signed(body))
    assert (status, started["result"]) == (202, "started")
    replayed, again = await deliver(body, X_Hub_Signature_256=signed(body))
    assert (replayed, again["result"]) == (200, "duplicate")
    items = (await api.get("/rollouts"))["items"]
    assert len(items) == before + 1
    assert (items[0]["to"], items[0]["actor"], items[0]["via"]) == ("v3", "github:ana", "github")


async def test_every_panel_of_the_dashboard_shows_data(stage: Stage, api: Api) -> None:
    queries = dashboard_queries()
    rollout = await api.start()
    await api.until(rollout["id"], weight=25)
    await asyncio.sleep(3)
    empty = [query for query in queries if not await answered(stage, query)]
    await api.until(rollout["id"], result="promoted")
    await asyncio.sleep(3)
    assert len(queries) >= 8
    late = [query for query in empty if not await answered(stage, query)]  # counted only when a release ends
    assert not late


def dashboard_queries() -> list[str]:
    document = json.loads((CONFIG.parent / "deploy/grafana/rollout.json").read_text())
    queries = [target["expr"] for panel in document["panels"] for target in panel.get("targets", ())]
    variables = {"namespace": "bookinfo", "service": "reviews", "__rate_interval": "10s", "datasource": "prometheus"}
    return [re.sub(r"\$\{?(\w+)\}?", lambda match: variables[match[1]], query) for query in queries]


async def answered(stage: Stage, query: str) -> bool:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{stage.prometheus_url}/api/v1/query", params={"query": query}) as answer,
    ):
        document = await answer.json()
        assert document["status"] == "success", f"{query}: {document}"
        return bool(document["data"]["result"])
