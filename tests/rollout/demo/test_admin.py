"""The admin port: scenarios change at run time, and only from this machine."""

import json
from typing import Any

import pytest

from rollout.demo.admin import BODY_BYTES_MAX, is_loopback
from rollout.demo.scenarios import SCENARIOS
from tests.rollout.demo.stage import Stage, bookinfo


async def put(stage: Stage, body: str, **headers: str) -> tuple[int, dict[str, Any]]:
    async with stage.session.put(stage.admin_url, data=body, headers=headers) as response:
        return response.status, json.loads(await response.text())


@pytest.mark.asyncio
async def test_it_lists_what_is_played_and_what_could_be() -> None:
    async with bookinfo("--all") as stage, stage.session.get(stage.admin_url) as response:
        shown = await response.json()
    assert set(shown["workloads"].values()) == {"healthy"}
    assert len(shown["workloads"]) == 6
    assert shown["scenarios"] == {name: scenario.says for name, scenario in SCENARIOS.items()}


@pytest.mark.asyncio
async def test_a_scenario_is_played_from_the_next_request_on() -> None:
    async with bookinfo("--service", "details") as stage:
        assert (await stage.get("details-v1", "/details/0"))[0] == 200
        status, shown = await put(stage, '{"name": "errors-100"}')
        assert status == 200
        assert shown["workloads"] == {"details-v1": "errors-100"}
        assert (await stage.get("details-v1", "/details/0"))[0] == 500
        await put(stage, '{"name": "healthy"}')
        assert (await stage.get("details-v1", "/details/0"))[0] == 200


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("{", "Expecting"),
        ("[]", "expected a JSON object"),
        ('{"name": "sad"}', "no scenario is named 'sad'"),
        ('{"name": "hang", "workload": "reviews-v9"}', "no workload is named 'reviews-v9'"),
        ('{"name": "crash"}', "a crash would end all workloads"),
    ],
)
async def test_a_wrong_wish_is_a_400_with_the_reason_and_changes_nothing(body: str, says: str) -> None:
    async with bookinfo("--all") as stage:
        status, shown = await put(stage, body)
        assert status == 400
        assert says in shown["error"]
        assert set(stage.cast.played().values()) == {"healthy"}


@pytest.mark.asyncio
async def test_a_body_without_end_is_refused() -> None:
    async with (
        bookinfo("--service", "details") as stage,
        stage.session.put(stage.admin_url, data=b" " * (BODY_BYTES_MAX + 1)) as response,
    ):
        assert response.status == 413


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "10.0.0.1", "0.0.0.0", ""]
)
async def test_a_page_that_got_here_under_another_name_is_refused(host: str) -> None:
    async with bookinfo("--service", "details") as stage:
        status, _ = await put(stage, '{"name": "hang"}', Host=host)
        assert status == 403
        assert stage.cast.played() == {"details-v1": "healthy"}
        async with stage.session.get(stage.admin_url, headers={"Host": host}) as response:
            assert response.status == 403


@pytest.mark.asyncio
async def test_a_page_of_another_origin_gets_no_permission_to_change_anything() -> None:
    preflight = {"Origin": "http://evil.example", "Access-Control-Request-Method": "PUT"}
    async with (
        bookinfo("--service", "details") as stage,
        stage.session.options(stage.admin_url, headers=preflight) as response,
    ):
        assert response.status == 405
        assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.asyncio
async def test_the_port_that_a_proxy_routes_to_knows_no_scenarios() -> None:
    async with bookinfo("--service", "details") as stage:
        assert (await stage.get("details-v1", "/__scenario"))[0] == 404


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "::1"])
def test_loopback_is_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", [None, "", "localhost.evil.example", "10.0.0.1", "::", "example.org"])
def test_anything_else_is_not(host: str | None) -> None:
    assert not is_loopback(host)
