"""What a source said of itself as the files of a project: one in lake/sources/, and a contract per table."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

from headrace.project import guess
from headrace.project.found import FoundColumn, FoundSource, FoundTable
from headrace.project.source import KINDS

_COLUMN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLAIN = "apiVersion: v3.1.0\nkind: DataContract\nid: {0}\nversion: 1.0.0\nstatus: proposed\n"


@dataclass(frozen=True)
class Proposal:
    """Files by their path in the project, and what a person should know about them."""

    files: Mapping[str, str]
    tables: tuple[str, ...]  # names in the project, each with a contract of that name
    lines: Mapping[str, str] = field(default_factory=dict)  # path → what is in the file, in a few words
    skipped: tuple[tuple[str, str], ...] = ()  # where a table comes from, and why it is not taken
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Table:
    name: str
    found: FoundTable
    watermark: tuple[str, str, str] = ("", "", "")
    event_time: str = ""
    personal: tuple[str, ...] = ()


def propose(name: str, source: FoundSource, taken: Collection[str] = ()) -> Proposal:
    """The files of a source called `name`. `taken` are the names that its tables can't have. Pure: nothing is written.

    What `headrace check` would refuse is left out and named: a table without a key, a column whose name SQL can't say.
    """
    names = set(taken)
    tables: list[_Table] = []
    skipped: list[tuple[str, str]] = []
    for found in map(_named, source.tables):
        table = _Table("", found, watermark=guess.watermark(found.columns) if source.kind == "jdbc" else ("", "", ""))
        if why := _refusal(source.kind, table):
            skipped.append((found.origin, why))
            continue
        chosen = guess.table_name(name, found.name, names)
        names.add(chosen)
        columns = [c.column for c in found.columns]
        tables.append(
            replace(
                table,
                name=chosen,
                event_time=guess.event_time(columns, KINDS[source.kind]),
                personal=tuple(c.name for c in columns if guess.personal(found.name, c)),
            )
        )
    files = {f"schemas/{t.name}.yaml": _contract(name, source, t) for t in tables}
    path = f"lake/sources/{name}.yml"
    lines = {path: f"{source.kind}, {len(tables)} table{'' if len(tables) == 1 else 's'}"}
    lines |= {f"schemas/{t.name}.yaml": _line(t) for t in tables}
    notes = [*source.notes, *(f"{t.name}: {note}" for t in tables for note in _notes(t))]
    text = _source(source, tables, skipped)
    return Proposal({path: text, **files}, tuple(t.name for t in tables), lines, tuple(skipped), tuple(notes))


def _named(found: FoundTable) -> FoundTable:
    """The table without the columns that a contract can't name."""
    kept: dict[str, FoundColumn] = {}
    left_out = list(found.left_out)
    for column in found.columns:
        if not _COLUMN_NAME.fullmatch(column.name):
            left_out.append((column.name, "its name has other characters than letters, digits and _"))
        elif column.name.lower() in kept:
            left_out.append((column.name, f"but for large and small letters it is called as {column.name.lower()}"))
        else:
            kept[column.name.lower()] = column
    lost = [c.name for c in found.columns if c.column.key and kept.get(c.name.lower()) is not c]
    skip = found.skip or (f"its key has the column {lost[0]!r}, which a contract can't name" if lost else "")
    return replace(found, columns=tuple(kept.values()), left_out=tuple(left_out), skip=skip)


def _refusal(kind: str, table: _Table) -> str:
    found = table.found
    if found.skip:
        return found.skip
    if not found.columns:
        return "it has no column that a contract can have"
    if not any(c.column.key for c in found.columns):
        return "it has no primary key: nothing tells its rows apart"
    if kind == "jdbc" and not table.watermark[0]:
        return "it has no column that grows with every change, such as updated_at"
    return ""


def _line(table: _Table) -> str:
    columns = table.found.columns
    key = ", ".join(c.name for c in columns if c.column.key)
    text = f"{len(columns)} column{'' if len(columns) == 1 else 's'}, key {key}"
    text += f", pulled by {table.watermark[0]} ({table.watermark[1]})" if table.watermark[0] else ""
    return text + (f"; taken to be personal: {', '.join(table.personal)}" if table.personal else "")


def _notes(table: _Table) -> Iterator[str]:
    yield from table.found.notes
    if table.watermark[2]:
        yield table.watermark[2]
    for column, why in table.found.left_out:
        yield f"column {column} is not in the contract: {why}"


