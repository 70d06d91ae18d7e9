"""A PostgreSQL that takes TLS only, a real one: the serving database, a captured source, and Flink's driver."""

from __future__ import annotations

import psycopg
import pytest

from headrace.errors import HeadraceError
from headrace.ingest import database as sources
from headrace.ingest import debezium
from headrace.local.install import JARS
from headrace.project import load
from headrace.serve import schema
from headrace.serve.database import connect
from headrace.stream.sink import jdbc
from tests.engine.security.conftest import DATABASE_SECRET

ENCRYPTED = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
CONTRACT = """schema:
  - name: secured_rows
    properties:
      - {name: id, logicalType: integer, primaryKey: true}
"""
JDBC = """public class Main { public static void main(String[] given) throws Exception {
  try (var c = java.sql.DriverManager.getConnection(given[0], given[1], System.getenv("SECRET"));
       var rows = c.createStatement().executeQuery(given[2])) { rows.next(); System.out.print(rows.getBoolean(1)); }
}}"""


@pytest.fixture
def project(make_project, database, authority, monkeypatch):  # type: ignore[no-untyped-def]
    """project(authority): one that serves from the database and captures another one there."""
    for name in ("SERVING", "READER", "WRITER"):
        monkeypatch.setenv(f"HEADRACE_{name}_PASSWORD", DATABASE_SECRET)

    def make(trusted=authority.ca):  # type: ignore[no-untyped-def]
        where = f"postgresql://headrace:${{HEADRACE_SERVING_PASSWORD}}@{database}"
        secured = f"sslmode=verify-full&sslrootcert={trusted}"
        source = f'kind: postgresql\nconnection: {{url: "{where}/site?{secured}"}}\n'
        files = {
            "schemas/secured_rows.yaml": CONTRACT,
            "lake/sources/secured.yml": f"{source}tables: {{secured_rows: public.secured_rows}}\n",
        }
        made = load(make_project(files, serving=f"{where}/postgres?{secured}").root)
        assert not made.problems
        return made

    return make


def test_every_role_connects_over_tls(project):
    made = project()
    schema.ensure(made)
    for role in ("headrace", "writer", "reader"):
        with connect(made, role) as connection:
            assert connection.execute(ENCRYPTED).fetchone() == (True,)


def test_a_server_of_another_authority_is_refused(project, authority):
    with pytest.raises(HeadraceError, match="certificate verify failed") as error:
        connect(project(authority.other), "headrace")
    assert DATABASE_SECRET not in str(error.value) and "s3cret" not in str(error.value)


def test_the_server_takes_nothing_else(database):
    with pytest.raises(psycopg.OperationalError, match="no encryption"):
        psycopg.connect(f"postgresql://headrace@{database}/postgres?sslmode=disable")


def test_a_captured_source(project, authority):
    made = project()
    with sources.connect(made, made.source("secured")) as cursor:
        assert cursor.execute(ENCRYPTED).fetchone() == (True,)
    config = debezium.config(made, made.source("secured"), 1)
    assert config["database.sslmode"] == "verify-full"
    assert config["database.sslrootcert"] == str(authority.ca)
    wrong = project(authority.other)
    with (
        pytest.raises(HeadraceError, match="certificate verify failed"),
        sources.connect(wrong, wrong.source("secured")),
    ):
        pass


def test_the_driver_that_flink_writes_with(project, run_java):
    made = project()
    schema.ensure(made)
    url, user, secret = jdbc(made.addresses.serving("writer"))
    jars = list((JARS / "flink").glob("postgresql-*.jar"))
    assert run_java(JDBC, jars, url, user, ENCRYPTED, SECRET=secret) == "true"
