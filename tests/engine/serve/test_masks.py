"""Personal values and the reader role, on a real PostgreSQL: no name, schema, message or statistic shows one."""

from __future__ import annotations

import json
import uuid
from datetime import date

import psycopg
import pyarrow as pa
import pytest
from psycopg import sql

from headrace.batch import recorded
from headrace.errors import HeadraceError
from headrace.project import Project
from headrace.project.personal import personal
from headrace.serve import certificates, ops, reading, schema
from headrace.serve.columns import columns
from headrace.serve.database import connect
from headrace.serve.publish import Publication, publish
from headrace.serve.verify import verify
from headrace.stream import record, tables
from headrace.stream.ensure import _Ensure
from headrace.stream.sink import Sink, sink_of

SECRET = "Ada Lovelace"
BORN = date(1815, 12, 10)
GUESTS = """\
schema:
  - name: guests
    properties:
      - {name: id, logicalType: integer, primaryKey: true}
      - {name: name, logicalType: string, primaryKey: true, tags: [personal]}
      - {name: born, logicalType: date, classification: personal}
      - {name: city, logicalType: string}
"""
FILES = {
    "lake/sources/hotel.yml": "kind: events\ntables: {guests: events.guests}\n",
    "schemas/guests.yaml": GUESTS,
    "jobs/batch/guest_list.sql": "SELECT id, name AS who, born, city FROM guests",
    "jobs/stream/arrival.sql": "-- key: name\nSELECT name, city FROM guests_changes",
}
ROWS = pa.table(
    {
        "id": pa.array([1, 2, 3], pa.int64()),
        "who": [SECRET, None, SECRET],  # twice, so that statistics call it common
        "born": pa.array([BORN, None, BORN], pa.date32()),
        "city": ["London", "Bern", "London"],
    }
)
RESULT = [("name", "STRING"), ("city", "STRING")]


@pytest.fixture
def project(shared, make_project) -> Project:
    """A serving database of its own: the tests look at everything in it."""
    made = make_project(FILES, on=shared("postgres"))
    assert not made.problems
    schema.ensure(made)
    return made


def test_the_reader_finds_no_personal_value_anywhere(project: Project) -> None:
    run_id = put(project, masked=True)
    with connect(project) as owner:
        tables.ensure_table(owner, sink(project))
        owner.execute(
            "INSERT INTO personal.arrival (name, city, alert_id) VALUES (%s, 'London', md5(%s))", (SECRET,) * 2
        )
        # whatever may be said about a job that reads such columns
        broken = HeadraceError(f"the value '{SECRET}' cannot be cast", hint=SECRET)
        run = ops.start(owner, "guest_list", "code", False)
        recorded.failed(project, project.job("guest_list"), run, broken)
        stream = _Ensure.__new__(_Ensure)
        stream.project, stream.job, stream.connection = project, project.job("arrival"), owner
        stream.record = record.read(owner, "arrival") or record.Record("arrival")
        stream._write(error=f"Batch entry 0 INSERT INTO personal.arrival VALUES ('{SECRET}') was aborted")
        owner.execute("ANALYZE")  # statistics hold the most common values
        rows = [json.dumps({"id": 1, "who": SECRET, "born": str(BORN)})]
        for name, shown in (("guest_list", rows), ("guests", [f"id=1, name={SECRET}"])):
            certificates.record(project, [certificate(name, shown)])
        assert owner.execute("SELECT error FROM personal.errors WHERE error LIKE %s", (f"%{SECRET}%",)).fetchall()
        assert owner.execute("SELECT count(*) FROM ops.certificates").fetchone() == (2,)
    ops.dead(project, "guest_list", "batch", f"Spark says {SECRET}")

    leaks, looked_at = search(project, "reader")
    assert leaks == []
    assert {"batch.guest_list", "alerts.arrival", "ops.runs", "pg_catalog.pg_stats"} <= looked_at
    assert {"personal.guest_list", "personal.arrival", "personal.errors"}.isdisjoint(looked_at)
    assert {"personal.guest_list", "personal.arrival", "pg_catalog.pg_stats"} <= set(search(project, "headrace")[0])
    for attempt in ("SELECT * FROM personal.guest_list", "SELECT table_to_xml('personal.guest_list', true, true, '')",
                    "SET ROLE headrace", "CREATE TEMP VIEW v AS SELECT * FROM personal.guest_list"):  # fmt: skip
        with pytest.raises(HeadraceError, match=r"permission denied|read-only"):
            reading.query(project, attempt)

    seen = reading.query(project, "SELECT * FROM guest_list ORDER BY id")
    shown = [(1, "***", None, "London"), (2, None, None, "Bern"), (3, "***", None, "London")]
    assert seen == reading.Answer(("id", "who", "born", "city"), shown)
    assert reading.query(project, "SELECT * FROM arrival").rows[0][:2] == ("***", "London")
    said = reading.query(project, "SELECT table_name, column_name, personal FROM ops.masks ORDER BY 1, 2").rows
    assert said == [
        ("arrival", "alert_id", ["guests.name"]),
        ("arrival", "name", ["guests.name"]),
        ("guest_list", "born", ["guests.born"]),
        ("guest_list", "who", ["guests.name"]),
    ]
    found = verify(project, "guest_list", ROWS, run_id)  # what an audit compares are the rows, not what readers see
    assert (found.rows, found.missing, found.extra) == (3, (), ())


