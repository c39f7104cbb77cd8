"""The journal on disk: append-only, durable, honest about what is wrong with its file."""

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import pytest_asyncio

from rollout.core.absorption import judgement_of, new_state
from rollout.core.observation import OrderKind
from rollout.core.phase import Cause, Phase, State
from rollout.edges.api.explanations import explanation
from rollout.edges.sqlite_store import SqliteStore
from rollout.ports import Conflict, JournalEntry, Refused, Rollout, Unavailable
from tests.rollout.core.worlds import NOW, short_spec, state_of

SPEC = short_spec()


def rollout(name: str = "r-1", service: str = "reviews", created: float = NOW) -> Rollout:
    spec = SPEC.model_copy(update={"service": service})
    return Rollout(id=name, spec=spec, created=created, actor="alice", reason="because", via="cli")


def entry(number: int, state: State, judged: State | None = None) -> JournalEntry:
    judged = judged or state
    return JournalEntry(
        number=number, at=NOW + number, state=state, judged=judged, judgement=asdict(judgement_of(SPEC, judged))
    )


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = await SqliteStore.open(tmp_path / "deep" / "rollout.sqlite")
    yield opened
    await opened.close()


@pytest.mark.asyncio
async def test_a_rollout_comes_back_as_it_was_given(store: SqliteStore) -> None:
    await store.create(rollout(), new_state(SPEC, NOW))

    assert await store.rollout("r-1") == rollout()
    assert await store.rollout("r-2") is None
    assert await store.state("r-1") == new_state(SPEC, NOW)


@pytest.mark.asyncio
async def test_a_service_has_one_unfinished_rollout(store: SqliteStore) -> None:
    await store.create(rollout("r-1"), new_state(SPEC, NOW))

    with pytest.raises(Conflict, match="reviews has an unfinished rollout, r-1"):
        await store.create(rollout("r-2"), new_state(SPEC, NOW))
    await store.create(rollout("r-3", service="ratings"), new_state(SPEC, NOW))
    await store.append("r-1", entry(1, state_of(SPEC, Phase.ROLLED_BACK)))
    await store.create(rollout("r-2"), new_state(SPEC, NOW))

    assert [one.id for one in await store.unfinished()] == ["r-3", "r-2"]


@pytest.mark.asyncio
async def test_a_hundred_starts_at_once_are_one_rollout(store: SqliteStore) -> None:
    async def start(number: int) -> bool:
        try:
            await store.create(rollout(f"r-{number}"), new_state(SPEC, NOW))
        except Conflict:
            return False
        return True

    async with asyncio.TaskGroup() as tasks:
        starts = [tasks.create_task(start(number)) for number in range(100)]

    assert sum(start.result() for start in starts) == 1


@pytest.mark.asyncio
async def test_an_idempotency_key_begins_one_rollout(store: SqliteStore) -> None:
    first = await store.create(rollout("r-1"), new_state(SPEC, NOW), key="k")
    again = await store.create(rollout("r-2"), new_state(SPEC, NOW), key="k")

    assert first == again == rollout("r-1")


@pytest.mark.asyncio
async def test_rollouts_are_listed_newest_first_and_filtered(store: SqliteStore) -> None:
    for number, service in enumerate(("a", "b", "c")):
        await store.create(rollout(f"r-{number}", service, NOW + number), new_state(SPEC, NOW))

    assert [one.id for one in await store.rollouts()] == ["r-2", "r-1", "r-0"]
    assert [one.id for one in await store.rollouts(limit=1)] == ["r-2"]
    assert [one.id for one in await store.rollouts(service="b", namespace="bookinfo")] == ["r-1"]
    assert await store.rollouts(namespace="elsewhere") == []


@pytest.mark.asyncio
async def test_the_journal_keeps_every_transition_and_can_be_judged_again(store: SqliteStore) -> None:
    await store.create(rollout(), new_state(SPEC, NOW))
    state = state_of(SPEC, served={"v1": 3})
    await store.append("r-1", entry(1, state))

    first, second = await store.journal("r-1")

    assert (first.number, first.judgement) == (0, {})
    assert (second.state, second.at) == (state, NOW + 1)
    assert explanation(rollout(), second).agrees


@pytest.mark.asyncio
async def test_a_tampered_judgement_does_not_agree(store: SqliteStore) -> None:
    await store.create(rollout(), new_state(SPEC, NOW))
    forged = entry(1, state_of(SPEC))
    forged.judgement["verdict"] = 0
    await store.append("r-1", forged)

    assert not explanation(rollout(), (await store.journal("r-1"))[1]).agrees


@pytest.mark.asyncio
async def test_two_daemons_cannot_write_one_journal(store: SqliteStore) -> None:
    await store.create(rollout(), new_state(SPEC, NOW))
    await store.append("r-1", entry(1, state_of(SPEC)))

    with pytest.raises(Conflict, match="another daemon drives it"):
        await store.append("r-1", entry(1, state_of(SPEC, Phase.ROLLED_BACK)))
    assert (await store.state("r-1")).phase is Phase.PROGRESSING
    assert [one.id for one in await store.unfinished()] == ["r-1"]


