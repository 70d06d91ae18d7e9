"""The record of reconciliations in the serving database: of each stretch of the log, whether both layers agree.

Keys that differ lie in the schema `personal`; `ops.reconciliation_keys` shows them to readers, less personal values.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from headrace.serve.masks import MASK

if TYPE_CHECKING:
    import psycopg

KEPT = 20  # reconciliations of a view of which the keys are kept: one that fails is tried again and again
KEYS, ALERTS = "ops.reconciliation_keys", "alerts.headrace_reconciliation"


def _shown(column: str) -> str:
    masked = f"CASE WHEN e.key = ANY (k.hidden) THEN to_jsonb('{MASK}'::text) ELSE e.value END"
    each = f"(SELECT jsonb_object_agg(e.key, {masked}) FROM jsonb_each(k.{column}) AS e)"
    return f"CASE WHEN k.{column} = '{{}}' OR k.hidden = '{{}}' THEN k.{column} ELSE {each} END AS {column}"


TABLES = f"""
CREATE TABLE IF NOT EXISTS ops.reconciliation (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, view text NOT NULL, version text NOT NULL, run_id uuid NOT NULL,
  since bigint NOT NULL, cut bigint NOT NULL, chunk_seconds integer NOT NULL, state text NOT NULL,
  keys bigint NOT NULL, differing bigint NOT NULL, causes jsonb NOT NULL DEFAULT '{{}}', reason text,
  at timestamptz NOT NULL DEFAULT now());
CREATE INDEX IF NOT EXISTS reconciliation_view ON ops.reconciliation (view, id DESC);
CREATE TABLE IF NOT EXISTS personal.reconciliation_keys (
  reconciliation bigint NOT NULL REFERENCES ops.reconciliation ON DELETE CASCADE, place integer NOT NULL,
  cause text NOT NULL, key jsonb NOT NULL, batch jsonb, speed jsonb, hidden text[] NOT NULL DEFAULT '{{}}',
  PRIMARY KEY (reconciliation, place));
CREATE OR REPLACE VIEW {KEYS} AS
  SELECT k.reconciliation, r.view, k.place, k.cause, {", ".join(map(_shown, ("key", "batch", "speed")))},
    k.hidden <> '{{}}' AS masked
  FROM personal.reconciliation_keys AS k JOIN ops.reconciliation AS r ON r.id = k.reconciliation;
CREATE OR REPLACE VIEW {ALERTS} AS
  SELECT md5(concat_ws('|', r.view, r.version, r.since)) AS alert_id, 'page'::text AS severity, min(r.at) AS raised_at,
    r.view, r.version, r.since, max(r.cut) AS cut, max(r.differing) AS differing, count(*) AS times,
    (array_agg(r.causes ORDER BY r.id DESC))[1] AS causes, NOT EXISTS (
      SELECT FROM ops.reconciliation AS n WHERE n.view = r.view AND n.id > max(r.id)
      AND (n.state = 'equal' OR n.version <> r.version)) AS is_open,
    format('headrace reconcile %s', r.view) AS command
  FROM ops.reconciliation AS r WHERE r.state = 'different' GROUP BY r.view, r.version, r.since;
COMMENT ON TABLE ops.reconciliation IS
  'Every comparison of a live view''s layers, chunks since <= chunk < cut: state is equal, different or unproven.';
COMMENT ON VIEW {KEYS} IS 'The keys that differed, with the values of both layers; at most 1,000 of each comparison.';
COMMENT ON VIEW {ALERTS} IS
  'Live views whose layers differed: one alert per view, version and published cut, open until both agree again.';
