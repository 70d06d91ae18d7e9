"""A source's tables change while it is captured: on real databases, in each mode, and another table keeps flowing."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from decimal import Decimal
from typing import Any

import pytest

from headrace.ingest import connectors, controls, drift, markers, topics
from headrace.ingest.database import connect
from headrace.lake import observed
from headrace.project import Project, load

from .conftest import Worker

COLUMNS = {"id": "integer!", "paid": "decimal(8,2)", "state": "string", "visits": "integer"}
DDL = "(id bigint PRIMARY KEY, paid decimal(8,2), state varchar(8), visits int)"
MODES = {"add": "", "drop": "", "types": "", "large": "", "freeze": "freeze", "discard": "discard_column", "steady": ""}
KINDS = {"postgresql": ("shop", "public"), "mariadb": ("till", "till")}


class Database:
    """One of the two databases; its tables are named by what happens to them."""

    def __init__(self, project: Project, kind: str) -> None:
        self.project, self.kind = project, kind
        self.source = project.source(f"drift_{kind}")
        self.schema = KINDS[kind][1]

    def table(self, name: str) -> str:
        return f"drift_{name}_{self.kind}"

    def cursor(self) -> AbstractContextManager[Any]:
        return connect(self.project, self.source)

    def do(self, *statements: str) -> None:
        """Statements, in which {add} stands for that table; each time a row of the steady table goes before."""
        names = {name: f"{self.schema}.{self.table(name)}" for name in MODES}
        with self.cursor() as cursor:
            for statement in statements:
                cursor.execute(
                    f"INSERT INTO {names['steady']} SELECT coalesce(max(id), 0) + 1, 1, 'on', 1 FROM {names['steady']}"
                )
                cursor.execute(statement.format(**names))

    def rows(self, name: str) -> dict[int, dict[str, Any]]:
        """The table as it is, decimals as the connector writes them."""
        with self.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {self.schema}.{self.table(name)}")
            names = [column[0] for column in cursor.description]
            found = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        return {r["id"]: {n: str(v) if isinstance(v, Decimal) else v for n, v in r.items()} for r in found}


@pytest.fixture(scope="module")
def drifting(shared, make_project, make_contract, shared_url, until) -> Project:
    """Two captured databases, each with a table per kind of change, three rows in each."""
    base = shared("bus", "connect", "source:shop", "source:till")
    files = {}
    for kind, (server, schema) in KINDS.items():
        names = {f"drift_{name}_{kind}": mode for name, mode in MODES.items()}
        for table, mode in names.items():
            text = make_contract(table, COLUMNS, "id")
            text += f"customProperties:\n  - {{property: schemaChange, value: {mode}}}\n" if mode else ""
            files[f"schemas/{table}.yaml"] = text
        listed = ", ".join(f"{table}: {schema}.{table}" for table in names)
        url = shared_url(base, server)
        source = f"kind: {kind}\nconnection:\n  url: '{url}'\ntables: {{{listed}}}\n"
        files[f"lake/sources/drift_{kind}.yml"] = source
    project = make_project(files, on=base)
    assert not project.problems
    for kind in KINDS:
        database = Database(project, kind)
        with database.cursor() as cursor:
            for name in MODES:
                table = f"{database.schema}.{database.table(name)}"
                cursor.execute(f"CREATE TABLE {table} {DDL}")
                cursor.execute(f"INSERT INTO {table} VALUES (1, 1.25, 'a', 1), (2, 2.25, 'b', 2), (3, 3.25, 'c', 3)")
    topics.ensure(project)
    connectors.ensure(project)

    def running() -> bool:
        return all(s["state"] == "RUNNING" and s["tasks"] == ["RUNNING"] for s in connectors.states(project))

    until(running, 90, "both connectors run")
    return project


@pytest.fixture(params=list(KINDS))
def database(request, drifting: Project) -> Database:
    return Database(drifting, request.param)


@pytest.fixture(scope="module")
def worker(drifting) -> Iterator[Worker]:
    """One landing worker for the whole module: nothing here is a reason to start it again."""
    worker = Worker(drifting)
    yield worker
    worker.stop()


@pytest.fixture
def complete(drifting, worker, until, all_landed) -> Callable[..., None]:
    """complete(database, *names): returns when everything committed to these tables and the steady one is landed."""

    def wait(database: Database, *names: str) -> None:
        tables = [database.table(name) for name in (*names, "steady")]
        targets = markers.mark(drifting, 60, tables)
        until(lambda: all_landed(drifting, targets), 60, f"{tables} landed")

    assert worker.process.poll() is None
    return wait


@pytest.fixture
def fold(drifting, landed, quarantined) -> Callable[..., dict[int, dict[str, Any]]]:
    """fold(database, name): the latest landed image of each key; the steady table folds to itself meanwhile."""

    def latest(table: str) -> dict[int, dict[str, Any]]:
        found: dict[str, Any] = {}
        for row in sorted(landed(drifting, table), key=lambda r: (r["epoch"], r["position"], r["offset"])):
            if row["op"] == "d" or row["after"] is None:
                found.pop(row["key"], None)
            else:
                found[row["key"]] = json.loads(row["after"])
        return {row["id"]: row for row in found.values()}

    def read(database: Database, name: str) -> dict[int, dict[str, Any]]:
        assert latest(database.table("steady")) == database.rows("steady"), "the steady table flowed all the time"
        assert quarantined(drifting, database.table("steady")) == []
        return latest(database.table(name))

    return read


def columns(database: Database, name: str) -> dict[str, str]:
    """The columns that views of the table have now."""
    table = database.table(name)
    return {
        c.name: c.spark for c in observed.effective(database.project, database.project.table(table)).contract.columns
    }


def outdated(project: Project) -> dict[str, tuple[str, ...]]:
    """The sources that need a new snapshot, and the columns they need it for."""
    return connectors.outdated(project, connectors.states(project), controls.read(project))


def drifted(database: Database, name: str) -> dict[str, dict[str, Any]]:
    rows, problems = drift.look(database.project, [database.source])
    assert problems == []
    return {row["column"]: row for row in rows if row["table"] == database.table(name)}


def test_a_column_with_a_default_is_shown_and_older_rows_get_it_by_a_new_snapshot(
    database, drifting, complete, fold, quarantined, until
) -> None:
    complete(database, "add")
    assert set(columns(database, "add")) == set(COLUMNS)
    database.do(
        "ALTER TABLE {add} ADD COLUMN tip decimal(10,4) DEFAULT 5",
        "INSERT INTO {add} (id, tip) VALUES (4, 7.5)",
        "UPDATE {add} SET state = 'u' WHERE id = 2",
        "DELETE FROM {add} WHERE id = 3",
    )
    complete(database, "add")
    assert columns(database, "add")["tip"] == "DECIMAL(10,4)"
    assert drifted(database, "add")["tip"]["contract"].endswith("physicalType: 'decimal(10,4)'}")
    assert fold(database, "add")[1].get("tip") is None, "no change told of it"
    assert outdated(drifting)[database.source.name] == (f"{database.table('add')}.tip",)
    connectors.ensure(drifting)
    assert database.source.name not in outdated(drifting)

    def snapshotted() -> bool:
        complete(database, "add")
        return fold(database, "add") == database.rows("add")

    until(snapshotted, 60, "the new snapshot is landed")
    assert {row["tip"] for row in fold(database, "add").values()} == {"5.0000", "7.5000"}
    assert quarantined(drifting, database.table("add")) == []


def test_freeze_quarantines_and_discard_keeps_what_the_contract_does_not_name(
    database, drifting, complete, fold, quarantined, landed
) -> None:
    complete(database, "freeze", "discard")
    for name in ("{freeze}", "{discard}"):
        database.do(
            f"ALTER TABLE {name} ADD COLUMN note varchar(20) DEFAULT 'none'",
            f"INSERT INTO {name} VALUES (4, 4, 'd', 4, 'new')",
            f"UPDATE {name} SET visits = 9 WHERE id = 1",
            f"DELETE FROM {name} WHERE id = 2",
        )
    complete(database, "freeze", "discard")
    frozen = quarantined(drifting, database.table("freeze"))
    assert [
        (row["column"], json.loads(row["raw"])["after"]["id"]) for row in sorted(frozen, key=lambda r: r["raw_key"])
    ] == [
        ("note", 1),
        ("note", 4),
    ]
    assert "schemaChange: freeze" in frozen[0]["reason"]
    assert set(fold(database, "freeze")) == {3}
    kept = fold(database, "discard")
    assert {key: row.get("note") for key, row in kept.items()} == {1: "none", 3: None, 4: "new"}
    assert "note" not in columns(database, "discard")
    assert database.source.name not in {k for k, v in outdated(drifting).items() if "discard" in str(v)}
    # The contract gains the column: it counts from now on, in rows landed before, too.
    path = drifting.root / "schemas" / f"{database.table('discard')}.yaml"
    text = path.read_text().replace("    properties:", "    properties:\n      - {name: note, logicalType: string}")
    path.write_text(text)
    changed = load(drifting.root)
    assert not changed.problems
    assert f"{database.table('discard')}.note" in outdated(changed)[database.source.name]


def test_dropped_and_renamed_columns(database, drifting, complete, fold, quarantined) -> None:
    complete(database, "drop")
    database.do(
        "ALTER TABLE {drop} DROP COLUMN visits",
        "UPDATE {drop} SET paid = 9 WHERE id = 1",
        "ALTER TABLE {drop} RENAME COLUMN state TO status",
        "UPDATE {drop} SET paid = 9 WHERE id = 2",
        "INSERT INTO {drop} VALUES (4, 4, 'd')",
    )
    complete(database, "drop")
    assert quarantined(drifting, database.table("drop")) == []
    found = fold(database, "drop")
    assert found[1] == {"id": 1, "paid": "9.00", "state": "a"}
    assert found[2] == {"id": 2, "paid": "9.00", "status": "b"}
    assert found[4] == {"id": 4, "paid": "4.00", "status": "d"}
    assert columns(database, "drop")["status"] == "STRING"
    rows = drifted(database, "drop")
    assert {name: row["change"] for name, row in rows.items()} == {
        "status": "new column",
        "state": "no longer there",
        "visits": "no longer there",
    }
    assert f"{database.table('drop')}.status" in outdated(drifting)[database.source.name]


def test_wider_types_flow_and_another_type_is_quarantined(database, drifting, complete, fold, quarantined) -> None:
    complete(database, "types")
    change = {"postgresql": "ALTER COLUMN {} TYPE {}", "mariadb": "MODIFY {} {}"}[database.kind].format
    database.do(
        f"ALTER TABLE {{types}} {change('visits', 'bigint')}",
        f"ALTER TABLE {{types}} {change('state', 'varchar(200)')}",
        f"ALTER TABLE {{types}} {change('paid', 'decimal(14,4)')}",
        f"INSERT INTO {{types}} VALUES (4, 1234567890.1234, '{'x' * 100}', {10**15})",
        "UPDATE {types} SET paid = 2 WHERE id = 2",
    )
    complete(database, "types")
    assert quarantined(drifting, database.table("types")) == []
    assert fold(database, "types")[4] == {"id": 4, "paid": "1234567890.1234", "state": "x" * 100, "visits": 10**15}
    assert columns(database, "types")["paid"] == "DECIMAL(14,4)"
    database.do(
        f"ALTER TABLE {{types}} {change('visits', 'varchar(40)')}",
        "INSERT INTO {types} VALUES (5, 1, 'e', 'many')",
        "UPDATE {types} SET paid = 3 WHERE id = 3",
    )
    complete(database, "types")
    bad = quarantined(drifting, database.table("types"))
    assert {row["column"] for row in bad} == {"visits"}
    assert len(bad) == 2
    rows = drifted(database, "types")
    assert (rows["visits"]["change"], rows["visits"]["contract"]) == (
        "other type",
        "- {name: visits, logicalType: string}",
    )
    assert rows["paid"]["change"] == "wider type"


def test_new_tables_and_statements_on_others_stop_nothing(database, drifting, complete, fold, on_bus) -> None:
    complete(database)
    other = f"{database.schema}.elsewhere_{database.kind}"
    own = {
        "postgresql": (
            f"CREATE VIEW {other}_v AS SELECT * FROM {{steady}}",
            f"ALTER TABLE {other} ALTER COLUMN place TYPE text USING host(place)",
        ),
        "mariadb": (
            # None of these can Debezium's parser read.
            f"ALTER TABLE {other} ADD SYSTEM VERSIONING",
            f"CREATE VIEW {other}_v AS SELECT * FROM {other} FOR SYSTEM_TIME ALL",
            f"CREATE SEQUENCE {other}_s",
            f"CREATE TRIGGER {other}_t BEFORE INSERT ON {{steady}} FOR EACH ROW"
            f" SET NEW.visits = NEXT VALUE FOR {other}_s",
        ),
    }[database.kind]
    inet = {"postgresql": "inet", "mariadb": "inet6"}[database.kind]
    database.do(
        f"CREATE TABLE {other} (id int PRIMARY KEY, place {inet})",
        f"INSERT INTO {other} VALUES (1, '::1')",
        *own,
        f"INSERT INTO {other} VALUES (2, '::2')",
        *(
            (f"DROP VIEW {other}_v", f"DROP TABLE {other}")
            if database.kind == "postgresql"
            else (f"DROP TABLE {other}",)
        ),
        "UPDATE {steady} SET state = 'done' WHERE id = 1",
    )
    if database.kind == "mariadb":
        with database.cursor() as cursor:
            cursor.execute(f"DROP TRIGGER {other}_t")
    complete(database)
    assert fold(database, "steady")[1]["state"] == "done"
    assert {s["source"]: s["state"] for s in connectors.states(drifting)}[database.source.name] == "RUNNING"


def test_a_large_value_that_an_update_does_not_touch_stays(drifting, complete, landed, quarantined) -> None:
    database = Database(drifting, "postgresql")
    complete(database, "large")
    chance = random.Random(1)  # text that can't be compressed is kept out of the row (TOAST)
    large = "".join(chr(chance.randrange(0x4E00, 0x9FFF)) for _ in range(20_000))
    table = f"{database.schema}.{database.table('large')}"
    with database.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} ADD COLUMN essay text, ADD COLUMN doc jsonb")
        cursor.execute(f"INSERT INTO {table} VALUES (4, 4, 'd', 0, %s, %s)", (large, json.dumps({"a": large})))
    for identity in ("FULL", "DEFAULT"):
        database.do(
            f"ALTER TABLE {{large}} REPLICA IDENTITY {identity}", "UPDATE {large} SET visits = visits + 1 WHERE id = 4"
        )
    complete(database, "large")
    insert, full, narrow = (row for row in landed(drifting, database.table("large")) if row["key"] == '{"id":4}')
    assert json.loads(insert["after"])["essay"] == large
    assert json.loads(full["after"]) == json.loads(insert["after"]) | {"visits": 1}
    assert narrow["after"] is None, "nobody knows the row: it is not landed with a value that is not its own"
    (bad,) = quarantined(drifting, database.table("large"))
    assert "REPLICA IDENTITY FULL" in bad["reason"]
