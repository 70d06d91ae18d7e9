"""Publishing: readers see one run or the next, never half; every type arrives; an older run never replaces a newer."""

from __future__ import annotations

import threading
import time
import uuid
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from headrace.errors import HeadraceError
from headrace.serve import ops, reading, schema
from headrace.serve.columns import columns
from headrace.serve.database import connect, locked, still_held
from headrace.serve.publish import Publication, Superseded, publish
from headrace.serve.runs import runs

ONE = pa.table({"n": [1]})


@pytest.fixture(scope="module")
def project(shared, make_project):
    made = make_project({}, on=shared("postgres"))
    threads = [threading.Thread(target=schema.ensure, args=(made,)) for _ in range(4)]  # at once, as `up` and jobs do
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return made


def put(
    project, view: str, table: pa.Table, upto: int = 0, base: uuid.UUID | None = None, comment: str = ""
) -> uuid.UUID:
    with connect(project) as connection:
        run_id = ops.start(connection, view, "code", False)
    run = Publication(run_id, {"t": {0: upto}}, "code", base, comment=comment)
    assert publish(project, view, columns(table.schema), table.to_reader(max_chunksize=1000), run) == table.num_rows
    return run_id


def test_ensure_is_safe_at_once_and_again(project) -> None:
    schema.ensure(project)
    names = reading.query(
        project, "SELECT relname FROM pg_class WHERE relnamespace = 'ops'::regnamespace AND relkind = 'r'"
    )
    assert {"runs", "views", "stream_jobs", "dead_jobs"} <= {n for (n,) in names.rows}


def test_every_type_arrives(project) -> None:
    at = datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=UTC)
    rows = [
        {
            "i": -(2**63),
            "d": Decimal("-12345678901234567890.1234"),
            "f": float("nan"),
            "b": True,
            "s": 'a"b,\n\\N',
            "day": date(1, 1, 1),
        },
        {"i": 1, "d": Decimal("0.0001"), "f": float("-inf"), "b": False, "s": "", "day": date(9999, 12, 31)},
        {},
    ]
    types = {
        "i": pa.int64(),
        "d": pa.decimal128(38, 4),
        "f": pa.float64(),
        "b": pa.bool_(),
        "s": pa.string(),
        "day": pa.date32(),
    }
    nested = {
        "at": pa.timestamp("us", "UTC"),
        "local": pa.timestamp("us"),
        "tags": pa.list_(pa.string()),
        "who": pa.struct([("n", pa.int64()), ("x", pa.decimal128(5, 2))]),
        "map": pa.map_(pa.string(), pa.int64()),
        "raw": pa.binary(),
    }
    rows[0] |= {"at": at, "local": at.replace(tzinfo=None), "tags": ["a", None], "who": {"n": 1, "x": Decimal("1.50")}}
    rows[0] |= {"map": [("k", 2)], "raw": b"\x00\xff"}
    put(project, "types", pa.Table.from_pylist(rows, pa.schema({**types, **nested})), comment="What all can be shown.")
    with connect(project, "reader") as connection:
        found = connection.execute("SELECT * FROM batch.types").fetchall()
        kinds = connection.execute(
            "SELECT string_agg(pg_typeof(c)::text, ' ') FROM (SELECT tags c FROM batch.types LIMIT 1) x"
        )
        assert kinds.fetchone() == ("jsonb",)
        assert connection.execute("SELECT obj_description('batch.types'::regclass)").fetchone() == (
            "What all can be shown.",
        )
    assert [str(v) for v in found[0][:6]] == [str(v) for v in list(rows[0].values())[:6]]
    assert found[0][6:] == (at, at.replace(tzinfo=None), ["a", None], {"n": 1, "x": "1.50"}, {"k": 2}, b"\x00\xff")
    assert found[1][4] == ""
    assert found[2] == (None,) * 12


def test_a_reader_never_sees_half(project) -> None:
    """One reader asks all the time, another holds a snapshot: both see whole runs only, through twenty publications."""

    def run(n: int) -> pa.Table:
        return pa.table({"n": pa.array([n] * (5000 + 1000 * (n % 3)), pa.int64())})

    base = put(project, "whole", run(0))
    seen: set[tuple[int, int, int]] = set()
    stop = threading.Event()

    def poll() -> None:
        with connect(project, "reader") as connection:
            while not stop.is_set():
                seen.add(connection.execute("SELECT min(n), max(n), count(*) FROM batch.whole").fetchone())

    with connect(project, "reader", autocommit=False) as old:
        old.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        first = old.execute("SELECT count(*), sum(n) FROM batch.whole").fetchone()
        thread = threading.Thread(target=poll)
        thread.start()
        for n in range(1, 21):
            base = put(project, "whole", run(n), upto=n, base=base)
        assert old.execute("SELECT count(*), sum(n) FROM batch.whole").fetchone() == first
        stop.set()
        thread.join()
    assert all(low == high and count == 5000 + 1000 * (low % 3) for low, high, count in seen)
    assert len(seen) > 3, "the reader saw too few of the publications to prove anything"


