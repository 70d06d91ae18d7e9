"""A certificate of a large table beside the snapshot that brought it onto the lake, in the same run.

    .venv/bin/python benchmarks/audit.py [--rows 1000000] [--rounds 3]

For PostgreSQL and for MariaDB: a table is filled, captured (Debezium's snapshot, landing; timed until the last row has
landed), then audited some times. The ratio is the median audit to the snapshot. Servers are started in a temporary
folder and stopped in the end.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import yaml

from headrace.audit.certificate import audit
from headrace.ingest import connectors, database, markers
from headrace.lake import landing
from headrace.local import platform, ports
from headrace.project import Project, load

COLUMNS = {"id": "integer", "account_id": "integer", "amount": "number", "status": "string", "updated_at": "timestamp"}
DDL = "id bigint PRIMARY KEY, account_id bigint, amount decimal(10,2), status varchar(20), updated_at {}"
FILL = {
    "postgresql": "INSERT INTO public.paid SELECT i, i % 1000, (i % 100000) / 100.0, 'succeeded',"
    " timestamptz '2026-01-01 00:00:00Z' + i * interval '1.000123 second' FROM generate_series(1, {}) i",
    "mariadb": "INSERT INTO till.paid SELECT seq, seq % 1000, (seq % 100000) / 100.0, 'succeeded',"
    " '2026-01-01' + INTERVAL seq * 1000123 MICROSECOND FROM seq_1_to_{}",
}
SOURCES = {"postgresql": ("shop", "public", "timestamptz(6)"), "mariadb": ("till", "till", "datetime(6)")}


def main() -> None:
    """Measures both kinds of database and prints the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    for kind in SOURCES:
        with tempfile.TemporaryDirectory(prefix="headrace-bench-", ignore_cleanup_errors=True) as folder:
            project = own_project(Path(folder), kind)
            try:
                measure(project, kind, given.rows, given.rounds)
            finally:
                platform.down(project)


def measure(project: Project, kind: str, rows: int, rounds: int) -> None:
    """One database: filled, captured, audited."""
    name, schema, moment = SOURCES[kind]
    source = project.source(name)
    platform.up(project, {"bus", f"source:{name}"})
    with database.connect(project, source) as cursor:
        cursor.execute(f"CREATE TABLE {schema}.paid ({DDL.format(moment)})")
        cursor.execute(FILL[kind].format(rows))
    began = time.monotonic()
    platform.up(project, {"bus", "connect", "landing", f"source:{name}"})
    up = time.monotonic()
    while sum(landing.data_positions(project, "paid").values()) < rows:
        if time.monotonic() > up + 600:
            raise SystemExit("the snapshot did not land within ten minutes")
        time.sleep(0.05)
    taken = time.monotonic() - began
    connectors.ensure(project)
    markers.mark(project, 60)
    found = []
    for _ in range(rounds):
        before = time.monotonic()
        (certificate,) = audit(project, source)
        found.append(time.monotonic() - before)
        if certificate.verdict != "proven" or not certificate.landed or certificate.landed.rows != rows:
            raise SystemExit(f"not proven: {certificate}")
    audited = statistics.median(found)
    print(
        f"{kind}: snapshot of {rows:,} rows {taken:.1f} s (with Connect's start), audit {audited:.2f} s"
        f" (median of {rounds}): ratio {audited / taken:.3f}",
        flush=True,
    )


def own_project(folder: Path, kind: str) -> Project:
    """A project of one table in a local database."""
    name, schema, _ = SOURCES[kind]
    properties = [
        {"name": column, "logicalType": logical}
        | ({"primaryKey": True, "required": True} if column == "id" else {})
        | ({"physicalType": "decimal(10,2)"} if logical == "number" else {})
        for column, logical in COLUMNS.items()
    ]
    contract = {"apiVersion": "v3.1.0", "kind": "DataContract", "id": "paid", "version": "1.0.0"}
    contract["schema"] = [{"name": "paid", "properties": properties}]  # type: ignore[assignment]
    source = {"kind": kind, "connection": {"local": True}, "tables": {"paid": f"{schema}.paid"}}
    files = {
        "headrace.yml": {"name": "bench", "local": {"ports": ports.suggestion(25000)}},
        "schemas/paid.yaml": contract,
        f"lake/sources/{name}.yml": source,
    }
    for path, value in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(yaml.safe_dump(value))
    project = load(folder)
    if project.problems:
        raise SystemExit(str(project.problems))
    return project


if __name__ == "__main__":
    main()
