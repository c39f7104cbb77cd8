"""The API as clients meet it: every route, every refusal, and the document that describes them."""

import json
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import validate

from rollout.core.observation import ProxiesView
from rollout.core.phase import Cause, Phase
from rollout.edges.api.endpoints import Role
from rollout.edges.api.hooks import BODY_BYTES_MAX
from rollout.ports import Unavailable
from tests.fakes import failing
from tests.rollout.core.documents import plan_document
from tests.rollout.core.worlds import seen, state_of
from tests.rollout.edges.api.desk import desk, token

START = {"service": "reviews", "to": "v3", "actor": "alice", "reason": "because"}


@pytest.mark.asyncio
async def test_a_start_answers_with_the_rollout_and_where_it_is(tmp_path: Path) -> None:
    async with desk(tmp_path) as d:
        answer = await d.client.post("/api/v1/rollouts", json=START, headers={"X-Rollout-Client": "cli"})
        body = await answer.json()

    assert answer.status == 201
    assert (body["service"], body["from"], body["to"]) == ("reviews", "v1", "v3")
    assert (body["phase"], body["step"], body["weight"]) == ("Pending", 0, 0)
    assert (body["actor"], body["reason"], body["via"]) == ("alice", "because", "cli")
    assert [step["name"] for step in body["steps"]][:3] == ["probe", "cohort end-user: jason", "weight 5%"]
    assert len(d.launched) == 1


@pytest.mark.asyncio
async def test_a_dry_run_starts_nothing(tmp_path: Path) -> None:
    async with desk(tmp_path) as d:
        answer = await d.client.post("/api/v1/rollouts", json=START | {"dryRun": True})
        assert answer.status == 200
        assert (await answer.json())["id"] == "dry-run"
        assert not d.launched

        d.fake.mesh.ready["v3"] = 0
        refused = await d.client.post("/api/v1/rollouts", json=START | {"dryRun": True})
        assert refused.status == 409
        assert "no ready endpoint" in (await refused.json())["detail"]


@pytest.mark.asyncio
async def test_the_same_key_starts_one_rollout(tmp_path: Path) -> None:
    async with desk(tmp_path) as d:
        ids = set()
        for _ in range(2):
            answer = await d.client.post("/api/v1/rollouts", json=START, headers={"Idempotency-Key": "k"})
            ids.add((await answer.json())["id"])

    assert len(ids) == 1


BROKEN_STARTS: list[tuple[Any, int, str, str]] = [
    ("{", 422, "invalid-plan", "the document"),
    ("[]", 422, "invalid-plan", "the document"),
    ("null", 422, "invalid-plan", "the document"),
    ("[" * 100_000, 422, "invalid-plan", "the document"),
    (json.dumps({"service": "reviews"}), 422, "invalid-plan", "to"),
    (json.dumps(START | {"stepps": [5]}), 422, "invalid-plan", "stepps"),
    (json.dumps(START | {"steps": [50, 5]}), 422, "invalid-plan", "spec.steps[1].weight"),
    (json.dumps(START | {"hold": "5"}), 422, "invalid-plan", "spec.steps[0].probe.hold"),
    (json.dumps(START | {"plan": {"kind": "x"}}), 422, "invalid-plan", "apiVersion"),
]


@pytest.mark.asyncio
@pytest.mark.parametrize(("body", "status", "code", "path"), BROKEN_STARTS, ids=lambda value: str(value)[:40])
async def test_a_broken_start_names_the_key(tmp_path: Path, body: str, status: int, code: str, path: str) -> None:
    async with desk(tmp_path) as d:
        answer = await d.client.post("/api/v1/rollouts", data=body, headers={"Content-Type": "application/json"})
        problem = await answer.json(content_type="application/problem+json")

    assert (answer.status, problem["code"]) == (status, code)
    assert path in [found["path"] for found in problem["problems"]]
    assert not d.launched


