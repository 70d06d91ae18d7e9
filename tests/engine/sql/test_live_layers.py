"""One history through real engines: Spark's partials of landing, Flink's of the bus, and PostgreSQL's view over both.

The topic is a table of values in Flink and rows that are landed by hand: reading Kafka is other tests' matter.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from headrace.batch.live import Between, Everything, partials
from headrace.lake import paths
from headrace.lake.rows import BROKEN, ORIGIN
from headrace.lake.stretch import glance
from headrace.live.cut import moment
from headrace.project import Project
from headrace.project.live import live_tables
from headrace.serve import schema
from headrace.serve.database import connect
from headrace.serve.live import Cut, prepare, stage, switch
from headrace.serve.publish import Superseded
from headrace.sql.flink import literal, name
from headrace.sql.live import flink, tables
from headrace.sql.live.parse import compile_live
from headrace.sql.live.tree import View
from headrace.stream.gateway import Gateway
from headrace.stream.sink import jdbc
from tests.engine.batch.conftest import START, contract, land, project_files
from tests.unit.sql.live import reference

__all__ = ["land"]
SALES, PLACES = "live_layer_sales", "live_layer_places"
COLUMNS = "id integer key;place integer;kind string;amount decimal(10,2);at timestamp"
QUERY = f"""
SELECT p.city, CAST(s.at AS DATE) AS day, SUM(s.amount) AS total, COUNT(*) AS n, COUNT(s.amount) AS paid,
  AVG(s.amount) AS mean, COUNT_IF(s.kind = 'void') AS voids, COUNT(DISTINCT s.kind) AS kinds,
  CAST(COUNT_IF(s.kind = 'void') AS DOUBLE) / COUNT(*) AS share
FROM {SALES} s LEFT JOIN {PLACES} p ON p.id = s.place
WHERE s.kind <> 'draft' GROUP BY p.city, CAST(s.at AS DATE)"""
FIRST = int(START.timestamp()) // 10  # the chunk of START
TYPES = "`id` STRING, `place` STRING, `kind` STRING, `amount` STRING, `at` STRING"


def row(id_: int, place: int | None, amount: str | None, kind: str = "open", day: int = 1) -> dict[str, Any]:
    return {"id": id_, "place": place, "kind": kind, "amount": amount, "at": f"2026-01-0{day}T23:59:59.5Z"}


def history() -> list[dict[str, Any]]:
    """Inserts, updates in a group and out of it, deletes, NULLs, broken images, a snapshot row, a replayed message."""
    a, b, c, d = row(1, 1, "10.00"), row(2, 2, "5.55"), row(3, None, None), row(4, 1, "1.00", "draft")
    changes = [
        {"op": "c", "after": a, "at": 0},
        {"op": "c", "after": b, "at": 5},
        {"op": "c", "after": c, "at": 6},
        {"op": "c", "after": d, "at": 9},
        {"op": "u", "before": a, "after": row(1, 1, "12.00"), "at": 12},
        {"op": "u", "before": d, "after": row(4, 1, "1.00"), "at": 15},
        {"op": "c", "after": row(5, 1, "broken"), "at": 16},
        {"op": "u", "before": row(5, 1, "broken"), "after": row(5, 1, "0.07"), "at": 18},
        {"op": "u", "before": b, "after": row(2, 1, "5.55", "void"), "at": 21},
        {"op": "d", "before": c, "at": 25},
        {"op": "c", "after": row(6, 2, None), "at": 26},
        {"op": "r", "after": row(9, 1, "1000.00"), "at": 27},
        {"op": "c", "after": row(10, 1, "1000.00"), "at": 28, "headers": json.dumps({ORIGIN: "t/0/1/2"})},
        {"op": "u", "before": row(1, 1, "12.00"), "after": row(1, 3, "12.01", day=2), "at": 31},
        {"op": "d", "before": row(6, 2, None), "at": 33},
        {"op": "c", "after": row(7, 3, "99999999.99", "void", 2), "at": 38},
        {"op": "u", "before": row(7, 3, "99999999.99", "void", 2), "after": row(7, 3, "nothing"), "at": 39},
    ]
    return [{**c, "partition": (c.get("after") or c["before"])["id"] % 2} for c in changes]


def signed(changes: list[dict[str, Any]]) -> list[tuple[dict[str, Any], int]]:
    """What counts of a history, with Python's values."""
    found = []
    for change in changes:
        if change["op"] in {"c", "u", "d"} and "headers" not in change:
            found += [(change[i], s) for i, s in (("after", 1), ("before", -1)) if change.get(i)]
    return [(_typed(image), sign) for image, sign in found if image["amount"] not in {"broken", "nothing"}]


