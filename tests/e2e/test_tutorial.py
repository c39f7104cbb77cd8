"""What the bookinfo tutorial teaches by hand, document by document, with real requests through a real Envoy."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from rollout.demo.stage import DOCUMENTS, Bookinfo, documents_of, open_bookinfo
from rollout.mesh.directory import MeshDirectory
from rollout.mesh.translate.document import key_of_document
from tests.e2e.towns import Caller, caller, settled, until, versions, within_binomial

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def town(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bookinfo]:
    async with open_bookinfo(tmp_path_factory.mktemp("tutorial") / "town") as town:
        yield town


@pytest_asyncio.fixture(loop_scope="module")
async def productpage(town: Bookinfo) -> AsyncIterator[Caller]:
    """productpage's calls; afterwards only the documents of the beginning are there."""
    async with aiohttp.ClientSession() as session:
        yield caller(session, town)
    await asyncio.to_thread(clean_up, town.mesh.directory)


def clean_up(directory: MeshDirectory) -> None:
    begun = documents_of(*DOCUMENTS)
    keys = {key_of_document(raw) for raw in begun}
    directory.delete([key for raw in directory.documents() if (key := key_of_document(raw)) not in keys])
    directory.apply(begun)


async def test_v1_only(town: Bookinfo, productpage: Caller) -> None:
    assert versions(await productpage.reviews(30)) == {"v1": 30}


async def test_jason_sees_v2_and_everybody_else_v1(town: Bookinfo, productpage: Caller) -> None:
    await town.apply("virtual-service-reviews-test-v2.yaml")
    await settled(town)

    assert versions(await productpage.reviews(20, end_user="jason")) == {"v2": 20}
    assert versions(await productpage.reviews(20, end_user="mary")) == {"v1": 20}
    assert versions(await productpage.reviews(20)) == {"v1": 20}


async def test_ratings_takes_seven_seconds_longer_for_jason_alone(town: Bookinfo, productpage: Caller) -> None:
    await town.apply("virtual-service-ratings-test-delay.yaml")
    await settled(town)

    slow = await productpage.get("ratings:9080", "/ratings/0", end_user="jason")
    quick = await productpage.get("ratings:9080", "/ratings/0")

    assert (slow.status, quick.status) == (200, 200)
    assert 7.0 <= slow.took_s < 8.5
    assert quick.took_s < 1.0


async def test_ratings_fails_for_jason_alone(town: Bookinfo, productpage: Caller) -> None:
    [document] = documents_of("virtual-service-ratings-test-abort.yaml")
    document["spec"]["http"][0]["fault"]["abort"]["httpStatus"] = 503  # the sample's own 500 is a service's fault, too
    await asyncio.to_thread(town.mesh.directory.apply, [document])
    await settled(town)

    refused = await productpage.get("ratings:9080", "/ratings/0", end_user="jason")
    fine = await productpage.get("ratings:9080", "/ratings/0")

    assert (refused.status, refused.body, fine.status) == (503, "fault filter abort", 200)


async def test_half_to_v1_and_half_to_v3(town: Bookinfo, productpage: Caller) -> None:
    await town.apply("virtual-service-reviews-50-v3.yaml")
    await settled(town)

    seen = versions(await productpage.reviews(300))

    assert set(seen) == {"v1", "v3"}
    assert within_binomial(seen["v3"], 300, 0.5)


async def test_reviews_is_waited_for_half_a_second(town: Bookinfo, productpage: Caller) -> None:
    await town.apply(
        "virtual-service-reviews-v2.yaml",
        "virtual-service-ratings-delay-2s.yaml",
        "virtual-service-reviews-v2-timeout-0.5s.yaml",
    )
    await settled(town)

    [reply] = await productpage.reviews()

    assert (reply.status, reply.body) == (504, "upstream request timeout")
    assert 0.5 <= reply.took_s < 1.0
    gateway = caller(productpage.session, town, "istio-ingressgateway.istio-system:80")
    page = await gateway.get("bookinfo.example", "/productpage")
    assert page.status == 200
    assert "reviews are currently unavailable" in page.body
    assert 1.0 <= page.took_s < 2.0  # productpage tries twice


async def test_one_connection_and_one_waiting_request_are_let_through(town: Bookinfo, productpage: Caller) -> None:
    await town.apply("httpbin-circuit-breaker.yaml")
    await settled(town)
    client = caller(productpage.session, town, "fortio.bookinfo")

    async def calls() -> list[int]:
        return [(await client.get("httpbin:8000", "/delay/0.01")).status for _ in range(20)]

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(calls()) for _ in range(3)]
    codes = Counter(code for task in tasks for code in task.result())

    assert set(codes) == {200, 503}
    assert sum(codes.values()) == 60
    alone = await client.get("httpbin:8000", "/get")
    assert alone.status == 200


async def test_an_endpoint_that_fails_three_times_in_a_row_is_left_out_for_a_while(
    town: Bookinfo, productpage: Caller
) -> None:
    await town.apply("reviews-outlier-detection.yaml", "virtual-service-reviews-v3.yaml")
    await town.cast["reviews-v3"].play("errors-100")
    await settled(town)

    codes = [reply.status for reply in await productpage.reviews(10)]

    assert codes == [500] * 3 + [503] * 7
    [ejected] = await productpage.reviews()
    assert ejected.body == "no healthy upstream"
    await town.cast["reviews-v3"].play("healthy")

    async def is_back() -> bool:
        [reply] = await productpage.reviews()
        return reply.status == 200

    await until(is_back)


async def test_users_get_v1_and_v3_gets_a_copy(town: Bookinfo, productpage: Caller) -> None:
    await town.apply("virtual-service-reviews-mirror-v3.yaml")
    await settled(town)

    assert versions(await productpage.reviews(20)) == {"v1": 20}


async def test_clean_up_restores_normal(town: Bookinfo, productpage: Caller) -> None:
    await town.apply("virtual-service-reviews-50-v3.yaml", "virtual-service-ratings-test-abort.yaml")
    await settled(town)
    await asyncio.to_thread(clean_up, town.mesh.directory)
    await settled(town)

    assert versions(await productpage.reviews(30)) == {"v1": 30}
    assert (await productpage.get("ratings:9080", "/ratings/0", end_user="jason")).status == 200


@pytest.mark.parametrize(
    "file", sorted(path.name for path in (Path(__file__).parents[2] / "config/bookinfo").glob("*.yaml"))
)
async def test_every_document_of_the_tutorial_loads(town: Bookinfo, productpage: Caller, file: str) -> None:
    documents = [raw for raw in documents_of(file) if raw["kind"] != "MeshRegistry"]

    applied = await asyncio.to_thread(town.mesh.directory.apply, documents)

    never_reached = {"fault-injection-details-v1.yaml"}  # Istio's own sample has a rule behind a catch-all
    assert bool(applied.warnings) is (file in never_reached)
    assert len(applied.changes) == len(documents)
