"""The signed rows of live views as Spark SQL over landing: what came and what went between two cuts, or below one.

Each function returns text: a query with the contract's columns and `_sign`. Its rows, summed, are what the view shows
of that part of the log, however the log is divided.
"""

from __future__ import annotations

from headrace.batch import shape
from headrace.lake.arrivals import Floor, Offsets
from headrace.lake.rows import ORIGIN
from headrace.project import Contract
from headrace.sql.live.spark import SIGN

_REPLAYED = f"get_json_object(headers, {shape.text(f'$[{ORIGIN!r}]')}) IS NOT NULL"


def within(since: int | None, cut: int, seconds: int, column: str = "appended_at") -> str:
    """The condition that a row lies in the chunks since <= chunk < cut; None is the beginning of the log."""
    start = "" if since is None else f"{column} >= timestamp_seconds({since * seconds}) AND "
    return f"({start}{column} < timestamp_seconds({cut * seconds}))"


def changed(
    contract: Contract, landing: str, begins: Offsets, until: Offsets, since: int | None, cut: int, seconds: int
) -> str:
    """Both images of each change that was appended in the chunks since <= chunk < cut, as far as landed.

    `begins` are offsets before which no such change lies: files below them are not read.

    An image that broke its contract was not landed and is not there (CORRECTNESS 7). Rows of snapshots and replayed
    messages carry no sign (see `unsigned`).
    """
    return _signed(contract, landing, begins, until, within(since, cut, seconds))


def whole(
    contract: Contract, landing: str, base: Offsets, floor: Floor | None, until: Offsets, cut: int, seconds: int
) -> str:
    """All that is there below a cut: the fold of the log up to the offsets `base`, plus every change behind it.

    `base` are the offsets of one round of markers, below the cut, with nothing unsigned behind them; where nothing is
    unsigned at all, there are none. Between the markers of a round no partition may be added. Guarantee: as long as
    nothing unsigned lies between, the sum of the rows is that of the rows at an earlier cut and of `changed` since,
    whatever the brokers' clocks did.
    """
    signed = _signed(contract, landing, base, until, within(None, cut, seconds))
    if not base:
        return signed
    names = ", ".join(map(shape.name, contract.names))
    folded = (
        f"SELECT {names}, 1 AS {SIGN} FROM (\n{shape.latest(contract, landing, {}, base, floor)}) WHERE NOT _deleted"
    )
    return f"{folded}\nUNION ALL\n{signed}"


def events(contract: Contract, path: str, version: int, since: int | None, cut: int, seconds: int) -> str:
    """The events that count, from one version of their current table, by the chunks of their append times.

    The table must have been folded when every partition was landed past the cut: only then is it known of each event
    below it whether it is the first.
    """
    names = ", ".join(map(shape.name, contract.names))
    chunks = within(since, cut, seconds, "_appended_at")
    return f"SELECT {names}, 1 AS {SIGN} FROM {shape.table(path, version)} WHERE NOT _deleted AND {chunks}"


def _signed(contract: Contract, landing: str, since: Offsets, until: Offsets, where: str) -> str:
    columns = [_either(c) for c in contract.columns]
    came = "CASE WHEN op IN ('c', 'u') AND a IS NOT NULL THEN 1 END"
    went = "CASE WHEN op IN ('u', 'd') AND b IS NOT NULL THEN -1 END"
    rows = shape.changes(contract, landing, since, until, f"op <> 'r' AND NOT {_REPLAYED} AND {where}")
    return (
        f"SELECT {', '.join([*columns, SIGN])} FROM (\n{rows})\n"
        f"LATERAL VIEW explode(filter(array({came}, {went}), s -> s IS NOT NULL)) AS {SIGN}"
    )


def _either(column):  # type: ignore[no-untyped-def]
    field = shape.name(column.name)
    after, before = (shape.typed(column, f"{image}.{field}") for image in "ab")
    return f"CASE WHEN {SIGN} > 0 THEN {after} ELSE {before} END AS {field}"
