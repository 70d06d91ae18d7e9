"""Roles of the serving database, against a real PostgreSQL: what a reader and a writer can't do."""

from __future__ import annotations

import psycopg
import pytest

from headrace.project import Project, load
from headrace.serve import reading, schema
from headrace.serve.database import connect

REFUSED = (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction)
DISK = "'/etc/passwd'"


@pytest.fixture(scope="module")
def served(shared, make_project) -> Project:
    """A project whose serving database has a view that a writer made."""
    project = make_project({}, on=shared("postgres"))
    schema.ensure(project)
    with connect(project) as connection:
        connection.execute("CREATE TABLE batch.sales AS SELECT 1 AS id, 10 AS total")
        connection.execute("CREATE TABLE speed.hidden AS SELECT 1 AS id")
        connection.execute("CREATE TABLE personal.names AS SELECT 'Ada' AS name")
        connection.execute("CREATE VIEW live.sales_now AS SELECT id FROM speed.hidden")
    return project


def refused(project: Project, role: str, statement: str) -> None:
    """The statement fails for lack of a right, also when the session takes back that it only reads."""
    for before in ("SELECT 1", "SET default_transaction_read_only = off"):
        with connect(project, role) as connection:
            connection.execute(before)
            with pytest.raises(REFUSED):
                connection.execute(statement)
    with connect(project, role) as connection:
        connection.execute("SET default_transaction_read_only = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)


def test_a_reader_reads_what_it_may(served):
    assert reading.query(served, "SELECT total FROM sales").rows == [(10,)]
    assert reading.query(served, "SELECT id FROM sales_now").rows == [(1,)]
    assert reading.query(served, "SELECT current_user").rows == [("reader",)]
    assert reading.query(served, "SHOW statement_timeout").rows == [("1min",)]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO batch.sales VALUES (2, 20)",
        "UPDATE batch.sales SET total = 0",
        "DELETE FROM batch.sales",
        "TRUNCATE batch.sales",
        "DELETE FROM ops.runs",
        "CREATE TABLE batch.mine (id int)",
        "CREATE TABLE public.mine (id int)",
        "CREATE TEMP TABLE mine (id int)",
        "CREATE SCHEMA mine",
        "CREATE FUNCTION batch.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "DROP TABLE batch.sales",
        "ALTER TABLE batch.sales ADD COLUMN x int",
        "DROP VIEW live.sales_now",
        "SELECT * FROM speed.hidden",
        "SELECT * FROM personal.names",
        "SELECT * FROM pg_authid",
        "SELECT * FROM pg_shadow",
        "SELECT * FROM pg_hba_file_rules",
        f"SELECT pg_read_file({DISK})",
        f"SELECT pg_read_binary_file({DISK})",
        "SELECT pg_ls_dir('.')",
        f"SELECT lo_import({DISK})",
        "SELECT lo_create(0)",
        "SELECT lo_from_bytea(0, 'x')",
        "COPY batch.sales TO PROGRAM 'cat'",
        "COPY (SELECT 1) TO '/tmp/headrace-never'",
        f"COPY batch.sales FROM {DISK}",
        "CREATE EXTENSION dblink",
        "CREATE EXTENSION file_fdw",
        "LOAD 'dblink'",
        "SELECT pg_advisory_lock(1)",
        "SELECT pg_try_advisory_xact_lock(1, 1)",
        "SELECT pg_reload_conf()",
        "SELECT pg_terminate_backend(pg_backend_pid()) FROM pg_stat_activity WHERE usename = 'headrace'"
        " UNION ALL SELECT pg_logical_emit_message(true, 'x', 'y')::text::boolean",
        "ALTER SYSTEM SET work_mem = '1GB'",
        "CREATE ROLE mine",
        "ALTER ROLE headrace PASSWORD 'x'",
        "SET ROLE writer",
        "SET ROLE headrace",
        "SET SESSION AUTHORIZATION headrace",
    ],
)
def test_a_reader_can_not(served, statement):
    refused(served, "reader", statement)