def test_a_tag_hides_what_was_open_and_its_end_shows_it_again(project: Project) -> None:
    base = put(project, masked=False)
    assert reading.query(project, "SELECT who FROM batch.guest_list ORDER BY id").rows == [
        (SECRET,),
        (None,),
        (SECRET,),
    ]
    with connect(project) as owner:
        owner.execute("CREATE VIEW live.guests AS SELECT who FROM batch.guest_list")
    with pytest.raises(HeadraceError, match="breaks what was built on"):
        put(project, masked=True, base=base)  # that view would go on showing the names
    with connect(project) as owner:
        owner.execute("DROP VIEW live.guests")
    base = put(project, masked=True, base=base)
    assert search(project, "reader")[0] == []
    base = put(project, masked=True, base=base, rows=ROWS.append_column("n", pa.array([1, 2, 3])))  # a column more
    more = reading.query(project, "SELECT id, who, n FROM guest_list WHERE id < 3 ORDER BY id")
    assert more.rows == [(1, "***", 1), (2, None, 2)]
    base = put(project, masked=True, base=base, rows=ROWS.select(["who", "id"]))  # and fewer, in another order
    assert reading.query(project, "SELECT * FROM guest_list ORDER BY id").rows == [("***", 1), (None, 2), ("***", 3)]
    with connect(project) as owner:
        owner.execute("DROP VIEW batch.guest_list")  # by hand
    base = put(project, masked=True, base=base, rows=ROWS.select(["who", "id"]))
    assert reading.query(project, "SELECT who FROM guest_list WHERE id = 1").rows == [("***",)]
    put(project, masked=False, base=base)
    assert reading.query(project, "SELECT who FROM batch.guest_list ORDER BY id").rows == [
        (SECRET,),
        (None,),
        (SECRET,),
    ]
    assert reading.query(project, "SELECT * FROM ops.masks").rows == []


def test_earlier_alerts_are_hidden_too(project: Project) -> None:
    with connect(project) as owner:
        numbered = sink_of(project.job("arrival"), [("name", "STRING"), ("city", "INT")])
        assert tables.ensure_table(owner, numbered) == "created"
        owner.execute("INSERT INTO alerts.arrival (name, city, alert_id) VALUES (%s, 1, 'x')", (SECRET,))
        kept = tables.ensure_table(owner, sink_of(project.job("arrival"), RESULT))
        assert kept.startswith("earlier alerts are kept as alerts.arrival_until_")
        owner.execute("INSERT INTO alerts.arrival (name, city, alert_id) VALUES (%s, 'London', 'x')", (SECRET,))
        owner.execute("ANALYZE")
        assert search(project, "reader")[0]
        owner.execute("CREATE VIEW live.arrivals AS SELECT name FROM alerts.arrival")
        with pytest.raises(HeadraceError, match=r"live\.arrivals is built on alerts\.arrival"):
            tables.ensure_table(owner, sink(project))
        owner.execute("DROP VIEW live.arrivals")
        assert tables.ensure_table(owner, sink(project)) == "masked: alert_id, name"
        assert tables.ensure_table(owner, sink(project)) == ""
        assert search(project, "reader")[0] == []
        assert reading.query(project, "SELECT name, city FROM arrival").rows == [("***", "London")]
        assert "ADD COLUMN" in tables.ensure_table(owner, sink(project, [*RESULT, ("n", "INT")]))
        assert reading.query(project, "SELECT name, n FROM arrival").rows == [("***", None)]
        tables.empty(owner, "arrival")
        assert owner.execute("SELECT count(*) FROM personal.arrival").fetchone() == (0,)
        assert tables.ensure_table(owner, sink_of(project.job("arrival"), RESULT)).startswith("altered")
        owner.execute("INSERT INTO alerts.arrival (name, city, alert_id) VALUES ('Bob', 'Bern', 'y')")
        assert reading.query(project, "SELECT name FROM arrival").rows == [("Bob",)]
        assert search(project, "reader")[0] == []  # what had stepped aside stays hidden


def put(project: Project, masked: bool, base: uuid.UUID | None = None, rows: pa.Table = ROWS) -> uuid.UUID:
    job = project.job("guest_list")
    with connect(project) as connection:
        run_id = ops.start(connection, job.name, "code", False)
    hidden = personal(project, job).among(rows.column_names) if masked else {}
    run = Publication(run_id, {"guests": {0: 1}}, "code", base, comment="Who stays.", masks=hidden)
    publish(project, job.name, columns(rows.schema), rows.to_reader(), run)
    return run_id


def sink(project: Project, result: list[tuple[str, str]] = RESULT) -> Sink:
    return sink_of(project.job("arrival"), result, personal(project, project.job("arrival")))


def certificate(name: str, shown: list[str]) -> dict[str, object]:
    row = dict.fromkeys(("position", "rows", "checksum", "quarantined"))
    return {**row, "source": "hotel", "table_name": name, "verdict": "unequal", "note": "", "seconds": 1.0,
            "differences": {"missing": shown}}  # fmt: skip


def search(project: Project, role: str) -> tuple[list[str], set[str]]:
    """The relations in which a role finds a personal value, and all that it may read: also PostgreSQL's own."""
    leaks, looked_at = [], set()
    with connect(project, role) as connection:
        names = connection.execute(
            """SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f') AND has_schema_privilege(n.oid, 'USAGE')
            AND has_table_privilege(c.oid, 'SELECT')"""
        ).fetchall()
        for name in names:
            query = sql.SQL("SELECT r::text FROM {} r").format(sql.Identifier(*name))
            try:
                found = [row for (row,) in connection.execute(query) if row and (SECRET in row or str(BORN) in row)]
            except psycopg.Error:
                continue  # a view of PostgreSQL's whose function is not for this role
            looked_at.add(".".join(name))
            leaks += [".".join(name)] if found else []
    return leaks, looked_at
