"""What an API server tells whoever watches: the fake and a real one have to agree."""

import pytest

from tests.kube.servers import ISTIO, Server, weights

pytestmark = pytest.mark.asyncio
VS = "virtualservices"


def name(event: tuple[str, dict[str, object]] | None) -> tuple[str, object]:
    assert event is not None, "the watch ended"
    metadata = event[1]["metadata"]
    assert isinstance(metadata, dict)
    return event[0], metadata.get("name")


async def test_a_watch_from_a_list_loses_nothing_and_repeats_nothing(server: Server) -> None:
    await server.virtual_service("a")
    listed = await server.ask("GET", server.path(ISTIO, VS))
    await server.virtual_service("b")
    async with server.watch(server.path(ISTIO, VS), resourceVersion=listed.version) as watched:
        assert name(await watched.next()) == ("ADDED", "b")
        await server.patch_vs(weights(70, 30), name="a")
        assert name(await watched.next()) == ("MODIFIED", "a")
        await server.ask("DELETE", server.path(ISTIO, VS, "b"))
        assert name(await watched.next()) == ("DELETED", "b")


async def test_a_watch_goes_on_from_the_last_event(server: Server) -> None:
    first = await server.virtual_service("a")
    second = await server.virtual_service("b")
    async with server.watch(server.path(ISTIO, VS), resourceVersion=first.version) as watched:
        event = await watched.next()
        assert name(event) == ("ADDED", "b")
        assert event is not None
        assert event[1]["metadata"]["resourceVersion"] == second.version


@pytest.mark.parametrize("version", ["", "0"])
async def test_without_a_version_a_watch_begins_with_what_there_is(server: Server, version: str) -> None:
    await server.virtual_service("a")
    query = {"resourceVersion": version} if version else {}
    async with server.watch(server.path(ISTIO, VS), **query) as watched:
        assert name(await watched.next()) == ("ADDED", "a")
        await server.virtual_service("b")
        assert name(await watched.next()) == ("ADDED", "b")


async def test_a_version_that_is_too_old_is_an_error_event_in_a_200(server: Server) -> None:
    await server.virtual_service()
    if server.fake is not None:
        server.fake.storage.compact()
        await server.virtual_service("b")
    async with server.watch(server.path(ISTIO, VS), resourceVersion="1") as watched:
        event = await watched.next()
        assert event is not None
        assert (watched.status, event[0]) == (200, "ERROR")
        assert (event[1]["code"], event[1]["reason"]) == (410, "Expired")


async def test_a_version_of_the_future_is_silence(server: Server) -> None:
    first = await server.virtual_service()
    future = str(int(first.version) + 1_000_000)
    async with server.watch(server.path(ISTIO, VS), resourceVersion=future, timeoutSeconds="1") as watched:
        await server.patch_vs(weights(1, 99))
        assert await watched.next() is None


async def test_a_watch_ends_when_its_time_is_up_and_says_where_it_was(server: Server) -> None:
    first = await server.virtual_service()
    async with server.watch(
        server.path(ISTIO, VS), resourceVersion=first.version, timeoutSeconds="1", allowWatchBookmarks="true"
    ) as watched:
        await server.patch_vs(weights(1, 99))
        types = []
        while (event := await watched.next(15)) is not None:
            types.append(event[0])
        assert types[0] == "MODIFIED"
        assert set(types[1:]) <= {"BOOKMARK"}


async def test_a_list_comes_in_pages_of_one_moment(server: Server) -> None:
    for one in ("a", "b", "c"):
        await server.virtual_service(one)
    first = await server.ask("GET", server.path(ISTIO, VS), limit="2")
    rest = await server.ask(
        "GET", server.path(ISTIO, VS), limit="2", **{"continue": first.body["metadata"]["continue"]}
    )
    names = [item["metadata"]["name"] for page in (first, rest) for item in page.body["items"]]
    assert names == ["a", "b", "c"]
    assert not rest.body["metadata"].get("continue")


async def test_labels_select(server: Server) -> None:
    await server.virtual_service("a")
    await server.virtual_service("b")
    await server.patch_vs({"metadata": {"labels": {"team": "red"}}}, name="b")
    found = await server.ask("GET", server.path(ISTIO, VS), labelSelector="team=red")
    assert [item["metadata"]["name"] for item in found.body["items"]] == ["b"]