def _typed(image: dict[str, Any]) -> dict[str, Any]:
    amount = image["amount"]
    return {
        **image,
        "amount": None if amount is None else Decimal(amount),
        "at": datetime.fromisoformat(image["at"]).astimezone(UTC),
    }


@pytest.fixture(scope="module")
def view_and_project(shared: Callable[..., Project], make_project: Callable[..., Project], land: Callable[..., None]):
    contracts = {SALES: contract(SALES, COLUMNS), PLACES: contract(PLACES, "id integer key;city string")}
    project = make_project(project_files(contracts, {}), on=shared("postgres", "spark", "flink"))
    schema.ensure(project)
    found = compile_live("live_layers", QUERY, live_tables(project))
    assert found.view is not None, found.mistakes
    landed = [{**c, "key": {"id": (c.get("after") or c["before"])["id"]}} for c in history()]
    for change in landed:
        for image in ("before", "after"):
            if (change.get(image) or {}).get("amount") in {"broken", "nothing"}:
                change[image] = BROKEN if image == "before" else None  # such an image is in quarantine
    land(project, SALES, landed)
    return found.view, project


def by_key(view: View, rows: list[Any]) -> dict[tuple[Any, ...], reference.Partial]:
    return {
        tuple(r[k.name] for k in view.keys): reference.Partial(
            {m.name: r[m.name] for m in view.measures}, r["row_count"]
        )
        for r in rows
    }


def rows_only(found: dict[Any, reference.Partial]) -> dict[Any, tuple[Any, int]]:
    return {k: (p.measures, p.rows) for k, p in found.items()}


def test_both_layers_and_their_merge(view_and_project):
    view, project = view_and_project
    spark_batch(view, project)
    flink_speed(view, project)
    merged(view, project)


def spark_batch(view: View, project: Project) -> None:
    """Partials between two cuts, their sums in PostgreSQL, and a full run are what the algebra says."""
    until, table = {0: 100, 1: 100}, SALES
    first, second = FIRST + 2, FIRST + 3

    def computed(part: Between | Everything, cut: int) -> pa.Table:
        return partials(project, view, part, until, cut)

    early = computed(Between(0, {}), first)
    expected = reference.partials(view, signed([c for c in history() if c["at"] < 20]))
    assert rows_only(by_key(view, early.to_pylist())) == rows_only(expected)
    more = computed(Between(first, {}), second)
    reference.add(view, expected, reference.partials(view, signed([c for c in history() if 20 <= c["at"] < 30])))
    whole = computed(Everything({0: 2, 1: 2}), second).to_pylist()
    kept = {k: v for k, v in by_key(view, whole).items() if not v.is_nothing}
    assert rows_only(kept) == rows_only(expected)
    seen = glance(paths.landing(project, table), {}, until, moment(second, 10), ({0: 0, 1: 3}, moment(first, 10)))
    logs = [[c for c in history() if c["partition"] == p] for p in (0, 1)]
    assert seen.data and seen.unsigned == {
        p: next(o for o, c in enumerate(log) if c["op"] == "r" or "headers" in c) for p, log in enumerate(logs)
    }
    assert seen.begins == {p: next(o for o, c in enumerate(log) if c["at"] >= 30) for p, log in enumerate(logs)}
    assert sorted(seen.late) == [
        (p, o) for p, log in enumerate(logs) for o, c in enumerate(log) if o >= 3 * p and c["at"] < 20
    ]
    cut = Cut(tables.version(view), first, uuid.uuid4(), moment(first, 10), {}, {})
    with connect(project) as connection:
        prepare(connection, view)
        stage(connection, view, early)
        with connection.transaction():
            switch(connection, view, cut, None, False, {})
        next_ = replace(cut, cut=second, run_id=uuid.uuid4(), as_of=moment(second, 10))
        stage(connection, view, more)
        with connection.transaction():
            switch(connection, view, next_, cut, True, {})
        with pytest.raises(Superseded), connection.transaction():
            switch(connection, view, replace(next_, run_id=uuid.uuid4()), cut, True, {})
        connection.row_factory = psycopg.rows.dict_row  # type: ignore[assignment]
        stored = connection.execute(f"SELECT * FROM {tables.batch_table(view)}").fetchall()  # type: ignore[arg-type]
    assert rows_only(by_key(view, stored)) == rows_only(expected)


