"""Reading a live view by key, beside a plain table of the same rows with an index on the same key.

    .venv/bin/python benchmarks/live_read.py [--rows 1000000] [--recent 20000] [--seconds 5] [--rounds 3]

The live view is sums per shop and day: a batch table of `--rows` groups, and a speed layer with `--recent` partials of
chunks since the cut, as a speed job leaves them; the reader's query adds both up. The plain table is the result of the
view, written to a table with an index on (shop, day). Both are asked as the role `reader` by one connection, for a
group and for all days of a shop, with a statement prepared once and with one that is planned each time; the two take
turns. In each round both are asked for the same keys, and must give the same rows. The server is started in a temporary
folder, and stopped in the end.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import statistics
import tempfile
import time
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pyarrow as pa
from _sales import TABLE, VIEW, own_project
from latency import quantile

from headrace.local import platform
from headrace.project import Project
from headrace.project.live import live_view
from headrace.serve import live as serve
from headrace.serve import schema
from headrace.serve.database import connect
from headrace.sql.live import tables
from headrace.sql.live.tree import View

DAYS, CHUNKS, CUT = 100, 30, 1000
FIRST = date(2026, 1, 1)
COLUMNS = "shop, day, revenue, orders"
SIDES = {"live view": f"live.{VIEW}", "plain table": "batch.plain"}
ASKED = {
    "a group": ("shop = %s AND day = %s", 2),
    "a shop's days": ("shop = %s", 1),
}


def main() -> None:
    """Fills both, measures in turns, prints the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="groups of the batch layer")
    parser.add_argument("--recent", type=int, default=20_000, help="partials of the speed layer")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each side in each round")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="headrace-bench-", ignore_cleanup_errors=True) as folder:
        project = own_project(Path(folder))
        try:
            platform.up(project, {"postgres"})
            schema.ensure(project)
            fill(project, given.rows, given.recent)
            measure(project, given.rows // DAYS, given.seconds, given.rounds)
        finally:
            platform.down(project)


def fill(project: Project, groups: int, recent: int) -> None:
    """Both layers of the view, and the plain table of what it shows."""
    view = live_view(project, project.job(VIEW))
    moment = datetime.fromtimestamp(CUT * view.seconds, UTC)
    cut = serve.Cut(tables.version(view), CUT, uuid4(), moment, {TABLE: {}}, {})
    with closing(connect(project)) as connection:
        serve.prepare(connection, view)
        serve.stage(connection, view, partials(view, groups))
        serve.fill(connection, view)
        with connection.transaction():
            serve.switch(connection, view, cut, None, None, {})
        for statement in (
            speed(view, recent),
            f"CREATE TABLE {SIDES['plain table']} AS SELECT {COLUMNS} FROM {SIDES['live view']}",
            f"CREATE INDEX ON {SIDES['plain table']} (shop, day)",
            f"GRANT SELECT ON {SIDES['plain table']} TO reader",
            "VACUUM ANALYZE",
        ):
            connection.execute(statement)  # type: ignore[arg-type]


def partials(view: View, groups: int) -> pa.Table:
    """Partials as the batch layer stages them."""
    assert [m.kind for m in view.measures] == ["sum", "count"], view.measures
    chance = random.Random(1)
    keys = [(shop, FIRST + timedelta(days=day)) for shop in range(groups // DAYS) for day in range(DAYS)]
    texts = ((str(shop), str(day)) for shop, day in keys)
    orders = [chance.randrange(1, 200) for _ in keys]
    columns = {
        "group_key": [hashlib.sha256("".join(f"{len(t)}:{t}" for t in both).encode()).hexdigest() for both in texts],
        "k1": [shop for shop, _ in keys],
        "k2": [day for _, day in keys],
        view.measures[0].name: pa.array([Decimal(n * 2050).scaleb(-2) for n in orders], pa.decimal128(20, 2)),
        view.measures[1].name: orders,
        "row_count": orders,
        "images": orders,
    }
    return pa.table(columns)


def speed(view: View, recent: int) -> str:
    """Partials of the speed layer: of groups here and there, in chunks from the cut on."""
    amount, count = (m.name for m in view.measures)
    return f"""INSERT INTO {tables.speed_table(view)} (group_key, k1, k2, chunk, part, {amount}, {count}, row_count,
      images, newest, upto, min_offset)
    SELECT group_key, k1, k2, {CUT} + (n % {CHUNKS}), n % 2, 20.5, 1, 1, 1, now(), n, n
    FROM (SELECT *, row_number() OVER (ORDER BY md5(group_key)) AS n FROM {tables.batch_table(view)}) AS b
    WHERE n <= {recent}"""


def measure(project: Project, shops: int, seconds: float, rounds: int) -> None:
    """Each way of asking, both sides in turns."""
    print("\nreading by key, milliseconds")
    for asked, (where, arguments) in ASKED.items():
        for how, prepared in (("prepared", True), ("planned each time", False)):
            found: dict[str, list[float]] = {side: [] for side in SIDES}
            for number in range(-1, rounds):
                chance = random.Random(number)
                keys = [
                    (chance.randrange(shops), FIRST + timedelta(days=chance.randrange(DAYS)))[:arguments]
                    for _ in range(1000)
                ]
                shown: dict[str, list[Any]] = {}
                for side in SIDES if number % 2 == 0 else reversed(SIDES):
                    query = f"SELECT {COLUMNS} FROM {SIDES[side]} WHERE {where}"
                    took, shown[side] = ask(project, query, keys, prepared, seconds if number >= 0 else 0.0)
                    found[side] += took if number >= 0 else []
                if shown["live view"] != shown["plain table"]:
                    raise SystemExit("the live view and the plain table show different rows")
            report(f"{asked}, {how}", found)


def ask(
    project: Project, query: str, keys: list[Any], prepared: bool, seconds: float
) -> tuple[list[float], list[list[Any]]]:
    """Asks for one key after the other, each at least once: what each took in milliseconds, and its rows."""
    took: list[float] = []
    shown: list[list[Any]] = []
    with psycopg.connect(project.addresses.serving("reader"), autocommit=True) as connection:
        end = time.perf_counter() + seconds
        while len(took) < len(keys) or time.perf_counter() < end:
            key = keys[len(took) % len(keys)]
            before = time.perf_counter()
            rows = connection.execute(query, key, prepare=prepared).fetchall()  # type: ignore[arg-type]
            took.append(1000 * (time.perf_counter() - before))
            if len(shown) < len(keys):
                shown.append(sorted(rows))
    return took, shown


def report(what: str, found: dict[str, list[float]]) -> None:
    """p50 and p99 of both sides, and their ratio."""
    for name, q in (("p50", 0.5), ("p99", 0.99)):
        live, plain = (quantile(found[side], q) for side in SIDES)
        many = statistics.mean(len(values) for values in found.values())
        print(
            f"  {what:33} {name}: live {live:.2f}, plain table {plain:.2f}: ratio {live / plain:.1f}"
            f"   ({many:,.0f} reads a side)",
            flush=True,
        )


if __name__ == "__main__":
    main()