@pytest.mark.asyncio
async def test_only_plain_json_of_a_bearable_size_is_read(tmp_path: Path) -> None:
    async with desk(tmp_path) as d:
        form = await d.client.post("/api/v1/rollouts", data={"service": "reviews"})
        zipped = await d.client.post(
            "/api/v1/rollouts", data=b"{}", headers={"Content-Type": "application/json", "Content-Encoding": "br"}
        )
        large = await d.client.post(
            "/api/v1/rollouts", data=b" " * (BODY_BYTES_MAX + 1), headers={"Content-Type": "application/json"}
        )

    assert [form.status, large.status] == [415, 413]
    assert zipped.status in (400, 415)  # aiohttp refuses an encoding it cannot read before we do


@pytest.mark.asyncio
async def test_a_conflict_a_missing_service_and_a_silent_world_have_their_own_status(tmp_path: Path) -> None:
    async with desk(tmp_path) as d:
        await d.client.post("/api/v1/rollouts", json=START)
        conflict = await d.client.post("/api/v1/rollouts", json=START)
        missing = await d.client.get("/api/v1/rollouts/ratings")
        d.fake.mesh.faults["read"] = failing(Unavailable("the API server is down"))
        silent = await d.client.post("/api/v1/rollouts", json=START)
        problems = [await answer.json(content_type=None) for answer in (conflict, missing, silent)]

    assert [conflict.status, missing.status, silent.status] == [409, 404, 503]
    assert [problem["code"] for problem in problems] == ["conflict", "not-found", "unavailable"]
    assert problems[2]["detail"] == "the API server is down"


@pytest.mark.asyncio
async def test_one_rollout_is_shown_with_its_steps_checks_and_what_it_waits_for(tmp_path: Path) -> None:
    async with desk(tmp_path) as d:
        rollout = await d.started()
        d.put(rollout, state_of(rollout.spec, step=0, cause=Cause.PREFLIGHT_PASSED))
        observation = seen(5, proxies=ProxiesView(canary_percent={}, served={"v1": 95, "v3": 5}), trouble={"x": "y"})
        at_five = state_of(rollout.spec, step=2, served={"v1": 0, "v3": 0}, cause=Cause.STEP_PASSED, detail="ok")
        d.put(rollout, at_five, observation)

        body = await (await d.client.get("/api/v1/rollouts/reviews")).json()

    assert (body["id"], body["phase"], body["step"], body["weight"]) == (rollout.id, "Progressing", 3, 5)
    assert body["observedWeight"] == 5
    assert [step["state"] for step in body["steps"]][:4] == ["passed", "skipped", "current", "waiting"]
    assert body["steps"][0]["why"] == "step passed: ok"
    assert body["checks"][0]["check"] == "errors"
    assert body["load"] == {"running": True, "trust": "ok", "why": "", "breakerClosed": True}
    assert body["trouble"] == {"x": "y"}
    assert body["waitingFor"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("changes", "result", "steps"),
    [
        ({"phase": Phase.SUCCEEDED, "step": 7}, "promoted", "skipped"),
        ({"phase": Phase.ROLLED_BACK, "decided": Cause.CHECK_FAILED}, "rolled_back", "skipped"),
        ({"phase": Phase.ROLLED_BACK, "decided": Cause.ABORT_REQUESTED}, "aborted", "skipped"),
    ],
)
async def test_an_ended_rollout_says_how_it_ended(
    tmp_path: Path, changes: dict[str, Any], result: str, steps: str
) -> None:
    async with desk(tmp_path) as d:
        rollout = await d.started()
        d.put(rollout, state_of(rollout.spec, cause=Cause.PREFLIGHT_PASSED))
        d.put(rollout, state_of(rollout.spec, **changes))
        d.board.forget(rollout.id)

        body = await (await d.client.get(f"/api/v1/rollouts/{rollout.id}")).json()

    assert body["result"] == result
    assert body["finishedAt"] is not None
    assert body["checks"] == []