@pytest.mark.asyncio
async def test_a_checkpoint_counts_until_the_next_transition(store: SqliteStore) -> None:
    await store.create(rollout(), new_state(SPEC, NOW))
    state = state_of(SPEC)
    await store.append("r-1", entry(1, state))
    await store.checkpoint("r-1", replace(state, order=7))
    await store.checkpoint("r-1", replace(state, order=8))
    assert (await store.state("r-1")).order == 8

    moved = state.after(Cause.STEP_PASSED, NOW)
    await store.append("r-1", entry(2, moved, state))
    assert await store.state("r-1") == moved


@pytest.mark.asyncio
async def test_orders_are_numbered_and_read_from_where_one_left_off(store: SqliteStore) -> None:
    await store.create(rollout(), new_state(SPEC, NOW))
    first = await store.add_order("r-1", NOW, kind=OrderKind.PAUSE, actor="a", reason="b", gate=None)
    second = await store.add_order("r-1", NOW, kind=OrderKind.APPROVE, actor="c", reason="", gate="g")

    assert await store.orders("r-1") == (first, second)
    assert await store.orders("r-1", after=first.number) == (second,)


@pytest.mark.asyncio
async def test_a_delivery_is_first_once_and_again_when_forgotten(store: SqliteStore) -> None:
    assert await store.first_delivery("github", "d-1", NOW)
    assert not await store.first_delivery("github", "d-1", NOW)
    assert await store.first_delivery("registry", "d-1", NOW)
    await store.forget_delivery("github", "d-1")
    assert await store.first_delivery("github", "d-1", NOW)


@pytest.mark.asyncio
async def test_history_cannot_be_rewritten_even_with_sql(store: SqliteStore, tmp_path: Path) -> None:
    await store.create(rollout(), new_state(SPEC, NOW))
    with sqlite3.connect(tmp_path / "deep" / "rollout.sqlite") as db:
        for statement in ("update journal set at = 0", "delete from journal"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                db.execute(statement)
    db.close()


@pytest.mark.asyncio
async def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "rollout.sqlite"
    first = await SqliteStore.open(path)
    await first.create(rollout(), new_state(SPEC, NOW))
    await first.append("r-1", entry(1, state_of(SPEC)))
    await first.close()

    second = await SqliteStore.open(path)

    assert await second.state("r-1") == state_of(SPEC)
    await second.close()


def test_a_kill_in_the_middle_of_writing_loses_no_saved_entry(tmp_path: Path) -> None:
    program = """
import asyncio, sys
from pathlib import Path
from rollout.core.absorption import new_state
from rollout.edges.sqlite_store import SqliteStore
from tests.rollout.core.worlds import NOW, state_of
from tests.rollout.edges.test_sqlite_store import SPEC, entry, rollout
async def main():
    store = await SqliteStore.open(Path(sys.argv[1]))
    await store.create(rollout(), new_state(SPEC, NOW))
    for number in range(1, 10**6):
        await store.append("r-1", entry(number, state_of(SPEC)))
        print(number, flush=True)
asyncio.run(main())
"""
    path = tmp_path / "rollout.sqlite"
    with subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        said = [int(child.stdout.readline()) for _ in range(25)]
        child.kill()
        said += [int(line) for line in child.stdout]

    async def saved() -> int:
        store = await SqliteStore.open(path)
        journal = await store.journal("r-1")
        await store.close()
        return journal[-1].number

    assert asyncio.run(saved()) in (said[-1], said[-1] + 1)


@pytest.mark.asyncio
async def test_a_file_that_is_no_database_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("dear diary " * 100)

    with pytest.raises(Refused, match=r"notes.txt: file is not a database"):
        await SqliteStore.open(path)


@pytest.mark.asyncio
async def test_a_file_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rollout.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("pragma user_version = 99")
    db.close()

    with pytest.raises(Refused, match="newer Rollout"):
        await SqliteStore.open(path)


@pytest.mark.asyncio
async def test_a_place_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(Unavailable, match="file"):
        await SqliteStore.open(tmp_path / "file" / "rollout.sqlite")


@pytest.mark.asyncio
async def test_a_closed_store_is_unavailable(store: SqliteStore) -> None:
    await store.close()

    with pytest.raises(Unavailable, match="closed"):
        await store.unfinished()


@pytest.mark.asyncio
async def test_a_caller_who_leaves_does_not_tear_a_transaction(store: SqliteStore) -> None:
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(store.create(rollout(), new_state(SPEC, NOW)))
        await asyncio.sleep(0)
        task.cancel()

    assert (await store.rollout("r-1") is None) is (await store.unfinished() == [])