def flink_speed(view: View, project: Project) -> None:
    """Partials per chunk and partition, from the same messages as they are on the bus."""
    address, user, password = jdbc(project.addresses.serving())
    options = {"table.local-time-zone": "UTC", "parallelism.default": "1"}
    with Gateway(project.addresses.flink_gateway, options) as gateway:
        gateway.run(f"CREATE TEMPORARY VIEW {name(flink.raw_name(view))} AS\n{_bus()}")
        gateway.run(flink.signed(view, flink.raw_name(view), 0))
        gateway.run(flink.sink(view, tables.speed_table(view), address, user, password))
        gateway.run("SET 'table.dml-sync' = 'true'")
        gateway.run(flink.insert(view))
    with psycopg.connect(project.addresses.serving(), row_factory=psycopg.rows.dict_row) as connection:
        found = connection.execute(f"SELECT * FROM {tables.speed_table(view)}").fetchall()  # type: ignore[arg-type]
    offsets = {0: 0, 1: 0}
    expected: dict[Any, tuple[Any, ...]] = {}
    for change in history():
        offset, partition = offsets[change["partition"]], change["partition"]
        offsets[partition] += 1
        for key, partial in reference.partials(view, signed([change])).items():
            place = (key, FIRST + change["at"] // 10, partition)
            known = expected.setdefault(place, (reference.nothing(view), offset, offset))
            known[0].add(view.measures, partial)
            expected[place] = (known[0], max(known[1], offset), min(known[2], offset))
    keyed = {(tuple(r[k.name] for k in view.keys), r["chunk"], r["part"]): r for r in found}
    assert {p: (r["upto"], r["min_offset"], r["lost"]) for p, r in keyed.items()} == {
        p: (upto, first, False) for p, (_, upto, first) in expected.items()
    }
    assert {p: ({m.name: r[m.name] for m in view.measures}, r["row_count"], r["images"]) for p, r in keyed.items()} == {
        p: (w.measures, w.rows, w.images) for p, (w, _, _) in expected.items()
    }


def merged(view: View, project: Project) -> None:
    """The view over both, with joined rows as they are now, and the guard of the speed table."""
    cities = {1: "Bern", 2: "Thun"}
    table = tables.dimension_table(view, view.dimensions[0])
    with psycopg.connect(project.addresses.serving(), row_factory=psycopg.rows.dict_row) as connection:

        def shown() -> list[str]:
            found = connection.execute("SELECT * FROM live.live_layers").fetchall()
            assert all(0 <= r.pop("provisional") <= 1 and r.pop("as_of") >= START for r in found)
            return sorted(map(repr, found))

        def expected() -> list[str]:
            whole = reference.partials(view, signed(history()))
            places = reference.Dimensions({"p": {(k,): {"id": k, "city": c} for k, c in cities.items()}})
            return sorted(map(repr, reference.shown(view, [whole], places)))

        for key, city in cities.items():
            connection.execute(f"INSERT INTO {table} VALUES (%s, %s, false, 0, %s)", (key, city, key))  # type: ignore[arg-type]
        assert shown() == expected()
        cities[1] = "Biel"
        change = f"UPDATE {table} SET city = %s, upto = %s WHERE id = 1"
        connection.execute(change, ("Biel", 9))  # type: ignore[arg-type]
        connection.execute(change, ("Chur", 8))  # type: ignore[arg-type]  # an older row, sent again
        assert shown() == expected()
        before = f"UPDATE {tables.speed_table(view)} SET row_count = 99, "
        connection.execute(before + "upto = upto - 1")  # type: ignore[arg-type]
        assert shown() == expected()
        connection.execute(before + "min_offset = min_offset + 1")  # type: ignore[arg-type]
        assert shown() == expected()
        lost = connection.execute(f"SELECT bool_and(lost) AS lost FROM {tables.speed_table(view)}").fetchone()  # type: ignore[arg-type]
        assert lost and lost["lost"]


def _bus() -> str:
    """The messages as Flink's table over the topic has them."""
    offsets = {0: 0, 1: 0}
    found = []
    for change in history():
        partition = change["partition"]
        images = [_image(change.get(i)) for i in ("before", "after")]
        moment = round((START.timestamp() + change["at"]) * 1000)
        headers = f"MAP[{literal(ORIGIN)}, X'31']" if "headers" in change else "CAST(NULL AS MAP<STRING, BYTES>)"
        found.append(
            f"(CAST({literal(change['op'])} AS STRING), {images[0]}, {images[1]}, TO_TIMESTAMP_LTZ({moment}, 3),"
            f" {partition}, CAST({offsets[partition]} AS BIGINT), CAST({headers} AS MAP<STRING, BYTES>))"
        )
        offsets[partition] += 1
    columns = "`op`, `before`, `after`, `__appended_at`, `__partition`, `__offset`, `__headers`"
    values = ",\n".join(found)
    return f"SELECT * FROM (VALUES {values}) AS m ({columns})"


def _image(image: dict[str, Any] | None) -> str:
    if image is None:
        return f"CAST(NULL AS ROW<{TYPES}>)"
    values = ["CAST(NULL AS STRING)" if v is None else literal(str(v)) for v in image.values()]
    return f"CAST(ROW({', '.join(values)}) AS ROW<{TYPES}>)"