def _source(source: FoundSource, tables: list[_Table], skipped: Iterable[tuple[str, str]]) -> str:
    lines = [*_comment(source.about), f"kind: {source.kind}"]
    if KINDS[source.kind] == "cron":
        lines.append('schedule: "@hourly"')
    lines += [f"connection: {flow(dict(source.connection))}", "tables:"]
    for table in tables:
        settings = dict(table.found.settings)
        if table.watermark[0]:
            lines += _comment(f"{table.watermark[0]}: {table.watermark[1]}.", "  ")
            settings["watermark"] = table.watermark[0]
        lines += [line for note in table.found.notes for line in _comment(note, "  ")]
        origin = {} if source.kind == "rest" else {"from": table.found.origin}
        entry: Any = origin | settings if settings else table.found.origin
        lines.append(f"  {flow(table.name)}: {flow(entry)}")
    if listed := [line for origin, why in skipped for line in _comment(f"  {origin}: {why}")]:
        lines += ["# Not taken:", *listed]
    return "\n".join(lines) + "\n"


def _contract(name: str, source: FoundSource, table: _Table) -> str:
    found = table.found
    lines = _comment(f"Proposed from {found.origin} of the source {name}. Read it through: it is yours to change.")
    lines += _PLAIN.format(table.name).splitlines()
    if found.description:
        lines += ["description:", f"  purpose: {flow(found.description)}"]
    lines += ["schema:", f"  - name: {table.name}", f"    physicalName: {flow(found.name)}"]
    if found.unique:
        lines.append("    quality:")
        lines += [
            f"      - {flow({'metric': 'duplicateValues', 'arguments': {'properties': list(u)}, 'mustBe': 0})}"
            for u in found.unique
        ]
    lines.append("    properties:")
    position = 0
    for column in found.columns:
        position += column.column.key
        lines += _column(column, position, column.name in table.personal)
    for left_out, why in found.left_out:
        lines += _comment(f"Not here: {left_out}: {why}.", "      ")
    if table.event_time:
        lines += ["customProperties:", f"  - {{property: eventTime, value: {flow(table.event_time)}}}"]
        lines.append("  - {property: disorder, value: 5s}")
    elif times := [c.name for c in found.columns if c.column.logical == "timestamp"]:
        lines += _comment(f"Without an eventTime the {_moment(source.kind)} counts. To take a column's:")
        lines += [f"# customProperties:\n#   - {{property: eventTime, value: {flow(times[0])}}}"]
    return "\n".join(lines) + "\n"


def _moment(kind: str) -> str:
    return "moment of the commit" if KINDS[kind] == "cdc" else "moment of the pull"


def _column(found: FoundColumn, position: int, personal: bool) -> list[str]:
    column = found.column
    physical = f"decimal({column.precision},{column.scale})" if column.is_decimal else found.physical
    lines = [f"name: {flow(column.name)}", f"logicalType: {column.logical}"]
    lines += [f"physicalType: {flow(physical)}"] if physical else []
    lines += ["required: true"] if column.required or column.key else []
    lines += ["primaryKey: true", f"primaryKeyPosition: {position}"] if column.key else []
    lines += ["unique: true"] if found.unique and not column.key else []
    lines += ["tags: [personal]  # by its name; take the tag away if it is nobody's own"] if personal else []
    lines += [f"description: {flow(found.description)}"] if found.description else []
    if arguments := _arguments(found):
        rule = {"metric": "invalidValues", "arguments": arguments, "mustBe": 0, "severity": "warning"}
        lines += ["quality:", f"  - {flow(rule)}"]
    above = _comment(f"{found.note}.", "      ") if found.note else []
    return [*above, *(f"{'        ' if n else '      - '}{line}" for n, line in enumerate(lines))]


def _arguments(found: FoundColumn) -> dict[str, Any]:
    bounds, logical = found.bounds, found.column.logical
    if bounds.values:
        return {"validValues": list(bounds.values)} if logical == "string" else {}
    ends = {"minimum": bounds.minimum, "maximum": bounds.maximum}
    return {n: v for n, v in ends.items() if v is not None} if logical in {"integer", "number"} else {}


def _comment(text: str, indent: str = "") -> list[str]:
    """Comment lines; what a source said can't end one and begin something else."""
    plain = "".join(c if c.isprintable() else " " for c in text)
    return [f"{indent}# {plain}"]


def flow(value: Any) -> str:
    """A value as YAML on one line, quoted where YAML would take it for something else."""
    style = '"' if "\\n" in repr(value) else None  # else a text of several lines would be written as such
    text = yaml.safe_dump(
        value, default_flow_style=True, default_style=style, sort_keys=False, allow_unicode=True, width=10**9
    )
    return text.removesuffix("\n").removesuffix("\n...")
