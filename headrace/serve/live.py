"""Live views in PostgreSQL: the cut that readers see, the partials below it, and the transaction that moves both."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from headrace.errors import HeadraceError
from headrace.serve import masks, ops
from headrace.serve.columns import columns
from headrace.serve.ops import Positions
from headrace.serve.publish import LOCK_SECONDS, SCHEMA, Superseded, copy_into
from headrace.sql.live import postgres, tables
from headrace.sql.live.tree import Dimension, View

if TYPE_CHECKING:
    import psycopg
    import pyarrow as pa


@dataclass(frozen=True)
class Cut:
    """Where a live view is divided. `begins`: where the speed layer of this cut begins, table → partition → offset;
    `landed`: up to where the driving table was landed; `joined`: what of each joined table is taken up; `folded`: the
    offsets up to which the last full run folded the log, with nothing unsigned behind them."""

    version: str
    cut: int
    run_id: uuid.UUID
    as_of: datetime
    begins: Positions
    landed: dict[int, int]
    joined: dict[str, str] = field(default_factory=dict)
    generation: int = 0
    folded: dict[int, int] = field(default_factory=dict)


def published(connection: psycopg.Connection, view: str, lock: bool = False) -> Cut | None:
    """The cut that readers of a view see, or None before the first switch; `lock` keeps it for the transaction."""
    row = connection.execute(
        "SELECT version, cut, run_id, as_of, begins, landed, joined, generation, folded FROM ops.live_views"
        " WHERE view = %s" + (" FOR UPDATE" if lock else ""),
        (view,),
    ).fetchone()
    if row is None:
        return None
    landed, folded = ({int(p): offset for p, offset in value.items()} for value in (row[5], row[8]))
    return Cut(row[0], row[1], row[2], row[3], ops.from_json(row[4]), landed, row[6], row[7], folded)


def prepare(connection: psycopg.Connection, view: View) -> None:
    """Makes the tables of a version where they are not there yet."""
    with connection.transaction():
        for statement in tables.create(view):
            connection.execute(statement)  # type: ignore[arg-type] - made of names that the parser lets in


def stage(connection: psycopg.Connection, view: View, rows: pa.Table | None) -> None:
    """Puts partials, or none, into the connection's temporary table."""
    from psycopg import sql

    connection.execute(f"DROP TABLE IF EXISTS pg_temp.{tables.STAGED}")  # type: ignore[arg-type]
    connection.execute(tables.stage(view))  # type: ignore[arg-type]
    if rows is not None:
        taken = rows.select(tables.staged_columns(view))
        copy_into(connection, sql.Identifier(tables.STAGED), columns(taken.schema), taken.to_batches())
    connection.execute(f"ANALYZE {tables.STAGED}")  # type: ignore[arg-type]


def count(connection: psycopg.Connection, view: View) -> int:
    """How many partials the batch table has: the view's groups, where no table is joined and no value counted apart."""
    row = connection.execute(f"SELECT count(*) FROM {tables.batch_table(view)}").fetchone()  # type: ignore[arg-type]
    return row[0] if row else 0


def fill(connection: psycopg.Connection, view: View) -> None:
    """Makes the staged partials all that the batch table of a version has; before the switch to it nobody reads it."""
    with connection.transaction():
        _replace(connection, view)
    connection.execute(f"ANALYZE {tables.batch_table(view)}")  # type: ignore[arg-type]


def join(connection: psycopg.Connection, view: View, dimension: Dimension, rows: pa.Table, whole: bool) -> None:
    """Puts rows of a joined table into the view's copy. What the speed layer knows better stays (its trigger sees to
    that); with `whole`, rows that are older than all of these and not among them go."""
    from psycopg import sql

    if not rows.num_columns:
        return
    table, staged = tables.dimension_table(view, dimension), sql.Identifier("staged_joined")
    connection.execute(
        f"CREATE TEMPORARY TABLE staged_joined AS SELECT * FROM {table} WITH NO DATA"  # type: ignore[arg-type]
    )
    copy_into(connection, staged, columns(rows.schema), rows.to_batches())
    names = [tables.quoted(c) for c in rows.column_names]
    key = [tables.quoted(k) for k in dimension.table.key]
    sets = ", ".join(f"{c} = excluded.{c}" for c in names if c not in key)
    if whole:
        same = " AND ".join(f"s.{k} = t.{k}" for k in key)
        newest = "SELECT max(upto) FROM staged_joined AS m WHERE m.part = t.part"
        connection.execute(
            f"DELETE FROM {table} AS t WHERE NOT EXISTS (SELECT FROM staged_joined AS s WHERE {same})"  # type: ignore[arg-type]
            f" AND t.upto <= ({newest})"
        )
    connection.execute(
        f"INSERT INTO {table} ({', '.join(names)}) SELECT {', '.join(names)} FROM staged_joined"  # type: ignore[arg-type]
        f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET {sets}"
    )
    connection.execute("DROP TABLE staged_joined")