@pytest.mark.parametrize(
    "statement",
    [
        "DROP SCHEMA batch CASCADE",
        "ALTER SCHEMA batch OWNER TO writer",
        "ALTER SCHEMA batch RENAME TO x",
        "CREATE SCHEMA mine",
        "CREATE TABLE ops.mine (id int)",
        "CREATE TABLE public.mine (id int)",
        "DROP TABLE ops.runs",
        "ALTER TABLE ops.runs ADD COLUMN x int",
        "DROP FUNCTION speed.cut_of(text, text)",
        "CREATE ROLE mine",
        "ALTER ROLE reader PASSWORD 'x'",
        "SET ROLE headrace",
        "SELECT * FROM pg_authid",
        f"SELECT pg_read_file({DISK})",
        "COPY batch.sales TO PROGRAM 'cat'",
        f"SELECT lo_import({DISK})",
        "CREATE EXTENSION dblink",
        "ALTER SYSTEM SET work_mem = '1GB'",
    ],
)
def test_a_writer_can_not(served, statement):
    with connect(served) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)


def test_no_schema_is_the_writers_and_every_view_is(served):
    """Else a function in a live view would run with the rights of a superuser."""
    with connect(served, "headrace") as connection:
        owned = "SELECT n.nspname, r.rolname FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner"
        schemas = dict(connection.execute(f"{owned} WHERE nspname = ANY (%s)", (list(schema.SCHEMAS),)).fetchall())
        made = connection.execute(
            "SELECT DISTINCT c.relowner::regrole::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname IN ('batch', 'live', 'alerts', 'speed') AND c.relkind IN ('r', 'v')"
        ).fetchall()
    assert set(schemas) == set(schema.SCHEMAS) and set(schemas.values()) == {"headrace"}
    assert made == [("writer",)]


def test_other_databases_are_closed(served):
    for role in ("reader", "writer"):
        address = served.addresses.serving(role).rpartition("/")[0]
        for database in ("airflow", "postgres"):
            with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
                psycopg.connect(f"{address}/{database}")


def test_what_an_earlier_version_made_is_handed_over(served):
    """Before there was a writer, the owner made the views."""
    with connect(served, "headrace") as connection:
        connection.execute("CREATE TABLE batch.older AS SELECT 1 AS id")
        connection.execute("CREATE VIEW live.older_now AS SELECT * FROM batch.older")
        connection.execute("COMMENT ON SCHEMA ops IS 'headrace of yesterday'")
    schema.ensure(served)
    assert reading.query(served, "SELECT id FROM older_now").rows == [(1,)]
    with connect(served) as connection:
        connection.execute("DROP VIEW live.older_now")
        connection.execute("DROP TABLE batch.older")


def test_an_owner_that_is_no_superuser(served, make_project, monkeypatch):
    """As on a cluster: a role with CREATEROLE and its own database makes everything, and the rest works under it."""
    with connect(served, "headrace") as connection:
        connection.execute("CREATE ROLE landlord LOGIN CREATEROLE PASSWORD 'landlords-secret'")
        connection.execute("GRANT writer, reader TO landlord WITH ADMIN OPTION")
        connection.execute("CREATE DATABASE let OWNER landlord")
    monkeypatch.setenv("LANDLORD_PASSWORD", "landlords-secret")
    where = served.settings.serving.rpartition("@")[2].rpartition("/")[0]
    rented = make_project({}, serving=f"postgresql://landlord:${{LANDLORD_PASSWORD}}@{where}/let")
    (rented.root / ".headrace").mkdir()
    secrets = rented.root / ".headrace" / "secrets.env"
    secrets.touch(mode=0o600)
    secrets.write_text((served.root / ".headrace" / "secrets.env").read_text())
    rented = load(rented.root)
    schema.ensure(rented)
    schema.ensure(rented)
    with connect(rented) as connection:
        connection.execute("CREATE TABLE batch.sales AS SELECT 1 AS id")
        connection.execute("DELETE FROM ops.runs")
    assert reading.query(rented, "SELECT id FROM sales").rows == [(1,)]
    with connect(rented, "headrace") as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("landlord",)
        connection.execute("DROP TABLE batch.sales")  # the writer's: the owner may, as its member
