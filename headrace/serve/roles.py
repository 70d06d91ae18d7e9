"""Roles of the serving database: `headrace` owns schemas and roles, `writer` fills them, `reader` only reads.

The parts of Headrace run as `writer`: it owns the tables and views that they make, and can drop no schema, make no role
and read no file of the server. User's SQL runs as `reader`. A view's tables are read with its owner's rights, the
writer's; what a query calls in it runs with the reader's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.errors import HeadraceError
from headrace.project import Project
from headrace.serve.database import connect

if TYPE_CHECKING:
    import psycopg

FILLED = ("batch", "speed", "live", "alerts", "personal")  # the writer makes and drops tables here
READABLE = ("batch", "live", "alerts", "ops")  # `speed` has unfinished sums, `personal` what readers see masked
READER_TIMEOUT = "60s"  # a dashboard's runaway query must not starve the alert path
_READER = {
    # live before batch: where a view has a speed layer, its plain name means the merged one.
    "search_path": "live, batch, alerts, ops",
    "default_transaction_read_only": "on",
    "statement_timeout": f"'{READER_TIMEOUT}'",
    "timezone": "'UTC'",
}
# Everybody may call these unless told otherwise: they fill the disk, and hold the locks that Headrace's runs wait for.
_CLOSED = "^(pg_(try_)?advisory_.*|lo_(creat|create|from_bytea|put)|pg_logical_emit_message)$"
MAKE = "\n".join(
    f"DO $$ BEGIN CREATE ROLE {role} LOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;"
    for role in ("reader", "writer")
)


def rights() -> str:
    """SQL that gives each role its rights on schemas, tables and functions that are there, and on later ones."""
    lines = [
        # So that the owner, where it is no superuser, may do with the writer's tables what it may with its own.
        "GRANT writer TO CURRENT_USER;",
        _each_database("REVOKE TEMPORARY, CREATE ON DATABASE %I FROM PUBLIC"),
        _each_database("GRANT CONNECT ON DATABASE %I TO reader, writer"),
        _each_database("GRANT TEMPORARY ON DATABASE %I TO writer"),
        "REVOKE ALL ON SCHEMA personal, speed FROM PUBLIC, reader;",
        "GRANT USAGE ON SCHEMA ops TO writer;",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ops TO writer;",
    ]
    for schema in FILLED:
        lines.append(f"GRANT USAGE, CREATE ON SCHEMA {schema} TO writer;")
    lines.append(_HANDED_OVER)
    for schema in READABLE:
        lines.append(f"GRANT USAGE ON SCHEMA {schema} TO reader;")
        lines.append(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO reader;")
        for maker in ("", "FOR ROLE writer "):
            lines.append(f"ALTER DEFAULT PRIVILEGES {maker}IN SCHEMA {schema} GRANT SELECT ON TABLES TO reader;")
    lines.append(_WITHOUT_DANGER)
    lines += [_each_database(f"ALTER ROLE reader IN DATABASE %I SET {name} = {_READER[name]}") for name in _READER]
    return "\n".join(lines)


# What an earlier version made as the owner, and what `ensure` makes in these schemas.
_HANDED_OVER = f"""DO $$ DECLARE made record; BEGIN
FOR made IN SELECT c.oid::regclass AS name, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname IN ({", ".join(f"'{schema}'" for schema in FILLED)}) AND c.relkind IN ('r', 'p', 'v', 'm')
    AND c.relowner = (SELECT oid FROM pg_roles WHERE rolname = CURRENT_USER) LOOP
  EXECUTE format('ALTER %s %s OWNER TO writer',
    CASE made.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END, made.name);
END LOOP; END $$;"""
# Only a superuser may: on a cluster where the owner is none, its administrator does it.
_WITHOUT_DANGER = f"""DO $$ DECLARE called regprocedure; BEGIN
FOR called IN SELECT oid FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND proname ~ '{_CLOSED}' LOOP
  EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', called);
  EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO writer', called);
END LOOP; EXCEPTION WHEN insufficient_privilege THEN NULL; END $$;"""


def _each_database(statement: str) -> str:
    text = statement.replace("'", "''")
    return f"DO $$ BEGIN EXECUTE format('{text}', current_database()); END $$;"


def passwords(project: Project, connection: psycopg.Connection) -> None:
    """Gives the roles the passwords that the environment has for them."""
    from psycopg import sql

    for role in ("reader", "writer"):
        secret = sql.Literal(project.addresses.secret(f"HEADRACE_{role.upper()}_PASSWORD"))
        connection.execute(sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(role), secret))


def let_in(project: Project) -> None:
    """Returns when both roles can connect: a password that changed in the environment since is taken over."""
    try:
        for role in ("reader", "writer"):
            connect(project, role).close()
    except HeadraceError:
        with connect(project, "headrace", autocommit=False) as connection:
            connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('headrace schema', 0))")
            passwords(project, connection)
        for role in ("reader", "writer"):
            connect(project, role).close()