def switch(
    connection: psycopg.Connection, view: View, cut: Cut, base: Cut | None, add: bool | None, masked: masks.Masks
) -> None:
    """Moves the cut, in the caller's transaction. With `add` the staged partials are added to the batch rows, with
    False they take their place, with None the batch rows stay as they are (a new version's are filled before).

    Guarantee: readers see the old rows with the old cut or the new ones with the new, in every isolation level. Of two
    runs that began from one cut only the first switches; raises Superseded for the other (CORRECTNESS 14).
    """
    values = {
        "view": view.name,
        "version": cut.version,
        "generation": cut.generation,
        "cut": cut.cut,
        "run_id": cut.run_id,
        "base": base.run_id if base else None,
        "as_of": cut.as_of,
        "begins": ops.to_json(cut.begins),
        "landed": json.dumps(cut.landed),
        "joined": json.dumps(cut.joined),
        "folded": json.dumps(cut.folded),
    }
    if connection.execute(tables.SWITCH, values).rowcount != 1:
        message = f"run {cut.run_id} of {view.name!r} ended after a newer run was published; the newer one stays"
        raise Superseded(message, hint=f"headrace run {view.name}")
    if add:
        for statement in tables.add(view):
            connection.execute(statement)  # type: ignore[arg-type]
    elif add is False:
        _replace(connection, view)
    if base is None or base.version != cut.version:
        _show(connection, view, masked)


def clear(connection: psycopg.Connection, view: View, below: int) -> None:
    """Removes partials of the speed layer below a chunk: a published cut less the grace, never by a clock."""
    connection.execute(tables.clear(view), {"below": below})  # type: ignore[arg-type]


def sweep(connection: psycopg.Connection, view: str, version: str) -> None:
    """Drops the view's tables that are of another version; '' drops all of them."""
    for (name,) in connection.execute(tables.LEFTOVERS, {"view": view, "version": version}).fetchall():
        connection.execute(f"DROP TABLE IF EXISTS speed.{name}")  # type: ignore[arg-type]


def retire(connection: psycopg.Connection, view: str) -> None:
    """Takes the live view away, with all that it is made of."""
    with connection.transaction():
        connection.execute(f"DROP VIEW IF EXISTS live.{tables.quoted(view)}")  # type: ignore[arg-type]
        connection.execute("DELETE FROM ops.masks WHERE schema_name = 'live' AND table_name = %s", (view,))
        connection.execute("DELETE FROM ops.live_views WHERE view = %s", (view,))
    sweep(connection, view, "")


def _replace(connection: psycopg.Connection, view: View) -> None:
    for statement in tables.replace(view):
        connection.execute(statement)  # type: ignore[arg-type]


def _show(connection: psycopg.Connection, view: View, masked: masks.Masks) -> None:
    """Puts `live.<view>` before the readers. One with other columns than before replaces the view, unless something is
    built on it. What a batch view of that name published before is gone: its name means the live one now."""
    import psycopg

    connection.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")  # type: ignore[arg-type]
    name = f"live.{tables.quoted(view.name)}"
    try:
        at = masks.where(connection, SCHEMA, view.name)
        if at == masks.SCHEMA:
            connection.execute(f"DROP VIEW IF EXISTS {SCHEMA}.{tables.quoted(view.name)}")  # type: ignore[arg-type]
        if at:
            connection.execute(f"DROP TABLE {at}.{tables.quoted(view.name)}")  # type: ignore[arg-type]
        text = postgres.shown(view, set(masked))
        try:
            with connection.transaction():
                connection.execute(f"CREATE OR REPLACE {text}")  # type: ignore[arg-type]
        except psycopg.errors.InvalidTableDefinition:
            connection.execute(f"DROP VIEW {name}")  # type: ignore[arg-type]
            connection.execute(f"CREATE {text}")  # type: ignore[arg-type]
        connection.execute(f"GRANT SELECT ON {name} TO reader")  # type: ignore[arg-type]
        connection.execute("DELETE FROM ops.masks WHERE schema_name = 'live' AND table_name = %s", (view.name,))
        for column, personal in masked.items():
            connection.execute(
                "INSERT INTO ops.masks (schema_name, table_name, column_name, personal) VALUES ('live', %s, %s, %s)",
                (view.name, column, sorted(personal)),
            )
    except psycopg.errors.DependentObjectsStillExist as error:
        said = (error.diag.message_detail or "").splitlines()
        raise HeadraceError(
            f"the columns of {view.name!r} changed in a way that breaks what was built on it",
            hint="\n".join([*said, f"drop it, then: headrace run {view.name}"]),
        ) from None