COMMENT ON TABLE personal.reconciliation_keys IS 'The keys of ops.reconciliation_keys with all values, for the owner.';
"""

Key = tuple[str, Mapping[str, Any], Mapping[str, Any] | None, Mapping[str, Any] | None]  # cause, key, batch, speed


def add(connection: psycopg.Connection, row: Mapping[str, Any], keys: Sequence[Key], hidden: Sequence[str]) -> int:
    """Adds a comparison and its keys in one transaction; returns its id. `row` has the columns of ops.reconciliation
    from `view` to `reason`; `hidden` names the values that readers don't see."""
    names = ("view", "version", "run_id", "since", "cut", "chunk_seconds", "state", "keys", "differing", "reason")
    values = ", ".join(f"%({n})s" for n in (*names, "causes"))
    with connection.transaction(), connection.cursor() as cursor:
        found = cursor.execute(
            f"INSERT INTO ops.reconciliation ({', '.join(names)}, causes) VALUES ({values}) RETURNING id",  # type: ignore[arg-type]
            {**row, "causes": to_json(row["causes"])},
        ).fetchone()
        assert found is not None
        cursor.executemany(
            "INSERT INTO personal.reconciliation_keys (reconciliation, place, cause, key, batch, speed, hidden)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s)",
            [
                (found[0], place, cause, *map(to_json, (key, batch, speed)), list(hidden))
                for place, (cause, key, batch, speed) in enumerate(keys, 1)
            ],
        )
        cursor.execute(
            """DELETE FROM personal.reconciliation_keys WHERE reconciliation IN (SELECT id FROM ops.reconciliation
            WHERE view = %s AND differing > 0 ORDER BY id DESC OFFSET %s)""",
            (row["view"], KEPT),
        )
        return found[0]


def newest(connection: psycopg.Connection, view: str, state: str = "") -> dict[str, Any] | None:
    """The newest comparison of a view, or the newest with a state, as a row of ops.reconciliation; None without one.

    `replaced` says whether readers see another version by now, `open_since` when a difference was found first that no
    later comparison has shown to be gone.
    """
    from psycopg.rows import dict_row

    with connection.cursor(row_factory=dict_row) as cursor:
        query = f"""SELECT r.*, (SELECT min(a.raised_at) FROM {ALERTS} AS a WHERE a.view = r.view AND a.is_open)
            AS open_since FROM ops.reconciliation AS r WHERE r.view = %(view)s AND %(state)s IN ('', r.state)
            ORDER BY r.id DESC LIMIT 1"""
        row = cursor.execute(query, {"view": view, "state": state}).fetchone()  # type: ignore[arg-type]
        if row is None:
            return None
        known = None
        if _is_there(connection):
            known = cursor.execute("SELECT version FROM ops.live_views WHERE view = %s", (view,)).fetchone()
        return row | {"replaced": known is not None and known["version"] != row["version"]}


def keys(connection: psycopg.Connection, reconciliation: int) -> list[dict[str, Any]]:
    """What differed in a comparison as readers see it: cause, key, batch, speed, masked. Numbers keep all digits."""
    query = f"SELECT cause, key::text, batch::text, speed::text, masked FROM {KEYS}"
    rows = connection.execute(f"{query} WHERE reconciliation = %s ORDER BY place", (reconciliation,)).fetchall()  # type: ignore[arg-type]
    return [
        {"cause": cause, "key": from_json(key), "batch": from_json(batch), "speed": from_json(speed), "masked": masked}
        for cause, key, batch, speed, masked in rows
    ]


def repair(connection: psycopg.Connection, view: str) -> int | None:
    """Raises the generation of a published live view and returns it; None when the view was never published.

    Its next run fills a new version beside the old one, with a speed job of its own that begins at the cut with empty
    state. Readers see the old version until one transaction switches.
    """
    if not _is_there(connection):
        return None
    query = "UPDATE ops.live_views SET generation = generation + 1 WHERE view = %s RETURNING generation"
    found = connection.execute(query, (view,)).fetchone()
    return found[0] if found else None


def _is_there(connection: psycopg.Connection) -> bool:
    found = connection.execute("SELECT to_regclass('ops.live_views') IS NOT NULL").fetchone()
    return bool(found and found[0])


def to_json(value: Mapping[str, Any] | None) -> str | None:
    """An object of plain values as JSON; decimals keep every digit."""
    if value is None:
        return None
    return "{" + ", ".join(f"{json.dumps(n)}: {_number(v)}" for n, v in value.items()) + "}"


def from_json(text: str | None) -> dict[str, Any] | None:
    """The reverse of to_json."""
    return None if text is None else json.loads(text, parse_float=Decimal)


def _number(value: Any) -> str:
    return str(value) if isinstance(value, Decimal) else json.dumps(value, default=str)
