"""`<table>_history`: every state of every key, with from when to when it was valid."""

from __future__ import annotations

from itertools import accumulate

from headrace.batch import shape
from headrace.batch.current import Current
from headrace.lake.arrivals import Floor
from headrace.project import Contract

OWN = ("valid_from", "valid_to")  # a contract's column of that name gives way


def history(contract: Contract, current: Current, landing: str) -> str:
    """The query of the history view: contract columns, valid_from, valid_to (NULL: still valid).

    Guarantee: the intervals of a key are half open, none is empty, they don't overlap, and a key has an open one just
    while it is in the current table, in whatever order and however often its changes arrived.

    States follow each other in order of source position. A state begins at its event time. Where that does not lie
    behind the event times before it (a clock went back, or it is no time of a change), it begins when it was appended
    to the bus; but what one transaction did to a key counts as one moment. A state ends when the next begins, or when
    the delete, the truncate or the end of the snapshot without it was appended (a delete's own image only knows the
    last update). Moments never go back, so a state for which no time is left is not shown. A change that repeats the
    state before it, as a new snapshot does or a message that came twice, changes nothing.
    """
    shown = ", ".join(shape.name(n) for n in contract.names if n not in OWN)
    if contract.event_id:
        event = f"SELECT {shown}, _event_time AS valid_from, CAST(NULL AS TIMESTAMP) AS valid_to"
        return f"{event} FROM {shape.table(current.path, current.version)} WHERE NOT _deleted"
    floors = sorted(current.floors, key=lambda f: f.order)
    keys, image = ", ".join(map(shape.name, contract.key)), f"struct({', '.join(map(shape.name, contract.names))})"
    order = f"OVER (PARTITION BY {keys} ORDER BY {', '.join(shape.ORDER)}, _deleted DESC)"
    before = order[:-1] + " ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
    # A row lies above `_passed` of the floors. `_cleared` of them took away what was there before it: not the end of
    # the snapshot that brought the row itself, or in which an update or a delete took its place.
    return f"""WITH placed AS (
  SELECT *, {_passed(floors)} AS _passed
  FROM ({shape.images(contract, landing, {}, current.positions)})
), rows AS (
  SELECT *, _passed - CASE WHEN _op <> 'c' AND {_own(floors)} THEN 1 ELSE 0 END AS _cleared FROM placed
), marked AS (
  SELECT *, coalesce(_deleted = lag(_deleted) {order} AND (_deleted
    OR (_cleared <= lag(_passed) {order} AND lag({image}) {order} <=> {image})), false) AS _same
  FROM rows
), timed AS (
  SELECT *, CASE WHEN _transaction = lag(_transaction) {order} THEN _event_time
    WHEN _deleted THEN _appended_at
    WHEN _event_time <= max(CASE WHEN NOT _deleted AND NOT _same THEN _event_time END) {before} THEN _appended_at
    ELSE _event_time END AS _moment
  FROM marked
), numbered AS (
  SELECT *, max(CASE WHEN NOT _same THEN greatest(_moment, {_at(floors, "_cleared - 1")}) END) {order} AS _at,
    sum(CASE WHEN _same THEN 0 ELSE 1 END) {order} AS _state
  FROM timed
), ended AS (
  SELECT *, min(_at) OVER (PARTITION BY {keys}, _state) AS _from, lead(_state) {order} AS _next_state,
    lead(_at) {order} AS _next_at, coalesce(lead(_cleared) {order}, {len(floors)}) AS _next_cleared
  FROM numbered
), told AS (
  SELECT *, CASE WHEN _next_cleared > _passed THEN greatest(_from, {_at(floors, "_passed")}) ELSE _next_at END AS _to
  FROM ended WHERE NOT _deleted AND NOT _state <=> _next_state
)
SELECT {shown}, _from AS valid_from, _to AS valid_to FROM told WHERE _to IS NULL OR _from < _to"""


def _passed(floors: list[Floor]) -> str:
    """How many floors lie at or below a row."""
    if not floors:
        return "0"
    each = (f"struct({f.epoch}L AS _epoch, {shape.text(f.position)} AS _position)" for f in floors)
    return f"size(filter(array({', '.join(each)}), f -> f <= struct(_epoch, _position)))"


def _own(floors: list[Floor]) -> str:
    """The condition that the last floor a row has passed is the end of a snapshot of the row's epoch."""
    if not floors:
        return "false"
    epochs = (f"{f.epoch}L" if f.kind == "snapshot" else "NULL" for f in floors)
    return f"get(CAST(array({', '.join(epochs)}) AS ARRAY<BIGINT>), _passed - 1) <=> _epoch"


def _at(floors: list[Floor], index: str) -> str:
    """When the floor of an index, counted from 0, was appended, and not before those below it; NULL without one."""
    if not floors:
        return "CAST(NULL AS TIMESTAMP)"
    each = (f"TIMESTAMP '{at.isoformat()}'" for at in accumulate((f.at for f in floors), max))
    return f"get(array({', '.join(each)}), {index})"
