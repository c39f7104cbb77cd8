"""What the watcher sees of one release: when v3 first failed, and when no user was sent to it any more."""

import asyncio
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from rollout.demo.watcher import LOOK_EVERY_S, Watch, _percent, open_watcher
from rollout.mesh.admin import Answered
from tests.rollout.mesh.envoys import FakeEnvoy, requests_total


def answered(count: int, code: str = "200") -> Answered:
    return Answered(labels={"response_code": code}, count=count)


def test_requests_and_failures_from_before_the_release_do_not_count() -> None:
    watch = Watch()

    watch.look([answered(10), answered(3, "500")], 0.0, now=1.0)
    watch.look([answered(10), answered(3, "500")], 0.0, now=2.0)

    assert (watch.first_request_at, watch.first_failure_at) == (None, None)


def test_the_first_request_and_the_first_failure_are_remembered() -> None:
    watch = Watch()
    for now, good, bad in ((1.0, 0, 0), (2.0, 1, 0), (3.0, 5, 1), (4.0, 9, 7)):
        watch.look([answered(good), answered(bad, "503")], 0.0, now=now)

    assert (watch.first_request_at, watch.first_failure_at) == (2.0, 3.0)


@pytest.mark.parametrize(
    ("code", "fails"), [("500", True), ("504", True), ("0", True), ("200", False), ("404", False), ("499", False)]
)
def test_a_5xx_or_no_answer_at_all_is_a_failure(code: str, fails: bool) -> None:
    watch = Watch()
    watch.look([], 0.0, now=1.0)
    watch.look([answered(1, code)], 0.0, now=2.0)

    assert (watch.first_failure_at is not None) is fails


def test_zero_is_when_the_weight_came_back_to_nothing_for_good() -> None:
    watch = Watch()
    seen = []
    for now, percent in enumerate((0.0, 5.0, 25.0, 0.0, 0.0, 10.0, 0.0, 0.0)):
        watch.look([], percent, now=float(now))
        seen.append(watch.zero_at)

    assert seen == [None, None, None, 3.0, 3.0, None, 6.0, 6.0]
    assert watch.percent_max == 25.0


def forward(**changes: Any) -> dict[str, Any]:
    return {"virtual_hosts": [{"routes": [{"name": "", "route": changes}]}]}


def weighted(*weights: tuple[str, int]) -> dict[str, Any]:
    clusters = [{"name": cluster(subset), "weight": weight} for subset, weight in weights]
    return forward(weighted_clusters={"clusters": clusters})


def cluster(subset: str, service: str = "reviews") -> str:
    return f"outbound|9080|{subset}|{service}.bookinfo.svc.cluster.local"


@pytest.mark.parametrize(
    ("config", "percent"),
    [
        ({}, 0.0),
        (None, 0.0),
        ({"virtual_hosts": [{}, {"routes": [{"redirect": {}}]}]}, 0.0),
        (forward(cluster=cluster("v1")), 0.0),
        (forward(cluster=cluster("v3")), 100.0),
        (forward(cluster=cluster("v3", "ratings")), 0.0),
        (weighted(("v1", 75), ("v3", 25)), 25.0),
        (weighted(("v1", 1), ("v3", 1)), 50.0),
    ],
)
def test_the_weight_is_the_canarys_share_of_users(config: Any, percent: float) -> None:
    assert _percent(config) == percent


def test_probes_and_the_cohort_are_no_users() -> None:
    config = forward(cluster=cluster("v3"))
    for name in ("rollout-probe", "rollout-cohort"):
        config["virtual_hosts"][0]["routes"][0]["name"] = name
        assert _percent(config) == 0.0


async def looks(condition: Any) -> None:
    async with asyncio.timeout(20 * LOOK_EVERY_S + 5):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.mark.asyncio
async def test_it_looks_at_reviews_v3_as_its_callers_see_it_and_survives_a_restart_of_envoy() -> None:
    envoy = FakeEnvoy()
    v3 = {"destination_subset": "v3", "response_code": "500"}
    async with TestServer(envoy.app()) as server, open_watcher(f"127.0.0.1:{server.port}") as watcher:
        watch = watcher.begin()
        await looks(lambda: watch.served == 0)
        envoy.stats = (
            requests_total(1, destination_subset="v1", response_code="500")
            + requests_total(1, **v3, reporter="destination")
            + requests_total(1, **v3, destination_service_name="ratings")
        )
        envoy.routes = {"a": ("1", weighted(("v1", 90), ("v3", 10))), "b": ("1", weighted(("v1", 1)))}
        for name, (_, config) in envoy.routes.items():
            config["name"] = name
        await looks(lambda: watch.percent_max == 10.0)
        assert watch.first_request_at is None

        envoy.broken = lambda request: web.Response(status=503)
        before = len(envoy.asked)
        await looks(lambda: len(envoy.asked) > before)
        envoy.broken, envoy.routes, envoy.stats = None, {}, requests_total(1, **v3)
        await looks(lambda: watch.zero_at is not None and watch.first_failure_at is not None)

        second = watcher.begin()
        await looks(lambda: second.served == 1)
        assert (second.percent_max, second.first_failure_at) == (0.0, None)
