"""The tables of a live view in PostgreSQL: partials of both layers, current rows of joined tables, and the cut.

All lie in the schema `speed`, which readers can't see, under names with the view's version: a new version is filled
beside the old one until one transaction switches (CORRECTNESS 13).
"""

from __future__ import annotations

import hashlib

from headrace.sql.live import flink
from headrace.sql.live.tree import Dimension, Measure, View
from headrace.sql.live.types import written

GENERATOR = "1"  # part of every live view's version: raise it when any generated text changes its meaning
CUTS = "ops.live_views"
STAGED = "staged_partials"

# One row per live view: which version readers see, the first chunk that the speed layer answers for, and where the
# speed layer begins when it must begin anew (table to partition to offset); `landed` is how far the batch layer read.
SHARED = f"""
CREATE TABLE IF NOT EXISTS {CUTS} (
  view text PRIMARY KEY, version text NOT NULL, generation integer NOT NULL DEFAULT 0, cut bigint NOT NULL,
  run_id uuid NOT NULL, as_of timestamptz NOT NULL, begins jsonb NOT NULL DEFAULT '{{}}',
  landed jsonb NOT NULL DEFAULT '{{}}', joined jsonb NOT NULL DEFAULT '{{}}', folded jsonb NOT NULL DEFAULT '{{}}',
  switched_at timestamptz NOT NULL DEFAULT now());
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
CREATE OR REPLACE FUNCTION speed.cut_of(wanted_view text, wanted_version text) RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
DECLARE known ops.live_views;
BEGIN
  -- A transaction that reads one snapshot for long sees the new text of a view with the old rows: none of them.
  SELECT * INTO known FROM ops.live_views WHERE view = wanted_view;
  IF known.version <> wanted_version THEN
    RAISE EXCEPTION 'the live view % was made anew during this transaction', wanted_view
      USING ERRCODE = 'serialization_failure', HINT = 'run the transaction again';
  END IF;
  RETURN known.cut;
END $$;
CREATE OR REPLACE FUNCTION speed.keep_latest() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RETURN CASE WHEN NEW.part = OLD.part AND NEW.upto < OLD.upto THEN NULL ELSE NEW END;
END $$;
"""

SWITCH = f"""
INSERT INTO {CUTS} AS known (view, version, generation, cut, run_id, as_of, begins, landed, joined, folded)
VALUES (%(view)s, %(version)s, %(generation)s, %(cut)s, %(run_id)s, %(as_of)s, %(begins)s, %(landed)s, %(joined)s,
  %(folded)s)
ON CONFLICT (view) DO UPDATE SET version = excluded.version, cut = excluded.cut, run_id = excluded.run_id,
  as_of = excluded.as_of, begins = excluded.begins, landed = excluded.landed, joined = excluded.joined,
  folded = excluded.folded, switched_at = now()
WHERE known.run_id = %(base)s AND known.cut <= excluded.cut
"""


LEFTOVERS = """
SELECT relname FROM pg_class WHERE relnamespace = 'speed'::regnamespace AND relkind = 'r'
AND obj_description(oid, 'pg_class') LIKE '%% of the live view ' || %(view)s AND right(relname, 16) <> %(version)s
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
    asked = [*view.groups, *(n for d in view.dimensions for _, n in d.on)]
    used = {n.value for node in asked for n in node.walk() if n.op == "key"}  # nobody asks for a value that is counted
    plain = [k.name for k in view.keys if k.name in used and k.node.type.kind != "text"]
    made = [f"CREATE INDEX IF NOT EXISTS {short}_keys ON {table} ({', '.join(plain)})"] if plain else []
    for k in view.keys:
        if k.name in used and k.node.type.kind == "text":
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
        f"COMMENT ON TABLE {table} IS 'Current rows of {dimension.table.name} of the live view {view.name}'",
    ]


def stage(view: View) -> str:
    """A temporary table for partials of the batch layer, as Spark gives them; `images` says how many rows each sums."""
    keys = [f"{k.name} {written(k.node.type, 'postgres')}" for k in view.keys]
    measures = [f"{m.name} {written(m.type, 'postgres')}" for m in view.measures]
    columns = ["group_key text", *keys, *measures, "row_count bigint", "images bigint"]
    return f"CREATE TEMPORARY TABLE {STAGED} ({', '.join(columns)})"


def staged_columns(view: View) -> list[str]:
    return ["group_key", *(k.name for k in view.keys), *(m.name for m in view.measures), "row_count", "images"]


def add(view: View) -> list[str]:
    """The statements that add the staged partials, those between the old cut and the new, to the batch table.

    In the transaction of SWITCH, whose compare-and-set lets only one run add to each cut: readers see the old sums with
    the old cut or the new ones with the new. A key goes away only when nothing at all is left of it: after a step of
    the broker's clock, rows may be taken back before they came, and what is owed until then counts.
    """
    columns = staged_columns(view)[:-1]
    table, listed = batch_table(view), ", ".join(columns)
    sets = ", ".join(
        [*(f"{m.name} = {_sum(m)}" for m in view.measures), "row_count = b.row_count + excluded.row_count"]
    )
    made = [
        f"INSERT INTO {table} AS b ({listed}) SELECT {listed} FROM {STAGED}"
        f" ON CONFLICT (group_key) DO UPDATE SET {sets}"
    ]
    made.append(
        f"DELETE FROM {table} AS b USING {STAGED} AS s WHERE b.group_key = s.group_key AND {nothing(view, 'b.')}"
    )
    return made


def nothing(view: View, of: str = "") -> str:
    """The condition that nothing is left of a partial. Never so of MIN and MAX: what they were made of does not go."""
    if any(m.kind in {"min", "max"} for m in view.measures):
        return "false"
    return " AND ".join(f"{of}{c} = 0" for c in [*(m.name for m in view.measures), "row_count"])


def replace(view: View) -> list[str]:
    """The statements that make the staged partials, those of everything below a cut, all that the batch table has."""
    listed = ", ".join(staged_columns(view)[:-1])
    return [
        f"DELETE FROM {batch_table(view)}",
        f"INSERT INTO {batch_table(view)} ({listed}) SELECT {listed} FROM {STAGED}",
    ]


def _sum(measure: Measure) -> str:
    ours, new = f"b.{measure.name}", f"excluded.{measure.name}"
    if measure.kind in {"min", "max"}:
        return f"{'LEAST' if measure.kind == 'min' else 'GREATEST'}({ours}, {new})"
    return f"{ours} + {new}"


def clear(view: View) -> str:
    """Removes partials of the speed layer below a chunk, %(below)s: a published cut less the grace (CORRECTNESS 11)."""
    return f"DELETE FROM {speed_table(view)} WHERE chunk < %(below)s"


def quoted(identifier: str) -> str:
    """An identifier in PostgreSQL's quotes."""
    return '"' + identifier.replace('"', '""') + '"'
