"""Schemas, roles and ops tables of the serving database: made once, brought up to date by `ensure`."""

from __future__ import annotations

import hashlib

from headrace.errors import HeadraceError
from headrace.project import Project
from headrace.serve import masks, reconciliation, roles
from headrace.serve.database import connect
from headrace.sql.live import tables

SCHEMAS = ("batch", "speed", "live", "alerts", "ops", masks.SCHEMA)

TABLES = """
CREATE TABLE IF NOT EXISTS ops.runs (
  run_id uuid PRIMARY KEY, view text NOT NULL, started_at timestamptz NOT NULL DEFAULT now(), finished_at timestamptz,
  state text NOT NULL, error text, rows bigint, positions jsonb, code_version text,
  full_run boolean NOT NULL DEFAULT false);
ALTER TABLE ops.runs ADD COLUMN IF NOT EXISTS inputs jsonb, ADD COLUMN IF NOT EXISTS lake_version bigint;
CREATE INDEX IF NOT EXISTS runs_view ON ops.runs (view, started_at DESC);
CREATE TABLE IF NOT EXISTS ops.views (
  view text PRIMARY KEY, run_id uuid NOT NULL, positions jsonb NOT NULL, published_at timestamptz NOT NULL,
  code_version text NOT NULL, inputs jsonb NOT NULL DEFAULT '{}', lake_version bigint, rows bigint);
CREATE TABLE IF NOT EXISTS ops.stream_jobs (
  job text PRIMARY KEY, flink_job_id text, code_version text, state text, savepoint text, error text,
  updated_at timestamptz NOT NULL DEFAULT now());
ALTER TABLE ops.stream_jobs ADD COLUMN IF NOT EXISTS shape text, ADD COLUMN IF NOT EXISTS note text;
CREATE TABLE IF NOT EXISTS ops.speed_jobs (
  view text NOT NULL, version text NOT NULL, flink_job_id text NOT NULL, sound_at timestamptz NOT NULL,
  longest_outage double precision NOT NULL DEFAULT 0, PRIMARY KEY (view, version));
COMMENT ON TABLE ops.speed_jobs IS
  'Each speed job that was started, its newest checkpoint or begin that was seen, and its longest outage in seconds.';
CREATE TABLE IF NOT EXISTS ops.dead_jobs (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, job text NOT NULL, kind text NOT NULL, error text NOT NULL,
  positions jsonb, replay_command text NOT NULL, failed_at timestamptz NOT NULL DEFAULT now(), replayed_at timestamptz);
ALTER TABLE ops.dead_jobs ADD COLUMN IF NOT EXISTS dropped_at timestamptz, ADD COLUMN IF NOT EXISTS dropped_why text;
CREATE TABLE IF NOT EXISTS ops.certificates (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, source text NOT NULL, table_name text NOT NULL,
  taken_at timestamptz NOT NULL DEFAULT now(), verdict text NOT NULL, position text, rows bigint, checksum text,
  quarantined bigint, differences jsonb NOT NULL DEFAULT '{}', note text, seconds double precision);
CREATE TABLE IF NOT EXISTS ops.sources (
  source text PRIMARY KEY, state text NOT NULL, log_bytes bigint, log_seconds double precision, note text,
  checked_at timestamptz NOT NULL);
COMMENT ON TABLE ops.sources IS
  'Each captured source at its last check: bytes of log that its database keeps for us, age of what came last, notes.';
CREATE TABLE IF NOT EXISTS ops.masks (
  schema_name text NOT NULL, table_name text NOT NULL, column_name text NOT NULL, personal text[] NOT NULL,
  PRIMARY KEY (schema_name, table_name, column_name));
CREATE TABLE IF NOT EXISTS personal.errors (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, job text NOT NULL, error text NOT NULL,
  at timestamptz NOT NULL DEFAULT now());
COMMENT ON TABLE ops.masks IS 'Columns that readers see masked, and the personal columns of the sources behind them.';
COMMENT ON TABLE personal.errors IS 'Messages of jobs that read personal columns: engines quote values in them.';
COMMENT ON SCHEMA personal IS 'Rows with personal values, for the owner; readers see them masked in batch and alerts.';
CREATE TABLE IF NOT EXISTS ops.quality (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, run_id uuid NOT NULL, table_name text NOT NULL,
  check_name text NOT NULL, checked_at timestamptz NOT NULL DEFAULT now(), kind text NOT NULL, severity text NOT NULL,
  passed boolean, rows bigint, unexpected bigint, observed text, examples jsonb NOT NULL DEFAULT '[]',
  expectation text, note text, reason text, table_version text NOT NULL, definition text NOT NULL,
  seconds double precision);
CREATE INDEX IF NOT EXISTS quality_table ON ops.quality (table_name, id DESC);
COMMENT ON TABLE ops.quality IS
  'Every result of a quality check: passed is null when it could not be evaluated, and note says why.';
COMMENT ON TABLE ops.certificates IS
  'Every audit of a table: proven means source = fold of landing = current, less the keys in quarantine.';
COMMENT ON TABLE ops.runs IS 'Every run of a batch view: state is running, succeeded, unchanged, superseded or failed.';
COMMENT ON TABLE ops.views IS
  'The published run of each batch view and the positions it covers: table to partition to next offset.';
COMMENT ON TABLE ops.stream_jobs IS 'What each stream job runs as.';
COMMENT ON TABLE ops.dead_jobs IS 'Jobs that failed for good, with the command that runs them again.';
"""


def ensure(project: Project) -> None:
    """Makes schemas, roles, grants and ops tables as this version wants them; harmless and safe to call at any time,
    also from several processes at once. Cheap when there is nothing to do. Never drops anything."""
    import psycopg

    try:
        _ensure(project)
    except psycopg.errors.InsufficientPrivilege as error:
        hint = "the role in `serving:` of headrace.yml needs CREATE on its database, and CREATEROLE"
        raise HeadraceError(f"the serving database can't be set up: {str(error).strip()}", hint=hint) from None


def _ensure(project: Project) -> None:
    with connect(project, "headrace", autocommit=False) as connection:
        wanted = hashlib.sha256(_text().encode()).hexdigest()[:16]
        comment = "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = 'ops'"
        if (connection.execute(comment).fetchone() or ("",))[0] != f"headrace {wanted}":
            connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('headrace schema', 0))")
            connection.execute(_text())  # type: ignore[arg-type] - our own constant text
            connection.execute(f"COMMENT ON SCHEMA ops IS 'headrace {wanted}'")  # type: ignore[arg-type]
            roles.passwords(project, connection)
    roles.let_in(project)


def _text() -> str:
    lines = [roles.MAKE, *(f"CREATE SCHEMA IF NOT EXISTS {name};" for name in SCHEMAS)]
    return "\n".join([*lines, TABLES, tables.SHARED, reconciliation.TABLES, roles.rights()])
