"""Each batch view, live or not, against the same SQL run by DuckDB over a plain copy: row by row, to the cent.

differences(project) → {} when everything is equal, else view or table → what differs, the first rows of it
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import duckdb
from deltalake import DeltaTable

from headrace.lake import paths
from headrace.project import Job, Project
from headrace.project.personal import personal
from headrace.serve import masks
from headrace.serve.database import connect
from headrace.serve.masks import MASK
from headrace.sql.live.parse import OWN
from tests.e2e import truth

SHOWN = 5
Rows = list[tuple[Any, ...]]

# Python jobs as SQL, written apart from them.
EQUIVALENT = {
    "customer_segments": """
        SELECT o.customer_id, c.city, COUNT(*) AS orders, SUM(o.total) AS spent, MAX(o.placed_at) AS last_order_at,
          COALESCE(MAX(l.tier), 'none') AS tier,
          CASE WHEN SUM(o.total) >= 200 THEN 'champion' WHEN SUM(o.total) >= 60 THEN 'regular'
               ELSE 'occasional' END AS segment
        FROM orders o JOIN customers c ON c.id = o.customer_id
        LEFT JOIN loyalty_accounts l ON l.account_id = o.customer_id
        WHERE o.status <> 'cancelled' GROUP BY o.customer_id, c.city"""
}

# Alert views without a window: what must be in them, as SQL over the same copy. (Windows depend on when a row arrived.)
ALERTS = {
    "large_failed_payment": "SELECT id AS payment_id, amount FROM payments WHERE status = 'failed' AND amount > 100",
    "courier_emergency": "SELECT event_id, battery FROM courier_pings WHERE emergency",
}


def differences(project: Project) -> dict[str, str]:
    """Compares every current table, batch view, live view and windowless alert view; names the first rows that differ.

    The sources must stand still and `headrace wait` must have returned since they last changed.
    """
    from headrace.audit.flow import in_order

    copied, found = truth.copy(project), {}
    for name in project.tables:
        expected, columns = _ask(copied, f'SELECT * FROM "{name}"')
        if difference := compare(columns, expected, _current(project, name, columns)):
            found[f"current {name}"] = difference
    for job in in_order(project):
        copied.execute(f'CREATE TABLE "{job.name}" AS {sql(job)}')
        expected, columns = _ask(copied, f'SELECT * FROM "{job.name}"')
        assert expected, f"the view {job.name} is empty: nothing would be compared"
        masked = _masked(project, job.name, columns, expected)
        if job.live:
            if difference := compare(columns, masked, _live(project, job.name, columns)):
                found[job.name] = f"live: {difference}"
            continue
        for role, wanted in (("headrace", expected), ("reader", masked)):
            if difference := compare(columns, wanted, _served(project, job.name, columns, role)):
                found[job.name] = f"as {role}: {difference}"
    for name, query in ALERTS.items():
        expected, columns = _ask(copied, query)
        with connect(project, role="reader") as connection:
            got = connection.execute(f"SELECT {', '.join(columns)} FROM alerts.{name}").fetchall()  # type: ignore[arg-type]
        if difference := compare(columns, expected, got):
            found[f"alerts.{name}"] = difference
    return found


def sql(job: Job) -> str:
    """The job's own text, or for a Python job the same in SQL."""
    return job.text if job.language == "sql" else EQUIVALENT[job.name]


def compare(columns: list[str], expected: Rows, got: Rows) -> str:
    """'' when both have the same rows as often; else what differs, row by row.

    A row is named by the shortest run of leading columns that tells the expected rows apart.
    """
    wanted, there = Counter(map(_plain, expected)), Counter(map(_plain, got))
    if wanted == there:
        return ""
    missing, extra = list((wanted - there).elements()), list((there - wanted).elements())
    lines = [f"{len(expected)} rows expected, {len(got)} there; {len(missing)} missing, {len(extra)} unexpected"]
    width = next((n for n in range(1, len(columns)) if len({row[:n] for row in wanted}) == len(wanted)), len(columns))
    others = {row[:width]: row for row in extra}
    for row in sorted(missing, key=repr)[:SHOWN]:
        key = dict(zip(columns, row[:width], strict=False))
        other = others.pop(row[:width], None)
        if other is None:
            lines.append(f"  {key}: missing, expected {dict(zip(columns, row, strict=True))}")
            continue
        for column, a, b in zip(columns, row, other, strict=True):
            lines += [f"  {key}: {column} is {b!r}, expected {a!r}"] if a != b else []
    for key in sorted(others, key=repr)[:SHOWN]:
        if key not in {row[:width] for row in missing}:
            lines.append(f"  {dict(zip(columns, others[key], strict=True))}: not expected")
    return "\n".join(lines)


def _ask(database: duckdb.DuckDBPyConnection, query: str) -> tuple[Rows, list[str]]:
    cursor = database.execute(query)
    return cursor.fetchall(), [column[0] for column in cursor.description or ()]


def _masked(project: Project, view: str, columns: list[str], rows: Rows) -> Rows:
    """The rows as readers must see them: no value of a personal column."""
    hidden = personal(project, project.job(view)).among(columns)
    mask = [column in hidden for column in columns]
    return [
        tuple((MASK if isinstance(v, str) else None) if m else v for v, m in zip(row, mask, strict=True))
        for row in rows
    ]


def _served(project: Project, view: str, columns: list[str], role: str) -> Rows:
    with connect(project, role) as connection:
        at = (role == "headrace" and masks.where(connection, "batch", view)) or "batch"
        cursor = connection.execute(f'SELECT * FROM {at}."{view}"')  # type: ignore[arg-type]
        served = [column.name for column in cursor.description or ()]
        assert served == columns, f"batch.{view} has the columns {served}, its SQL makes {columns}"
        return cursor.fetchall()


def _live(project: Project, view: str, columns: list[str]) -> Rows:
    """A live view's own columns; every role sees it masked."""
    with connect(project, "reader") as connection:
        cursor = connection.execute(f'SELECT * FROM live."{view}"')  # type: ignore[arg-type]
        served = [column.name for column in cursor.description or ()]
        assert served == [*columns, *OWN], f"live.{view} has the columns {served}, its SQL makes {columns}"
        return [row[: len(columns)] for row in cursor.fetchall()]


def _current(project: Project, table: str, columns: list[str]) -> Rows:
    """The current table's living rows."""
    found = DeltaTable(paths.current(project, table)).to_pyarrow_table().to_pylist()
    return [tuple(row[c] for c in columns) for row in found if not row.get("_deleted")]


def _plain(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Values that are equal exactly when they mean the same: instants in UTC, numbers by value."""
    return tuple(_value(value) for value in row)


def _value(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    return value.normalize() if isinstance(value, Decimal) else value
