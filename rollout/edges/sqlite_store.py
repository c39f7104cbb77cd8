"""Rollouts, journals, orders and webhook deliveries in one SQLite file (WAL), on one thread of its own.

The journal is append-only by trigger. A transaction is one function on the thread, so no await can fall into it.
Every write is durable before it returns (synchronous=FULL: a laptop's power button is a crash, too); at a few
transitions a second that costs nothing.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter

from rollout.core.observation import Order, OrderKind
from rollout.core.phase import State
from rollout.core.spec import RolloutSpec
from rollout.ports import Conflict, JournalEntry, Refused, Rollout, Unavailable

Result = TypeVar("Result")
BUSY_TIMEOUT_S = 5.0  # another process (a second daemon by mistake) holds the file: say so instead of waiting on

SCHEMA_VERSION = 1
SCHEMA = """
create table rollouts (
    id text primary key, namespace text not null, service text not null, spec text not null, created real not null,
    actor text not null, reason text not null, via text not null, finished integer not null default 0
) strict;
create unique index one_unfinished_per_service on rollouts (namespace, service) where not finished;
create table journal (
    rollout text not null references rollouts (id), number integer not null, at real not null,
    state text not null, judged text not null, judgement text not null, primary key (rollout, number)
) strict, without rowid;
create trigger journal_is_append_only_u before update on journal begin select raise(abort, 'append-only'); end;
create trigger journal_is_append_only_d before delete on journal begin select raise(abort, 'append-only'); end;
create table checkpoints (
    rollout text primary key references rollouts (id), after integer not null, state text not null
) strict;
create table orders (
    number integer primary key autoincrement, rollout text not null references rollouts (id), at real not null,
    kind text not null, actor text not null, reason text not null, gate text
) strict;
create index orders_of on orders (rollout, number);
create table deliveries (source text not null, id text not null, at real not null, primary key (source, id)) strict;
create table keys (key text primary key, rollout text not null references rollouts (id)) strict;
"""

_STATE: TypeAdapter[State] = TypeAdapter(State)
_JUDGEMENT: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])


class SqliteStore:
    """The Store port on one file. Use `await SqliteStore.open(path)`, and close() at the end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sqlite")
        self._connection: sqlite3.Connection | None = None
        self._is_closed = False

    @classmethod
    async def open(cls, path: Path) -> "SqliteStore":
        """Open or create the file. Raises Refused when it belongs to a newer program, Unavailable when it is locked."""
        store = cls(path)
        try:
            await store._on_thread(store._open)
        except BaseException:
            await store.close()
            raise
        return store

    async def close(self) -> None:
        """Finish what is under way and let go of the file."""
        self._is_closed = True
        connection, self._connection = self._connection, None
        if connection is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, connection.close)
        self._thread.shutdown()

    async def create(self, rollout: Rollout, state: State, *, key: str = "") -> Rollout:
        """Begin a rollout; with a known idempotency *key*, return the one it began.

        Raises Conflict when the service has an unfinished one.
        """
        return await self._transaction(lambda db: self._create(db, rollout, state, key))

    async def rollout(self, rollout_id: str) -> Rollout | None:
        """One rollout."""
        rows = await self._rows("select * from rollouts where id = ?", rollout_id)
        return _rollout(rows[0]) if rows else None

    async def rollouts(self, *, service: str = "", namespace: str = "", limit: int = 100) -> list[Rollout]:
        """The newest first."""
        rows = await self._rows(
            "select * from rollouts where (?1 = '' or service = ?1) and (?2 = '' or namespace = ?2)"
            " order by created desc, rowid desc limit ?3",
            service,
            namespace,
            limit,
        )
        return [_rollout(row) for row in rows]

    async def unfinished(self) -> list[Rollout]:
        """Those whose state is not final."""
        return [_rollout(row) for row in await self._rows("select * from rollouts where not finished order by created")]

    async def state(self, rollout_id: str) -> State:
        """The latest state: of the last transition, or of a checkpoint since."""
        rows = await self._rows(
            "select coalesce((select c.state from checkpoints c where c.rollout = j.rollout and c.after = j.number),"
            " j.state) from journal j where j.rollout = ? order by j.number desc limit 1",
            rollout_id,
        )
        assert rows, f"rollout {rollout_id} has no journal"
        return _STATE.validate_json(rows[0][0])

    async def append(self, rollout_id: str, entry: JournalEntry) -> None:
        """Save a transition, and the end of a rollout with it."""
        await self._transaction(lambda db: self._append(db, rollout_id, entry))

    async def checkpoint(self, rollout_id: str, state: State) -> None:
        """Save evidence gathered since the last transition."""
        await self._transaction(
            lambda db: db.execute(
                "insert into checkpoints values (?1, (select max(number) from journal where rollout = ?1), ?2)"
                " on conflict (rollout) do update set after = excluded.after, state = excluded.state",
                (rollout_id, _STATE.dump_json(state).decode()),
            )
        )

    async def journal(self, rollout_id: str) -> list[JournalEntry]:
        """All transitions, oldest first."""
        rows = await self._rows("select * from journal where rollout = ? order by number", rollout_id)
        return [
            JournalEntry(
                number=row["number"],
                at=row["at"],
                state=_STATE.validate_json(row["state"]),
                judged=_STATE.validate_json(row["judged"]),
                judgement=_JUDGEMENT.validate_json(row["judgement"]),
            )
            for row in rows
        ]

    async def add_order(
        self, rollout_id: str, at: float, *, kind: OrderKind, actor: str, reason: str, gate: str | None
    ) -> Order:
        """Record a person's wish."""
        number = await self._transaction(
            lambda db: (
                db.execute(
                    "insert into orders (rollout, at, kind, actor, reason, gate) values (?, ?, ?, ?, ?, ?)",
                    (rollout_id, at, kind, actor, reason, gate),
                ).lastrowid
            )
        )
        assert number is not None
        return Order(number=number, kind=kind, actor=actor, reason=reason, gate=gate)

    async def orders(self, rollout_id: str, *, after: int = 0) -> tuple[Order, ...]:
        """Orders with a number above *after*, oldest first."""
        rows = await self._rows(
            "select number, kind, actor, reason, gate from orders where rollout = ? and number > ? order by number",
            rollout_id,
            after,
        )
        return tuple(Order(**{**dict(row), "kind": OrderKind(row["kind"])}) for row in rows)

    async def first_delivery(self, source: str, delivery: str, at: float) -> bool:
        """Remember a webhook delivery; False when it was seen before."""
        rows = await self._transaction(
            lambda db: db.execute("insert or ignore into deliveries values (?, ?, ?)", (source, delivery, at)).rowcount
        )
        return rows == 1

    async def forget_delivery(self, source: str, delivery: str) -> None:
        """Let a delivery be delivered again."""
        await self._transaction(
            lambda db: db.execute("delete from deliveries where source = ? and id = ?", (source, delivery))
        )

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(self._path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        self._connection = db
        db.row_factory = sqlite3.Row
        db.executescript("pragma journal_mode = wal; pragma synchronous = full; pragma foreign_keys = on;")
        version = db.execute("pragma user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise Refused(f"{self._path} was written by a newer Rollout (schema {version}, this is {SCHEMA_VERSION})")
        if version == 0:
            db.executescript(f"begin immediate; {SCHEMA} pragma user_version = {SCHEMA_VERSION}; commit;")

    @staticmethod
    def _create(db: sqlite3.Connection, rollout: Rollout, state: State, key: str) -> Rollout:
        known = db.execute(
            "select r.* from keys k join rollouts r on r.id = k.rollout where k.key = ?", (key,)
        ).fetchone()
        if known:
            return _rollout(known)
        spec = rollout.spec
        busy = db.execute(
            "select id from rollouts where namespace = ? and service = ? and not finished",
            (spec.namespace, spec.service),
        ).fetchone()
        if busy:
            raise Conflict(f"{spec.service} has an unfinished rollout, {busy['id']}")
        db.execute(
            "insert into rollouts (id, namespace, service, spec, created, actor, reason, via)"
            " values (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                rollout.id, spec.namespace, spec.service, spec.model_dump_json(by_alias=True, exclude_unset=True),
                rollout.created, rollout.actor, rollout.reason, rollout.via,
            ),
        )  # fmt: skip
        text = _STATE.dump_json(state).decode()
        db.execute("insert into journal values (?, 0, ?, ?, ?, '{}')", (rollout.id, rollout.created, text, text))
        if key:
            db.execute("insert into keys values (?, ?)", (key, rollout.id))
        return rollout

    @staticmethod
    def _append(db: sqlite3.Connection, rollout_id: str, entry: JournalEntry) -> None:
        state, judged = (_STATE.dump_json(value).decode() for value in (entry.state, entry.judged))
        judgement = _JUDGEMENT.dump_json(entry.judgement).decode()
        try:
            db.execute(
                "insert into journal values (?, ?, ?, ?, ?, ?)",
                (rollout_id, entry.number, entry.at, state, judged, judgement),
            )
        except sqlite3.IntegrityError as error:
            raise Conflict(f"journal entry {entry.number} of {rollout_id} exists: another daemon drives it") from error
        if entry.state.phase.is_final:
            db.execute("update rollouts set finished = 1 where id = ?", (rollout_id,))

    async def _rows(self, query: str, *parameters: object) -> list[sqlite3.Row]:
        return await self._on_thread(lambda: self._db.execute(query, parameters).fetchall())

    async def _transaction(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        def run() -> Result:
            db = self._db
            db.execute("begin immediate")
            try:
                result = work(db)
            except BaseException:
                db.execute("rollback")
                raise
            db.execute("commit")
            return result

        return await self._on_thread(run)

    @property
    def _db(self) -> sqlite3.Connection:
        assert self._connection is not None, "open() has made it"
        return self._connection

    async def _on_thread(self, work: Callable[[], Result]) -> Result:
        """Run *work* on the database's thread. A cancelled caller does not interrupt a transaction under way."""
        if self._is_closed:
            raise Unavailable(f"{self._path} is closed")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except (sqlite3.OperationalError, OSError) as error:
            raise Unavailable(f"{self._path}: {error}") from error
        except sqlite3.DatabaseError as error:
            raise Refused(f"{self._path}: {error}") from error


def _rollout(row: sqlite3.Row) -> Rollout:
    return Rollout(
        id=row["id"],
        spec=RolloutSpec.model_validate_json(row["spec"]),
        created=row["created"],
        actor=row["actor"],
        reason=row["reason"],
        via=row["via"],
    )
