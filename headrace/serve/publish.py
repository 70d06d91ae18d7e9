"""Publishing a batch view: one transaction puts its rows, its positions and the end of its run before the readers."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING

from headrace.errors import HeadraceError
from headrace.project import Project
from headrace.serve import masks, ops
from headrace.serve.columns import PublishedColumn, for_copy
from headrace.serve.database import connect

if TYPE_CHECKING:
    from collections.abc import Iterable

    import psycopg
    import pyarrow as pa
    from psycopg import sql

SCHEMA = "batch"
LOCK_SECONDS = (
    90  # longer than the reader role's statement time-out: a reader of an old shape always gets to its end first
)


class Superseded(HeadraceError):
    """A run finished after a newer one was published: the newer one stays."""


@dataclass(frozen=True)
class Publication:
    """What is published with the rows. `base` is the run that was published when this one began (compare and set);
    `masks` are the columns that only the owner sees, with the personal columns behind each."""

    run_id: uuid.UUID
    positions: ops.Positions
    code_version: str
    base: uuid.UUID | None = None
    inputs: dict[str, str] = field(default_factory=dict)
    lake_version: int | None = None
    comment: str = ""
    masks: masks.Masks = field(default_factory=dict)


def publish(
    project: Project, view: str, columns: tuple[PublishedColumn, ...], reader: pa.RecordBatchReader, run: Publication
) -> int:
    """Makes the rows of `reader` what `batch.<view>` shows; returns how many they are.

    Guarantee: a reader sees all rows of the old run or all of the new one, in every isolation level, also while this
    runs (DELETE and COPY are versioned; TRUNCATE and renaming are not). Rows, positions and the run's end change in one
    transaction. Raises Superseded when another run was published since `run.base` and covers what this one does not.
    When the columns or their masks change, readers wait for the commit, as long as the COPY takes. Once it returns, no
    reader gets at a value of a masked column by any name (headrace.serve.masks).
    """
    import psycopg
    from psycopg import sql

    try:
        with connect(project, autocommit=False) as connection:
            _compare_and_set(connection, view, run)
            _shape(connection, view, columns, run.masks)
            _comments(connection, view, columns, run)
            table = sql.Identifier(masks.home(run.masks, SCHEMA), view)
            connection.execute(sql.SQL("DELETE FROM {}").format(table))
            rows = copy_into(connection, table, columns, reader)
            connection.execute("UPDATE ops.views SET rows = %s WHERE view = %s", (rows, view))
            ops.finish(connection, run.run_id, "succeeded", "", rows, run.positions, run.inputs, run.lake_version)
            return rows
    except psycopg.errors.DependentObjectsStillExist as error:
        said = (error.diag.message_detail or "").splitlines()
        raise HeadraceError(
            f"the columns of {view!r} changed in a way that breaks what was built on batch.{view}",
            hint="\n".join([*said, f"drop it, then: headrace run {view}"]),
        ) from None
    except psycopg.errors.LockNotAvailable:
        raise HeadraceError(
            f"a reader holds batch.{view} for longer than {LOCK_SECONDS} s, and its columns changed",
            hint="SELECT pid, query FROM pg_stat_activity WHERE state = 'idle in transaction'   shows who",
        ) from None
    except psycopg.Error as error:
        raise HeadraceError(f"publishing {view!r} failed: {str(error).strip()}") from None


def _compare_and_set(connection: psycopg.Connection, view: str, run: Publication) -> None:
    known = ops.published(connection, view, lock=True)
    if known and known.run_id != run.base and ops.behind(run.positions, known.positions):
        message = f"run {run.run_id} of {view!r} ended after a newer run was published; the newer one stays"
        raise Superseded(message, hint=f"headrace run {view}")
    ops.publish(connection, view, run.run_id, run.positions, run.code_version, run.inputs, run.lake_version)


def _shape(
    connection: psycopg.Connection, view: str, columns: tuple[PublishedColumn, ...], masked: masks.Masks
) -> None:
    """Gives the table the view's columns: new ones at the end are added, any other change makes the table anew."""
    from psycopg import sql

    wanted = [(c.name, c.postgres) for c in columns]
    there, at, home = existing(connection, view), masks.where(connection, SCHEMA, view), masks.home(masked, SCHEMA)
    if there == wanted and masks.recorded(connection, SCHEMA, view) == masked:
        return
    connection.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")  # type: ignore[arg-type] - our own constant
    table = sql.Identifier(home, view)
    if there and at == home and wanted[: len(there)] == there:
        for name, type_ in wanted[len(there) :]:
            added = sql.SQL("ALTER TABLE {} ADD COLUMN {} {}").format(table, sql.Identifier(name), sql.SQL(type_))  # type: ignore[arg-type]
            connection.execute(added)
    else:
        if at == masks.SCHEMA:
            connection.execute(sql.SQL("DROP VIEW IF EXISTS {}").format(sql.Identifier(SCHEMA, view)))
        if at is not None:
            connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(at, view)))
        each = [sql.SQL("{} {}").format(sql.Identifier(n), sql.SQL(t)) for n, t in wanted]  # type: ignore[arg-type]
        connection.execute(sql.SQL("CREATE TABLE {} ({})").format(table, sql.SQL(", ").join(each)))
    masks.show(connection, SCHEMA, view, wanted, masked)


def existing(connection: psycopg.Connection, view: str) -> list[tuple[str, str]] | None:
    """The columns of the view's rows as (name, type), or None when there is no such table."""
    from psycopg import sql

    at = masks.where(connection, SCHEMA, view)
    if at is None:
        return None
    rows = connection.execute(
        """SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
        WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum""",
        (sql.Identifier(at, view).as_string(connection),),
    ).fetchall()
    return [(name, _short(type_)) for name, type_ in rows]


def _short(type_: str) -> str:
    return {"timestamp with time zone": "timestamptz", "timestamp without time zone": "timestamp"}.get(type_, type_)


def _comments(
    connection: psycopg.Connection, view: str, columns: tuple[PublishedColumn, ...], run: Publication
) -> None:
    from psycopg import sql

    table, kind = sql.Identifier(SCHEMA, view), sql.SQL("VIEW" if run.masks else "TABLE")
    described = connection.execute("SELECT obj_description(%s::regclass)", (table.as_string(connection),)).fetchone()
    if described and (described[0] or "") != run.comment:
        connection.execute(sql.SQL("COMMENT ON {} {} IS {}").format(kind, table, sql.Literal(run.comment)))
    for column in columns:
        if column.comment:
            name = sql.Identifier(SCHEMA, view, column.name)
            connection.execute(sql.SQL("COMMENT ON COLUMN {} IS {}").format(name, sql.Literal(column.comment)))


def copy_into(
    connection: psycopg.Connection,
    table: sql.Identifier,
    columns: tuple[PublishedColumn, ...],
    reader: Iterable[pa.RecordBatch],
) -> int:
    """Appends rows to a table. Arrow writes the CSV in C++, which is faster than any row loop in Python."""
    import pyarrow.csv as csv
    from psycopg import sql

    rows, options = 0, csv.WriteOptions(include_header=False)
    names = sql.SQL(", ").join(sql.Identifier(c.name) for c in columns)
    with connection.cursor().copy(sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(table, names)) as copy:
        for batch in reader:
            buffer = BytesIO()
            csv.write_csv(for_copy(batch), buffer, options)
            copy.write(buffer.getbuffer())
            rows += batch.num_rows
    return rows