@pytest.mark.asyncio
async def test_the_list_is_filtered_and_limited(tmp_path: Path) -> None:
    async with desk(tmp_path) as d:
        await d.started()
        everything = await (await d.client.get("/api/v1/rollouts")).json()
        other = await (await d.client.get("/api/v1/rollouts?service=ratings")).json()
        wrong = await d.client.get("/api/v1/rollouts?limit=abc")

    assert [item["service"] for item in everything["items"]] == ["reviews"]
    assert other["items"] == []
    assert wrong.status == 400


@pytest.mark.asyncio
@pytest.mark.parametrize("verb", ["approve", "pause", "promote", "abort"])
async def test_a_verb_records_the_wish(tmp_path: Path, verb: str) -> None:
    async with desk(tmp_path) as d:
        rollout = await d.started(step=4)

        answer = await d.client.post(f"/api/v1/rollouts/reviews:{verb}", json={"actor": "bob", "reason": "why"})

        assert answer.status == 200
        (order,) = d.fake.store.wishes[rollout.id]
        assert (order.kind, order.actor, order.reason) == (verb, "bob", "why")


@pytest.mark.asyncio
async def test_a_verb_that_makes_no_sense_now_is_a_409(tmp_path: Path) -> None:
    async with desk(tmp_path) as d:
        await d.started(step=2)
        answer = await d.client.post("/api/v1/rollouts/reviews:approve", json={})

        assert answer.status == 409
        assert "waits at no gate" in (await answer.json(content_type=None))["detail"]


@pytest.mark.asyncio
async def test_promote_full_retry_and_undo_have_their_own_meaning(tmp_path: Path) -> None:
    async with desk(tmp_path) as d:
        rollout = await d.started(step=2)
        await d.client.post("/api/v1/rollouts/reviews:promote", json={"full": True})
        assert d.fake.store.wishes[rollout.id][0].kind == "promote-full"

        d.put(rollout, state_of(rollout.spec, phase=Phase.ROLLED_BACK))
        again = await (await d.client.post("/api/v1/rollouts/reviews:retry", json={})).json()
        assert again["id"] != rollout.id
        undo = await d.client.post("/api/v1/rollouts/reviews:undo", json={"to": "v1"})
        assert undo.status == 404  # nothing was ever promoted


@pytest.mark.asyncio
async def test_events_are_the_journal_and_explanations_judge_it_again(tmp_path: Path) -> None:
    async with desk(tmp_path) as d:
        rollout = await d.started()
        d.put(rollout, state_of(rollout.spec, cause=Cause.PREFLIGHT_PASSED))

        events = await (await d.client.get(f"/api/v1/rollouts/{rollout.id}/events")).json()
        later = await (await d.client.get(f"/api/v1/rollouts/{rollout.id}/events?after=0")).json()
        explanations = await (await d.client.get(f"/api/v1/rollouts/{rollout.id}/explanations")).json()

    assert [event["cause"] for event in events["items"]] == ["asked for", "preflight passed"]
    assert len(later["items"]) == 1
    (explained,) = explanations["items"]
    assert explained["agrees"]
    assert explained["text"][0].startswith("errors (load): inconclusive, 0 of 50 requests so far")


@pytest.mark.asyncio
async def test_a_stream_of_events_ends_with_the_rollout(tmp_path: Path) -> None:
    async with desk(tmp_path) as d:
        rollout = await d.started()
        d.put(rollout, state_of(rollout.spec, cause=Cause.PREFLIGHT_PASSED))
        d.put(rollout, state_of(rollout.spec, phase=Phase.SUCCEEDED, step=7))

        answer = await d.client.get(
            f"/api/v1/rollouts/{rollout.id}/events", headers={"Accept": "text/event-stream", "Last-Event-ID": "0"}
        )
        text = await answer.text()

    assert answer.headers["Content-Type"] == "text/event-stream"
    assert [line for line in text.splitlines() if line.startswith("id:")] == ["id: 1", "id: 2"]


