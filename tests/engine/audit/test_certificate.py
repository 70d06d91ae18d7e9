"""Certificates on real databases: proven while services write, unequal with the right keys after damage to the lake."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from deltalake import DeltaTable, write_deltalake

from headrace.audit.certificate import Certificate, audit
from headrace.audit.keys import Range
from headrace.batch.current import refresh
from headrace.batch.session import session
from headrace.ingest import connectors, topics
from headrace.ingest.database import connect
from headrace.lake import paths
from headrace.project import Project

COLUMNS = {
    "id": "integer!", "paid": "decimal(12,2)", "who": "string", "code": "string", "fresh": "boolean", "day": "date",
    "seen_at": "timestamp!", "weight": "number",
}  # fmt: skip
PAIRS = {"town": "string!", "nr": "integer!", "paid": "decimal(12,2)!"}
DDL = "who {}, code char(5), fresh {}, day date, seen_at {} NOT NULL, weight double precision"
KINDS = {
    "postgresql": ("public", DDL.format("text", "boolean", "timestamptz")),
    "mariadb": ("till", DDL.format("longtext", "tinyint(1)", "datetime(6)")),
}
VALUES = ["", " ", "Zoë", "𝄞 'quoted' \"twice\" \\ back", "line\nbreak\ttab", None, "x" * 3000]


class Service:
    """A service's database with two tables, and the same statements for both kinds."""

    def __init__(self, project: Project, kind: str) -> None:
        self.project, self.kind, self.schema = project, kind, KINDS[kind][0]
        self.source = project.source(f"aud_{kind}")
        self.rows, self.pairs = (project.table(f"aud_{kind}_{name}") for name in ("rows", "pairs"))

    def cursor(self, commit: bool = True) -> AbstractContextManager[Any]:
        return connect(self.project, self.source, autocommit=commit)

    def make(self) -> None:
        with self.cursor() as cursor:
            cursor.execute(
                f"CREATE TABLE {self.rows.origin} (id bigint PRIMARY KEY, paid decimal(12,2), {KINDS[self.kind][1]})"
            )
            columns = "town varchar(40), nr int, paid decimal(12,2), PRIMARY KEY (town, nr)"
            cursor.execute(f"CREATE TABLE {self.pairs.origin} ({columns})")

    def insert(self, cursor: Any, ids: range, seed: int = 1) -> None:
        chance = random.Random(seed)
        rows = [
            (i, f"{chance.randint(-10**9, 10**9) / 100:.2f}", chance.choice(VALUES),
             chance.choice(["ab", "abcde", None]), chance.choice([0, 1, None]),
             chance.choice(["2026-02-03", "1001-01-01", None]),
             f"2026-0{chance.randint(1, 9)}-0{chance.randint(1, 9)} 04:05:06.{chance.randint(0, 999999):06d}",
             chance.random())
            for i in ids
        ]  # fmt: skip
        fresh = "%s::int::boolean" if self.kind == "postgresql" else "%s"
        zone = "%s::timestamp AT TIME ZONE 'UTC'" if self.kind == "postgresql" else "%s"
        cursor.executemany(f"INSERT INTO {self.rows.origin} VALUES (%s, %s, %s, %s, {fresh}, %s, {zone}, %s)", rows)
        cursor.executemany(
            f"INSERT INTO {self.pairs.origin} VALUES (%s, %s, %s)", [(f"Zürich {i % 7}", i, f"{i}.10") for i in ids]
        )


@pytest.fixture(scope="module")
def audited(shared, make_project, make_contract, shared_url, work_module) -> Project:
    base = shared("bus", "connect", "postgres", "spark", "source:shop", "source:till")
    files: dict[str, str] = {}
    for kind, server in (("postgresql", "shop"), ("mariadb", "till")):
        schema = KINDS[kind][0]
        files[f"schemas/aud_{kind}_rows.yaml"] = make_contract(f"aud_{kind}_rows", COLUMNS, "id", "seen_at")
        files[f"schemas/aud_{kind}_pairs.yaml"] = make_contract(f"aud_{kind}_pairs", PAIRS, "town, nr")
        files[f"lake/sources/aud_{kind}.yml"] = (
            f"kind: {kind}\nconnection: {{url: '{shared_url(base, server)}'}}\ntables:\n"
            f"  aud_{kind}_rows: {schema}.aud_rows\n  aud_{kind}_pairs: {schema}.aud_pairs\n"
        )
    project = make_project(files, on=base)
    assert not project.problems, project.problems
    for kind in KINDS:
        service = Service(project, kind)
        service.make()
        with service.cursor() as cursor:
            service.insert(cursor, range(1, 2001))
    topics.ensure(project)
    work_module(project)
    return project


@pytest.fixture(params=list(KINDS))
def service(request, audited, until) -> Service:
    until(lambda: all(s["state"] == "RUNNING" for s in connectors.ensure(audited)), 90, "connectors run")
    return Service(audited, request.param)


def by_table(found: list[Certificate]) -> dict[str, Certificate]:
    return {one.table.name.rpartition("_")[2]: one for one in found}


