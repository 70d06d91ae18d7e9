"""`headrace history`: who or what wrote a table of the lake, and what a view was computed from."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from headrace.cli.context import Format, project, show
from headrace.errors import HeadraceError, did_you_mean

ZONES = ("landing", "quarantine", "current", "batch")
COMMITS = ("table", "version", "time", "operation", "rows", "what", "who", "positions")
RUNS = ("started", "state", "rows", "version", "inputs", "seconds", "run_id", "code", "error")


def command(
    name: Annotated[str, typer.Argument(metavar="TABLE|VIEW|ZONE.NAME", help="Such as orders, or landing.orders.")],
    limit: Annotated[int, typer.Option(min=1, help="At most so many of each table, the newest first.")] = 20,
    format: Annotated[Format, typer.Option("--format", help="How to print.")] = Format.table,
) -> None:
    """List the commits of a table of the lake, or the runs of a batch view.

    A commit shows its version and time, what wrote it and who that ran as, and the positions on the bus that it reached
    (partition:next offset). TABLE lists landing and current, ZONE.NAME one of landing, quarantine, current and batch. A
    run shows the version of batch.VIEW that it wrote and the version of each input that it read:
    `headrace query --lake --as-of VERSION` reads one, `headrace audit VIEW` computes the newest again.
    """
    opened = project()
    zone, _, bare = name.rpartition(".")
    views = [job.name for job in opened.jobs if job.kind == "batch"]
    known = {"landing": opened.tables, "quarantine": opened.tables, "current": opened.tables, "batch": views}
    if not zone and bare in views:
        from headrace.serve.runs import runs

        show([_run(row, format) for row in runs(opened, bare, limit)], format, RUNS)
        return
    if bare not in (known.get(zone, ()) if zone else opened.tables):
        there = [*opened.tables, *views, *(f"{z}.{n}" for z in ZONES for n in known[z])]
        streams = [job.name for job in opened.jobs if job.kind == "stream"]
        hint = (
            "an alert view keeps no versions: its topic has every change"
            if bare in streams
            else did_you_mean(name, there)
        )
        raise HeadraceError(f"there is no history of {name!r}", hint=hint)
    zones = (zone,) if zone else ("landing", "current")
    show([row for z in zones for row in _commits(opened, z, bare, limit, format)], format, COMMITS)


def _commits(opened: Any, zone: str, name: str, limit: int, format: Format) -> list[dict[str, object]]:
    from deltalake.exceptions import TableNotFoundError

    from headrace.lake import paths
    from headrace.lake.commits import history

    try:
        commits = history(getattr(paths, zone)(opened, name), limit)
    except TableNotFoundError:
        return []
    return [
        {
            "table": f"{zone}.{name}",
            "version": one.version,
            "time": one.time.isoformat(sep=" ", timespec="milliseconds"),
            "operation": one.operation,
            "rows": one.rows,
            "what": one.by.get("what") or one.engine,
            "who": f"{one.by['user']}@{one.by['host']} {one.by['pid']}" if one.by else "",
            "positions": one.state.get("positions") if format is Format.json else _positions(one.state),
        }
        for one in commits
    ]


def _positions(state: dict[str, Any]) -> str:
    found = state.get("positions") or {}
    if any(isinstance(value, dict) for value in found.values()):  # of a view: of each table that it covers
        return "; ".join(f"{table} {_positions({'positions': parts})}" for table, parts in found.items())
    return " ".join(f"{partition}:{offset}" for partition, offset in sorted(found.items(), key=lambda i: int(i[0])))


def _run(row: dict[str, Any], format: Format) -> dict[str, object]:
    took = (row["finished_at"] - row["started_at"]).total_seconds() if row["finished_at"] else None
    versions = {name: at.rpartition("@")[2] for name, at in (row["inputs"] or {}).items()}
    lines = (row["error"] or "").strip().splitlines()
    shown = {
        "started": row["started_at"].isoformat(sep=" ", timespec="seconds"),
        "state": row["state"],
        "rows": row["rows"],
        "version": row["lake_version"],
        "inputs": ", ".join(f"{name}@{version}" for name, version in sorted(versions.items())),
        "seconds": None if took is None else round(took, 1),
        "run_id": row["run_id"],
        "code": row["code_version"],
        "error": lines[-1].strip() if lines else "",
    }
    if format is Format.json:
        return shown | {n: row[n] for n in ("inputs", "positions", "full_run", "error")}
    return shown
