"""Whether the served rows of a view are those that they should be: compared in PostgreSQL, with its own types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace.errors import HeadraceError
from headrace.project import Project
from headrace.serve import masks, ops
from headrace.serve.columns import columns
from headrace.serve.database import connect
from headrace.serve.publish import SCHEMA, copy_into, existing

if TYPE_CHECKING:
    import uuid

    import pyarrow as pa

EXAMPLES = 20
DECIMALS = 6  # floating-point sums depend on the order of their rows in the last digits


@dataclass(frozen=True)
class Verified:
    """How many rows are served, and examples (as text) of those that lack or should not be there."""

    rows: int
    missing: tuple[str, ...]
    extra: tuple[str, ...]


def verify(project: Project, view: str, table: pa.Table, run_id: uuid.UUID) -> Verified:
    """Compares batch.<view> with the rows of `table`, as multisets. Changes nothing that anybody sees.

    Floating-point values are compared to six decimals. Raises HeadraceError when another run was published meanwhile.
    """
    from psycopg import sql

    wanted = columns(table.schema)
    with connect(project, autocommit=False) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        known = ops.published(connection, view)
        if known is None or known.run_id != run_id:
            raise HeadraceError("another run was published meanwhile", hint=f"headrace audit {view}")
        if existing(connection, view) != [(c.name, c.postgres) for c in wanted]:
            raise HeadraceError(f"the columns of batch.{view} are not those of its job", hint=f"headrace run {view}")
        served = sql.Identifier(masks.where(connection, SCHEMA, view) or SCHEMA, view)  # its rows, whatever readers see
        expected = sql.Identifier("pg_temp", "expected")
        connection.execute(sql.SQL("CREATE TEMP TABLE expected (LIKE {}) ON COMMIT DROP").format(served))
        copy_into(connection, expected, wanted, table.to_batches())
        listed = sql.SQL(", ").join(
            sql.SQL("round({}::numeric, {}) AS {}").format(sql.Identifier(c.name), DECIMALS, sql.Identifier(c.name))
            if c.postgres in ("double precision", "real")
            else sql.Identifier(c.name)
            for c in wanted
        )
        count = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(served)).fetchone() or (0,)

        def beyond(left: sql.Identifier, right: sql.Identifier) -> tuple[str, ...]:
            query = "SELECT row_to_json(r)::text FROM (SELECT {0} FROM {1} EXCEPT ALL SELECT {0} FROM {2}) r LIMIT {3}"
            found = connection.execute(sql.SQL(query).format(listed, left, right, EXAMPLES)).fetchall()
            return tuple(sorted(text for (text,) in found))

        return Verified(int(count[0]), beyond(expected, served), beyond(served, expected))
