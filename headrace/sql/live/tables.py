"""The tables of a live view in PostgreSQL: partials of both layers, current rows of joined tables, and the cut.

All lie in the schema `speed`, which readers can't see, under names with the view's version: a new version is filled
beside the old one until one transaction switches (CORRECTNESS 13).
"""

from __future__ import annotations

import hashlib

from headrace.sql.live import flink
from headrace.sql.live.tree import Dimension, View
from headrace.sql.live.types import written

GENERATOR = "1"  # part of every live view's version: raise it when any generated text changes its meaning
CUTS = "ops.live_views"

# One row per live view: which version readers see, the first chunk that the speed layer answers for, and the newest
# time and positions of the batch layer.
SHARED = f"""
CREATE TABLE IF NOT EXISTS {CUTS} (
  view text PRIMARY KEY, version text NOT NULL, cut bigint NOT NULL, run_id uuid NOT NULL, as_of timestamptz NOT NULL,
  positions jsonb NOT NULL DEFAULT '{{}}', switched_at timestamptz NOT NULL DEFAULT now());
COMMENT ON TABLE {CUTS} IS
  'Each live view: batch rows cover the log below chunk `cut`, speed rows from it on; both change in one transaction.';
CREATE OR REPLACE FUNCTION speed.keep_newest() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  -- A replay begins with less than was known; a first offset behind the known one means that state was lost.
  IF NEW.min_offset > OLD.min_offset THEN
    OLD.lost := true;
    RETURN OLD;
  ELSIF NEW.upto < OLD.upto THEN
    RETURN NULL;
  END IF;
  NEW.lost := false;
  RETURN NEW;
END $$;
CREATE OR REPLACE FUNCTION speed.keep_latest() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RETURN CASE WHEN NEW.part = OLD.part AND NEW.upto < OLD.upto THEN NULL ELSE NEW END;
END $$;
"""

SWITCH = f"""
INSERT INTO {CUTS} AS known (view, version, cut, run_id, as_of, positions)
VALUES (%(view)s, %(version)s, %(cut)s, %(run_id)s, %(as_of)s, %(positions)s)
ON CONFLICT (view) DO UPDATE SET version = excluded.version, cut = excluded.cut, run_id = excluded.run_id,
  as_of = excluded.as_of, positions = excluded.positions, switched_at = now()
WHERE known.run_id = %(base)s AND known.cut <= excluded.cut
"""


def version(view: View) -> str:
    """What tells the partials of a view from those of any other text, contract or generator: 16 hexadecimal digits."""
    return hashlib.sha256("\n".join([GENERATOR, flink.GENERATOR, repr(view)]).encode()).hexdigest()[:16]


def batch_table(view: View) -> str:
    return f"speed.b_{version(view)}"


def speed_table(view: View) -> str:
    return f"speed.s_{version(view)}"


def dimension_table(view: View, dimension: Dimension) -> str:
    return f"speed.d{view.dimensions.index(dimension) + 1}_{version(view)}"


def create(view: View) -> list[str]:
    """The statements that make the view's tables where they are not there yet. SHARED comes before them, once."""
    keys = [f"{k.name} {written(k.node.type, 'postgres')}" for k in view.keys]
    measures = [
        f"{m.name} {written(m.type, 'postgres')}" + ("" if m.kind in {"min", "max"} else " NOT NULL")
        for m in view.measures
    ]
    batch, speed = batch_table(view), speed_table(view)
    columns = ", ".join(["group_key text PRIMARY KEY", *keys, *measures, "row_count bigint NOT NULL"])
    made = [f"CREATE TABLE IF NOT EXISTS {batch} ({columns})"]
    partial = ["group_key text", *keys, "chunk bigint", "part integer", *measures, "row_count bigint NOT NULL"]
    partial += ["images bigint NOT NULL", "newest timestamptz NOT NULL", "upto bigint NOT NULL"]
    partial += ["min_offset bigint NOT NULL", "lost boolean NOT NULL DEFAULT false"]
    partial += ["PRIMARY KEY (group_key, chunk, part)"]
    made.append(f"CREATE TABLE IF NOT EXISTS {speed} ({', '.join(partial)})")
    made.append(
        f"CREATE OR REPLACE TRIGGER keep_newest BEFORE UPDATE ON {speed}"
        " FOR EACH ROW EXECUTE FUNCTION speed.keep_newest()"
    )
    for table in (batch, speed):
        made += _indexes(view, table)
        made.append(f"COMMENT ON TABLE {table} IS 'Partials of the live view {view.name}'")
    for dimension in view.dimensions:
        made += _dimension(view, dimension)
    return made


def _indexes(view: View, table: str) -> list[str]:
    """For readers that ask for one group. A text may be longer than a B-tree takes; a hash is of one column."""
    short = table.split(".")[1]
    plain = [k.name for k in view.keys if k.node.type.kind != "text"]
    made = [f"CREATE INDEX IF NOT EXISTS {short}_keys ON {table} ({', '.join(plain)})"] if plain else []
    for k in view.keys:
        if k.node.type.kind == "text":
            made.append(f"CREATE INDEX IF NOT EXISTS {short}_{k.name} ON {table} USING hash ({k.name})")
    return made


def _dimension(view: View, dimension: Dimension) -> list[str]:
    table = dimension_table(view, dimension)
    types = {c.name: c.postgres for c in dimension.table.columns}
    columns = [f"{quoted(c)} {types[c]}" for c in dimension.columns]
    own = ["gone boolean NOT NULL", "part integer NOT NULL", "upto bigint NOT NULL"]
    key = ", ".join(quoted(k) for k in dimension.table.key)
    return [
        f"CREATE TABLE IF NOT EXISTS {table} ({', '.join([*columns, *own])}, PRIMARY KEY ({key}))",
        f"CREATE OR REPLACE TRIGGER keep_latest BEFORE UPDATE ON {table}"
        " FOR EACH ROW EXECUTE FUNCTION speed.keep_latest()",
        f"COMMENT ON TABLE {table} IS 'Current rows of {dimension.table.name} for the live view {view.name}'",
    ]


def upsert(view: View, staged: str) -> list[str]:
    """The statements that put changed partials of the batch layer, absolute values in `staged`, into its table.

    In the transaction of SWITCH: readers see the old values with the old cut or the new ones with the new.
    """
    columns = ["group_key", *(k.name for k in view.keys), *(m.name for m in view.measures), "row_count"]
    sets = ", ".join(f"{c} = excluded.{c}" for c in columns[1:])
    listed = ", ".join(columns)
    return [
        f"INSERT INTO {batch_table(view)} ({listed}) SELECT {listed} FROM {staged}"
        f" ON CONFLICT (group_key) DO UPDATE SET {sets}"
    ]


def clear(view: View) -> str:
    """Removes partials of the speed layer below a chunk, %(below)s: a published cut less the grace (CORRECTNESS 11)."""
    return f"DELETE FROM {speed_table(view)} WHERE chunk < %(below)s"


def drop(view: View) -> list[str]:
    """Removes the tables of a version that no reader sees any more."""
    tables = [batch_table(view), speed_table(view), *(dimension_table(view, d) for d in view.dimensions)]
    return [f"DROP TABLE IF EXISTS {table}" for table in tables]


def quoted(identifier: str) -> str:
    """An identifier in PostgreSQL's quotes."""
    return '"' + identifier.replace('"', '""') + '"'