@pytest.mark.asyncio
async def test_plans_are_listed_as_their_authors_wrote_them(tmp_path: Path) -> None:
    async with desk(tmp_path) as d:
        (plan,) = (await (await d.client.get("/api/v1/plans")).json())["items"]

    assert plan["metadata"] == plan_document()["metadata"]
    assert plan["spec"]["load"]["split"] == "50/50"


@pytest.mark.asyncio
async def test_health_and_metrics_answer_without_a_token(tmp_path: Path) -> None:
    async with desk(tmp_path, tokens=(token(Role.VIEW, "s"),)) as d:
        rollout = await d.started()
        d.put(rollout, state_of(rollout.spec, step=3, cause=Cause.PREFLIGHT_PASSED))
        alive = await d.client.get("/livez")
        ready = await d.client.get("/readyz")
        metrics = await (await d.client.get("/metrics")).text()
        d.fake.store.faults["unfinished"] = failing(Unavailable("disk gone"))
        broken = await d.client.get("/readyz")

    assert [alive.status, ready.status, broken.status] == [200, 200, 503]
    assert 'rollout_weight_ratio{namespace="bookinfo",service="reviews",version="v3"} 0.25' in metrics
    assert 'rollout_release_phase{namespace="bookinfo",phase="Progressing",service="reviews"} 1.0' in metrics


@pytest.mark.asyncio
async def test_a_stuck_loop_is_not_alive(tmp_path: Path) -> None:
    from dataclasses import replace

    async with desk(tmp_path) as d:
        request = None
        answer = await replace(d.server, is_alive=lambda: "r-1 is stuck").livez(request)  # type: ignore[arg-type]

    assert answer.status == 503


@pytest.mark.asyncio
async def test_another_name_for_this_host_is_refused(tmp_path: Path) -> None:
    async with desk(tmp_path) as d:
        evil = await d.client.get("/api/v1/rollouts", headers={"Host": "evil.example"})
        unknown = await d.client.get("/api/v1/nothing")

    assert evil.status == 421
    assert unknown.status == 404


@pytest.mark.asyncio
async def test_every_route_asks_for_the_right_token(tmp_path: Path) -> None:
    """The whole table times who may come: a route that forgets its guard turns this red."""
    tokens = (token(Role.VIEW, "viewer"), token(Role.OPERATE, "operator"))
    allowed = {
        Role.PUBLIC: 5 * [True],
        Role.VIEW: [False, False, False, True, True],
        Role.OPERATE: [False] * 4 + [True],
    }
    callers = [None, "Bearer nothing", "Basic viewer", "Bearer viewer", "Bearer operator"]
    async with desk(tmp_path, tokens=tokens) as d:
        for endpoint in d.server.endpoints():
            path = endpoint.path.partition("{verb")[0].replace("{id}", "reviews")
            path += "abort" if "{verb" in endpoint.path else ""
            for caller, may in zip(callers, allowed[endpoint.role], strict=True):
                headers = {"Authorization": caller} if caller else {}
                answer = await d.client.request(endpoint.method, path, headers=headers, json={})
                code = (
                    ""
                    if answer.content_type != "application/problem+json"
                    else (await answer.json(content_type=None))["code"]
                )
                refused = code in ("not-authenticated", "not-allowed")
                assert refused is not may, (endpoint.path, caller, code)


@pytest.mark.asyncio
async def test_the_openapi_document_is_valid_and_complete(tmp_path: Path) -> None:
    async with desk(tmp_path) as d:
        document = await (await d.client.get("/openapi.json")).json()
        served = {
            (e.method.lower(), e.path.partition(":approve")[0].replace("{verb", "{verb}")) for e in d.server.endpoints()
        }

    validate(document)
    described = {(method, path) for path, item in document["paths"].items() for method in item}
    assert len(described) == len(served)
    assert ("post", "/api/v1/rollouts/{id}:{verb}") in described
    assert document["openapi"].startswith("3.1")
