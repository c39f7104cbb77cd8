"""Webhooks: signed ones start a release once, all others do nothing."""

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest

from rollout.edges.api.hooks import BODY_BYTES_MAX, read_hooks
from rollout.ports import Unavailable
from rollout.yaml_documents import YamlError
from tests.fakes import failing
from tests.rollout.edges.api.desk import SECRET, Desk, desk

RELEASE = {
    "action": "published",
    "release": {"tag_name": "release-v3"},
    "repository": {"name": "reviews"},
    "sender": {"login": "octocat"},
}


def signature(body: bytes, secret: str = SECRET) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


async def deliver(d: Desk, body: bytes, *, delivery: str = "d-1", **headers: str) -> tuple[int, dict[str, Any]]:
    whole = {
        "X-Hub-Signature-256": signature(body),
        "X-GitHub-Delivery": delivery,
        "X-GitHub-Event": "release",
        "Content-Type": "application/json",
    }
    whole |= {name.replace("_", "-"): value for name, value in headers.items()}
    answer = await d.client.post("/hooks/github", data=body, headers=whole)
    return answer.status, await answer.json(content_type=None)


def payload(**changes: Any) -> bytes:
    return json.dumps(RELEASE | changes).encode()


def test_the_signature_is_githubs_own_example() -> None:
    expected = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"

    assert signature(b"Hello, World!") == expected


@pytest.mark.asyncio
async def test_a_signed_release_starts_a_rollout(tmp_path: Path) -> None:
    async with desk(tmp_path) as d:
        status, answer = await deliver(d, payload())

        (rollout,) = d.launched
    assert (status, answer) == (202, {"result": "started", "rollout": rollout.id})
    assert (rollout.spec.service, rollout.spec.canary) == ("reviews", "v3")
    assert (rollout.actor, rollout.via) == ("github:octocat", "github")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "forged",
    ["", "sha256=", "sha256=" + "0" * 64, "sha1=" + "0" * 40, signature(b"other"), "sha256=zz", "sha256=é", "nonsense"],
)
async def test_a_forged_signature_does_nothing(tmp_path: Path, forged: str) -> None:
    async with desk(tmp_path) as d:
        status, answer = await deliver(d, payload(), X_Hub_Signature_256=forged)

    assert (status, answer["code"]) == (401, "bad-signature")
    assert not d.launched


@pytest.mark.asyncio
async def test_a_replay_is_answered_politely_and_does_nothing(tmp_path: Path) -> None:
    async with desk(tmp_path) as d:
        await deliver(d, payload())
        status, answer = await deliver(d, payload())

    assert (status, answer["result"]) == (200, "duplicate")
    assert len(d.launched) == 1


@pytest.mark.asyncio
async def test_one_byte_too_much_is_not_even_verified(tmp_path: Path) -> None:
    body = json.dumps(RELEASE | {"padding": ""}).encode()
    body = body[:-2] + b"x" * (BODY_BYTES_MAX + 1 - len(body)) + body[-2:]

    async def chunks() -> Any:
        for start in range(0, len(body), 65536):
            yield body[start : start + 65536]

    async with desk(tmp_path) as d:
        declared, _ = await deliver(d, body)
        streamed = await d.client.post(
            "/hooks/github", data=chunks(), headers={"X-Hub-Signature-256": signature(body), "X-GitHub-Delivery": "d"}
        )
        fits, _ = await deliver(d, body[:-3] + body[-2:], delivery="d-2")

    assert (declared, streamed.status, fits) == (413, 413, 202)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"[]", 422, "not-an-object"),
        (b"null", 422, "not-an-object"),
        (b"{", 400, "not-json"),
        (b"[" * 9999, 400, "not-json"),
    ],
)
async def test_a_signed_body_of_odd_shape_is_refused(tmp_path: Path, body: bytes, status: int, code: str) -> None:
    async with desk(tmp_path) as d:
        answered, answer = await deliver(d, body)

    assert (answered, answer["code"]) == (status, code)


@pytest.mark.asyncio
async def test_a_delivery_needs_its_id(tmp_path: Path) -> None:
    async with desk(tmp_path) as d:
        status, answer = await deliver(d, payload(), delivery="")

    assert (status, answer["code"]) == (400, "no-delivery")


@pytest.mark.asyncio
async def test_events_without_a_rule_are_ignored(tmp_path: Path) -> None:
    async with desk(tmp_path) as d:
        other = await deliver(d, payload(), X_GitHub_Event="push")
        draft = await deliver(d, payload(action="created"))

    assert [other[1]["result"], draft[1]["result"]] == ["ignored", "ignored"]
    assert not d.launched


@pytest.mark.asyncio
async def test_a_version_that_does_not_look_like_one_is_refused(tmp_path: Path) -> None:
    async with desk(tmp_path) as d:
        odd = await deliver(d, payload(release={"tag_name": "nightly; rm -rf"}))
        none = await deliver(d, payload(release=5), delivery="d-2")

    assert [odd[0], none[0]] == [422, 422]


@pytest.mark.asyncio
async def test_what_cannot_start_now_says_why_and_is_not_asked_again(tmp_path: Path) -> None:
    async with desk(tmp_path) as d:
        await deliver(d, payload())
        status, answer = await deliver(d, payload(), delivery="d-2")

    assert (status, answer["result"]) == (200, "refused")
    assert "unfinished rollout" in answer["detail"]


@pytest.mark.asyncio
async def test_a_world_that_was_away_may_be_asked_again_with_the_same_delivery(tmp_path: Path) -> None:
    async with desk(tmp_path) as d:
        d.fake.mesh.faults["read"] = failing(Unavailable("503"))
        first = await deliver(d, payload())
        second = await deliver(d, payload())

    assert [first[0], second[0]] == [503, 202]


@pytest.mark.asyncio
async def test_the_secret_may_rotate_and_without_one_nothing_is_believed(tmp_path: Path) -> None:
    async with desk(tmp_path) as d:
        (tmp_path / "secret").write_text("new one")
        old = await deliver(d, payload())
        (tmp_path / "secret").write_text("")
        empty = await deliver(d, payload(), X_Hub_Signature_256=signature(payload(), ""))
        (tmp_path / "secret").unlink()
        gone = await deliver(d, payload())

    assert [old[0], empty[0], gone[0]] == [401, 401, 503]


@pytest.mark.asyncio
async def test_without_hooks_there_is_no_endpoint(tmp_path: Path) -> None:
    async with desk(tmp_path, hooks=False) as d:
        answer = await d.client.post("/hooks/github", data=b"{}")

    assert answer.status == 404


@pytest.mark.asyncio
async def test_deliveries_are_counted_by_what_became_of_them(tmp_path: Path) -> None:
    async with desk(tmp_path) as d:
        await deliver(d, payload())
        await deliver(d, payload(), X_Hub_Signature_256="x")
        metrics = await (await d.client.get("/metrics")).text()

    assert 'rollout_webhook_deliveries_total{result="started",source="github"} 1.0' in metrics
    assert 'rollout_webhook_deliveries_total{result="bad-signature",source="github"} 1.0' in metrics


def test_a_broken_hooks_file_says_what_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "hooks.yaml"
    file.write_text("secretFile: x\ngithub:\n- {event: release, servce: y, version: z}\n")
    with pytest.raises(ValueError, match=r"github\[0\].servce: unknown key; did you mean 'service'"):
        read_hooks(file)
    file.write_text("a: b: c")
    with pytest.raises(YamlError):
        read_hooks(file)
