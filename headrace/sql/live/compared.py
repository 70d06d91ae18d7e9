"""The comparison of both layers of a live view over the same chunks, as one statement of PostgreSQL.

It goes by the keys themselves, NULL like NULL. `group_key` tells keys apart within one layer only: Spark and Flink
write times and truth values as different texts.
"""

from __future__ import annotations

from headrace.sql.live import tables
from headrace.sql.live.text import listed
from headrace.sql.live.tree import Measure, View

DROPPED, DUPLICATE, CODE, LATE, UNKNOWN = CAUSES = ("dropped", "duplicate", "code version", "late", "unknown")
ROWS, IMAGES = "row_count", "images"
COLUMNS = ("compared", "causes", "lost", "lost_first", "lost_last", "key", "batch", "speed", "cause")


def query(view: View, staged: str) -> str:
    """What differs between `staged`, the batch layer's partials, and the speed table, in %(since)s <= chunk < %(cut)s.

    At most %(most)s rows of COLUMNS, and one, with nothing from `key` on, where nothing differs. `compared` is the
    number of keys, `causes` how many keys each cause has, `lost` the number of speed rows that lost their state, with
    their first and last chunk; these are the same in every row. `key` is a JSON object, `batch` and `speed` are objects
    of measures, `row_count` and `images`, or NULL where that layer has no row. Causes take turns: each has examples.

    Guarantee: all of it is of one snapshot. A key without a row is one with nothing but zeros.
    """
    keys = [k.name for k in view.keys]
    columns = listed([*keys, *(m.name for m in view.measures), ROWS, IMAGES])
    stretch = "chunk >= %(since)s AND chunk < %(cut)s"
    table = tables.speed_table(view)
    both = (
        f"SELECT {columns},\n  TRUE AS settled FROM {_named(staged)}\n"
        f"UNION ALL\nSELECT {columns},\n  FALSE FROM {table} WHERE {stretch}"
    )
    sums = {m.name: _function(m) for m in view.measures} | {ROWS: "SUM", IMAGES: "SUM"}
    sides = [*keys, *(f"{_side(f, n, s)} AS {s}_{n}" for s in "bs" for n, f in sums.items())]
    sides += ["bool_or(settled) AS in_batch", "bool_or(NOT settled) AS in_speed"]
    grouped = f"\nGROUP BY {', '.join(keys)}" if keys else ""
    same = [f"b_{n} IS NOT DISTINCT FROM s_{n}" for n in sums]
    blank = [f"{s}_{n} {'= 0' if f == 'SUM' else 'IS NULL'}" for s in "bs" for n, f in sums.items()]
    cause = (
        f"CASE WHEN {' AND '.join(same)} THEN NULL WHEN s_{IMAGES} < b_{IMAGES} THEN '{DROPPED}'"
        f" WHEN s_{IMAGES} > b_{IMAGES} THEN '{DUPLICATE}' WHEN s_{ROWS} = b_{ROWS} THEN '{CODE}' ELSE '{UNKNOWN}' END"
    )
    turn = "row_number() OVER (PARTITION BY cause" + (f" ORDER BY {', '.join(keys)})" if keys else ")")
    shown = [f"{_object(keys)} AS key"]
    for side, layer in (("b", "batch"), ("s", "speed")):
        values = _object([f"{side}_{n} AS {n}" for n in sums])
        shown.append(f"CASE WHEN in_{layer} THEN {values} END AS {layer}")
    return f"""WITH sides AS (
SELECT {listed(sides)}
FROM (
{both}
) AS p{grouped}
), judged AS MATERIALIZED (
SELECT *, {cause} AS cause, ({" AND ".join(blank)}) AS blank FROM sides
), wrong AS (
SELECT *, {turn} AS turn FROM judged WHERE cause IS NOT NULL
), kept AS (
SELECT {listed([*shown, "cause", "turn"])}
FROM wrong ORDER BY turn, cause LIMIT %(most)s
)
SELECT t.*, l.*, k.key, k.batch, k.speed, k.cause FROM (
SELECT (SELECT count(*) FROM judged WHERE NOT blank) AS compared,
  (SELECT jsonb_object_agg(cause, n) FROM (SELECT cause, count(*) AS n FROM wrong GROUP BY cause) AS c) AS causes
) AS t CROSS JOIN (
SELECT count(*) AS lost, min(chunk) AS lost_first, max(chunk) AS lost_last FROM {table} WHERE lost AND {stretch}
) AS l LEFT JOIN kept AS k ON TRUE ORDER BY k.turn, k.cause"""


def _function(measure: Measure) -> str:
    return measure.kind.upper() if measure.kind in {"min", "max"} else "SUM"


def _side(function: str, column: str, side: str) -> str:
    whole = f"{function}({column}) FILTER (WHERE {'' if side == 'b' else 'NOT '}settled)"
    return f"COALESCE({whole}, 0)" if function == "SUM" else whole


def _object(columns: list[str]) -> str:
    """A JSON object as text: its numbers keep every digit. A function that builds one takes a hundred values only."""
    return f"(SELECT to_jsonb(o)::text FROM (SELECT {', '.join(columns)}) AS o)" if columns else "'{}'"


def _named(table: str) -> str:
    return ".".join(tables.quoted(part) for part in table.split("."))