def test_equal_while_services_write_with_transactions_open_across_the_snapshot(service) -> None:
    """Each audit is at another moment; a wrong boundary would show as missing or extra keys."""
    over = threading.Event()
    failed: list[Exception] = []

    def write(number: int) -> None:
        chance, first, a = random.Random(number), 10_000 * (number + 1), 200 + 500 * number
        try:
            while not over.is_set():
                with service.cursor(commit=False) as cursor:
                    service.insert(cursor, range(first, first + 5), first)
                    if chance.random() < 0.3:
                        over.wait(0.3)  # open while snapshots are taken
                    cursor.execute(
                        f"UPDATE {service.rows.origin} SET paid = paid + 1 WHERE id BETWEEN {a} AND {a + 30}"
                    )
                    cursor.execute(f"UPDATE {service.rows.origin} SET id = -id WHERE id = {first}")
                    town = f"town = 'Zürich {(first + 1) % 7}'"
                    cursor.execute(f"DELETE FROM {service.pairs.origin} WHERE {town} AND nr = {first + 1}")
                    cursor.connection.rollback() if chance.random() < 0.2 else cursor.connection.commit()
                first += 5
        except Exception as error:
            failed.append(error)

    writers = [threading.Thread(target=write, args=(n,)) for n in range(3)]
    for writer in writers:
        writer.start()
    try:
        found = [one for _ in range(4) for one in audit(service.project, service.source, timeout=60)]
    finally:
        over.set()
        for writer in writers:
            writer.join()
    assert not failed
    assert [(one.table.name, one.verdict, one.differences()) for one in found if one.verdict != "proven"] == []
    moments = {one.table.name: {other.position for other in found if other.table == one.table} for one in found}
    assert {name: len(positions) for name, positions in moments.items()} == {
        service.rows.name: 4,
        service.pairs.name: 4,
    }
    assert max(one.landed.rows for one in found if one.landed) > 2000
    assert by_table(found)["rows"].note.startswith("not compared: weight (")


def test_a_row_in_quarantine_is_counted_apart(service) -> None:
    with service.cursor() as cursor:
        cursor.execute(f"INSERT INTO {service.rows.origin} (id, who, seen_at) VALUES (-5, 'a', '2026-01-01 00:00:00')")
        cursor.execute(f"UPDATE {service.rows.origin} SET who = %s WHERE id = 11", ("large " * 300_000,))
    found = by_table(audit(service.project, service.source, timeout=60))["rows"]
    assert (found.verdict, found.differences()) == ("proven", {})
    assert found.landed and found.landed.quarantined == (("11",),)
    with service.cursor() as cursor:
        cursor.execute(f"UPDATE {service.rows.origin} SET who = 'small' WHERE id = 11")  # its before-image is large
        cursor.execute(f"UPDATE {service.rows.origin} SET who = 'smaller' WHERE id = 11")
    again = by_table(audit(service.project, service.source, timeout=60))["rows"]
    assert again.landed and (again.verdict, again.landed.quarantined) == ("proven", ())


def test_a_damaged_current_table_is_found(service) -> None:
    refresh(service.project, service.rows, lambda: session(service.project))
    found = by_table(audit(service.project, service.source, timeout=60))["rows"]
    assert found.current and (found.verdict, found.current.equal) == ("proven", True)
    path = paths.current(service.project, service.rows.name)
    damage(path, "_deleted = (CASE WHEN id = 21 THEN true ELSE _deleted END)", "id = 21")
    damage(path, "paid = 0.01", "id = 22")
    found = by_table(audit(service.project, service.source, timeout=60))["rows"]
    assert found.verdict == "unequal"
    assert found.differences() == {"missing in current": ["id=21"], "different in current": ["id=22"]}


def test_damage_to_landing_is_found_by_key_and_kept(service) -> None:
    """Behind our back: the protection against changes is switched off, and the files are rewritten."""
    path = paths.landing(service.project, service.rows.name)
    handle = DeltaTable(path)
    handle.alter.set_table_properties({"delta.appendOnly": "false"})
    copied = handle.to_pyarrow_table(filters=[("key", "=", '{"id":33}')])
    handle.delete("key = '{\"id\":31}'")
    handle.update({"after": "replace(after, '05:06.', '05:07.')"}, predicate="key = '{\"id\":32}'")
    write_deltalake(DeltaTable(path), copied, mode="append")
    run = [
        str(Path(sys.executable).with_name("headrace")),
        "-C",
        str(service.project.root),
        "audit",
        "--format",
        "json",
    ]
    done = subprocess.run([*run, service.source.name], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stdout, done.stderr
    rows, pairs = sorted(json.loads(done.stdout), key=lambda r: r["table"], reverse=True)
    assert (pairs["verdict"], rows["verdict"]) == ("proven", "unequal")
    assert f"{service.source.name}.{service.rows.name}: 1 missing in landing: id=31" in done.stderr
    assert "1 different in landing: id=32" in done.stderr
    assert "1 twice in landing" in done.stderr
    with psycopg.connect(service.project.addresses.serving()) as connection:
        kept = connection.execute(
            "SELECT verdict, differences FROM ops.certificates WHERE table_name = %s ORDER BY id DESC LIMIT 1",
            (service.rows.name,),
        ).fetchone()
    assert kept and kept[0] == "unequal" and kept[1]["missing in landing"] == ["id=31"]
    part = by_table(audit(service.project, service.source, (service.rows,), 60, Range(100, 2000)))["rows"]
    assert part.landed and (part.verdict, part.landed.rows) == ("proven", 1901)


def damage(path: str, change: str, where: str) -> None:
    column, _, value = change.partition(" = ")
    handle = DeltaTable(path)
    handle.update({column: value}, predicate=where)
