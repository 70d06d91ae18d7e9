"""Reads `lake/sources/*.yml`: one source per file, its name is the file's."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from headrace.errors import HeadraceError, Place, Problem, did_you_mean
from headrace.project import schedule
from headrace.project.connection import connection_problems, pairs
from headrace.project.contract import Contract
from headrace.project.limits import read_limits
from headrace.project.located import Located, read
from headrace.project.names import name_problem, table_problem
from headrace.project.neo4j_file import read_neo4j
from headrace.project.rest_file import read_rest
from headrace.project.source import KINDS, Source, Table

_KEYS = {"kind", "connection", "tables", "schedule", "limits", "description", "owner"}
_TABLE_KEYS = {"from", "watermark", "format"}  # those of rest and neo4j: rest_file.py, neo4j_file.py
_FORMATS = ("csv", "json", "parquet")
# kind → what a table of its databases lies in, and an example of one
_WITHIN = {
    "postgresql": ("schema", "public"),
    "mariadb": ("database", "database"),
    "cassandra": ("keyspace", "keyspace"),
}
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")


def read_source(
    path: Path, contracts: dict[str, Contract], broken: frozenset[str] = frozenset(), outside: tuple[str, ...] = ()
) -> Source:
    """Reads one source; raises HeadraceError with every mistake in the file, each at its line.

    `broken` names the tables whose contract is there but has mistakes of its own, `outside` the folders that a source
    of files may read besides those of the project.
    """
    doc = read(path)
    name = path.stem
    problems = [*doc.problems, *name_problem(name, "source", Place(path)), *doc.unknown((), _KEYS)]
    kind = doc.text(("kind",), problems)
    if kind not in KINDS:
        message = f"no such kind of source {kind!r}" if kind else "a source needs its `kind`"
        raise HeadraceError(*problems, Problem(message, doc.place("kind"), did_you_mean(kind, KINDS)))
    mode = KINDS[kind]
    problems += connection_problems(doc, kind, (path.parents[2], *map(Path, outside)))
    due = doc.text(("schedule",), problems, "@hourly")
    if mode != "cron" and doc.get("schedule") is not None:
        hint = "delete the line: its changes come as they happen"
        problems.append(Problem(f"a source of kind {kind} has no schedule", doc.place("schedule"), hint))
    elif wrong := schedule.problem(due, doc.place("schedule"), events=False):
        problems.append(wrong)
    limits = read_limits(doc, kind, problems)
    entries = doc.get("tables")
    if not isinstance(entries, dict) or not entries:
        message = "`tables` must name each table and where it comes from" if entries else "a source needs `tables`"
        raise HeadraceError(*problems, Problem(message, doc.place("tables"), "tables:\n  orders: public.orders"))
    tables = []
    for table in entries:
        if not isinstance(table, str):
            problems.append(Problem(f"{table!r} can't name a table", doc.place("tables", str(table)), "letters first"))
        elif table in contracts and kind == "rest":
            rest = read_rest(doc, table, contracts[table], problems)
            at = doc.place("tables", table)
            tables.append(Table(table, name, rest.path, f"{name}.{table}", contracts[table], at, rest=rest))
        elif table in contracts and kind == "neo4j":
            tables.append(read_neo4j(doc, table, name, contracts[table], problems))
        elif table in contracts:
            tables.append(_table(doc, table, name, kind, contracts[table], problems))
        else:
            problems += _without_contract(doc, table, contracts, broken)
    if problems:
        raise HeadraceError(*problems)
    return Source(
        name=name,
        kind=kind,
        tables=tuple(tables),
        place=doc.place("kind"),
        url=str(doc.get("connection", "url") or ""),
        path=str(doc.get("connection", "path") or ""),
        endpoint=str(doc.get("connection", "endpoint") or ""),
        region=str(doc.get("connection", "region") or ""),
        database=str(doc.get("connection", "database") or ("neo4j" if kind == "neo4j" else name)),
        server=str(doc.get("connection", "source") or ""),
        local=bool(doc.get("connection", "local")),
        schedule=due,
        headers=pairs(doc, ("connection", "headers"), []),  # its mistakes are among the connection's
        limits=limits,
    )


def named_tables(path: Path) -> tuple[str, ...]:
    """The tables that a source with mistakes seems to have, as far as its file can be read. Never raises."""
    try:
        entries = read(path).get("tables")
    except HeadraceError:
        return ()
    return tuple(name for name in entries if isinstance(name, str)) if isinstance(entries, dict) else ()


def _without_contract(
    doc: Located, table: str, contracts: dict[str, Contract], broken: frozenset[str]
) -> list[Problem]:
    place = doc.place("tables", table)
    wrong = table_problem(table, place)
    if wrong:
        return wrong
    if table in broken:
        hint = f"mend schemas/{table}.yaml first"
        return [Problem(f"table {table!r} can't be used: its contract has mistakes", place, hint, follows=True)]
    near = did_you_mean(table, contracts)
    hint = f"write schemas/{table}.yaml" + (f", or {near}" if near.startswith("did you mean") else "")
    return [Problem(f"table {table!r} has no contract", place, hint)]


def _table(doc: Located, table: str, source: str, kind: str, contract: Contract, problems: list[Problem]) -> Table:
    keys, mode = ("tables", table), KINDS[kind]
    entry = doc.get(*keys)
    before = len(problems)
    problems += doc.unknown(keys, _TABLE_KEYS) if isinstance(entry, dict) else []
    if isinstance(entry, dict):
        origin = doc.text((*keys, "from"), problems, table)
        watermark = doc.text((*keys, "watermark"), problems)
        format = doc.text((*keys, "format"), problems, "csv" if kind == "files" else "")
    else:
        origin, watermark, format = doc.text(keys, problems, table), "", "csv" if kind == "files" else ""
    at = doc.place(*keys, "from")
    if kind in _WITHIN and len(problems) == before and not re.fullmatch(r"[^.\s]+\.[^.\s]+", origin):
        word, schema = _WITHIN[kind]
        message = f"{origin!r} needs its {word}"
        problems.append(Problem(message, at, f"such as {schema}.{origin.rpartition('.')[2].strip() or table}"))
    if kind == "files" and (".." in PurePosixPath(origin).parts or origin.startswith("/")):
        problems.append(
            Problem(f"{origin!r} leads out of the source's folder", at, 'a pattern below it, such as "*.csv"')
        )
    if kind == "events" and not _TOPIC.fullmatch(origin):
        problems.append(Problem(f"{origin!r} can't name a topic", at, "letters, digits, . _ -"))
    if kind == "jdbc" and watermark not in contract.names:
        message = f"no such column {watermark!r}" if watermark else f"table {table!r} needs a `watermark`"
        hint = did_you_mean(watermark, contract.names) if watermark else "the column that grows with every change: "
        hint += "" if watermark else ", ".join(contract.names)
        problems.append(Problem(message, doc.place(*keys, "watermark"), hint))
    if watermark and kind != "jdbc":
        problems.append(
            Problem(f"a source of kind {kind} has no watermark", doc.place(*keys, "watermark"), "delete it")
        )
    if kind == "files" and format not in _FORMATS:
        problems.append(
            Problem(f"no such format {format!r}", doc.place(*keys, "format"), did_you_mean(format, _FORMATS))
        )
    topic = f"{source}.{origin}" if mode == "cdc" else origin if mode == "events" else f"{source}.{table}"
    return Table(table, source, origin, topic, contract, doc.place(*keys), watermark, format)