def test_a_failed_publication_leaves_the_old_rows(project) -> None:
    base = put(project, "kept", pa.table({"n": [1, 2]}))
    bad = pa.table({"n": pa.array([3]), "s": pa.array(["\x00"])})  # PostgreSQL's text can't hold it
    with pytest.raises(HeadraceError, match="publishing 'kept' failed"):
        put(project, "kept", bad, upto=1, base=base)
    assert reading.query(project, "SELECT * FROM kept ORDER BY n") == reading.Answer(("n",), [(1,), (2,)])


def test_columns_may_change(project) -> None:
    base = put(project, "shape", pa.table({"a": [1]}))
    with connect(project) as connection:
        connection.execute("CREATE VIEW live.on_shape AS SELECT a FROM batch.shape")
    base = put(project, "shape", pa.table({"a": [2], "b": ["x"]}), base=base)  # a new column at the end breaks nothing
    assert reading.query(project, "SELECT * FROM on_shape").rows == [(2,)]
    with pytest.raises(HeadraceError, match="breaks what was built on"):
        put(project, "shape", pa.table({"b": ["x"]}), base=base)
    with connect(project) as connection:
        connection.execute("DROP VIEW live.on_shape")
    put(project, "shape", pa.table({"b": [1.5], "a": ["text"]}), base=base)
    assert reading.query(project, "SELECT * FROM shape") == reading.Answer(("b", "a"), [(1.5, "text")])


def test_an_older_run_never_replaces_a_newer_one(project) -> None:
    first = put(project, "race", pa.table({"n": [1]}), upto=1)
    put(project, "race", pa.table({"n": [5]}), upto=5, base=first)
    with pytest.raises(Superseded):
        put(project, "race", pa.table({"n": [3]}), upto=3, base=first)  # began before the run above, ends after it
    assert reading.query(project, "SELECT n FROM race").rows == [(5,)]


def test_each_run_remembers_what_it_read_and_wrote(project) -> None:
    base = None
    for version in (3, 4):
        with connect(project) as connection:
            run_id = ops.start(connection, "kept_runs", "code", False)
        inputs = {"t": f"/lake/current/t@{version + 10}"}
        run = Publication(run_id, {"t": {0: version}}, "code", base, inputs, version)
        publish(project, "kept_runs", columns(ONE.schema), ONE.to_reader(), run)
        base = run_id
    with connect(project) as connection:
        ops.finish(connection, ops.start(connection, "kept_runs", "code", True), "failed", error="no such column")
    newest, second, first = runs(project, "kept_runs", 5)
    assert (newest["state"], newest["error"], newest["full_run"], newest["inputs"]) == (
        "failed",
        "no such column",
        True,
        None,
    )
    assert [(r["lake_version"], r["inputs"], r["positions"], r["rows"]) for r in (first, second)] == [
        (3, {"t": "/lake/current/t@13"}, {"t": {"0": 3}}, 1),
        (4, {"t": "/lake/current/t@14"}, {"t": {"0": 4}}, 1),
    ]
    assert runs(project, "kept_runs", 1) == [newest]


def test_the_reader_only_reads(project) -> None:
    put(project, "mine", pa.table({"n": [1]}))
    for attempt in ("DELETE FROM batch.mine", "SET default_transaction_read_only = off; DELETE FROM batch.mine"):
        with pytest.raises(HeadraceError, match=r"read-only|permission denied"):
            reading.query(project, attempt)
    with pytest.raises(HeadraceError) as error:
        reading.query(project, "SELECT *\n  FROM minne")
    assert (
        str(error.value)
        == "    FROM minne\n         ^\n  relation \"minne\" does not exist\n  hint: did you mean 'mine'?"
    )
    assert reading.query(project, "SHOW statement_timeout").rows == [("1min",)]


def test_a_lock_waits_and_goes_with_its_connection(project, until) -> None:
    order: list[str] = []

    def second() -> None:
        with locked(project, "x"):
            order.append("second")

    thread = threading.Thread(target=second)
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    with connect(project) as other:
        with locked(project, "x") as connection:
            thread.start()
            until(lambda: other.execute(waiting).fetchone() != (0,), 20, "the second waits for the lock")
            order.append("first")
            assert still_held(connection)
            other.execute("SELECT pg_terminate_backend(%s)", (connection.info.backend_pid,))
            thread.join(20)
            assert not still_held(connection)
    assert order == ["first", "second"]


def test_a_million_rows(project, record_property) -> None:
    n = 1_000_000
    table = pa.table(
        {
            "id": pa.array(range(n), pa.int64()),
            "name": pa.array([f"name {i}" for i in range(n)]),
            "amount": pa.array(range(n), pa.int64()).cast(pa.decimal128(19, 0)).cast(pa.decimal128(25, 2)),
            "at": pa.array(range(n), pa.timestamp("us", "UTC")),
        }
    )
    began = time.monotonic()
    base = put(project, "many", table)
    first = time.monotonic() - began
    began = time.monotonic()
    put(project, "many", table, base=base)
    again = time.monotonic() - began
    print(f"published {n / first:,.0f} rows/s, again over the old ones {n / again:,.0f} rows/s")
    assert reading.query(project, "SELECT count(*), sum(amount) FROM many").rows == [(n, Decimal(n * (n - 1) // 2))]
