"""`<table>_history`: every state of every key, with from when to when it was valid."""

from __future__ import annotations

from headrace.batch import shape
from headrace.batch.current import Current
from headrace.lake.arrivals import Floor
from headrace.project import Contract

OWN = ("valid_from", "valid_to")  # a contract's column of that name gives way


def history(contract: Contract, current: Current, landing: str) -> str:
    """The query of the history view: contract columns, valid_from, valid_to (NULL: still valid).

    States follow each other in order of source position; so that no state ends before it begins, a moment is never
    earlier than the one before it. A state begins at its event time; it ends when the next begins, or when the delete,
    the truncate or the end of the snapshot without it was appended to the bus (a delete's own image only knows the last
    update). A snapshot that repeats a state changes nothing.
    """
    shown = ", ".join(shape.name(n) for n in contract.names if n not in OWN)
    if contract.event_id:
        event = f"SELECT {shown}, _event_time AS valid_from, CAST(NULL AS TIMESTAMP) AS valid_to"
        return f"{event} FROM {shape.table(current.path, current.version)} WHERE NOT _deleted"
    keys, image = ", ".join(map(shape.name, contract.key)), f"struct({', '.join(map(shape.name, contract.names))})"
    order = f"OVER (PARTITION BY {keys} ORDER BY {', '.join(shape.ORDER)}, _deleted DESC)"
    return f"""WITH rows AS (
  SELECT *, struct(_epoch, _position) AS _there, {_first_floor(current.floors)} AS _gone,
    max(CASE WHEN _deleted THEN _appended_at ELSE _event_time END) {order} AS _at
  FROM ({shape.images(contract, landing, {}, current.positions)})
), marked AS (
  SELECT *, coalesce(_op = 'r' AND NOT _deleted AND NOT lag(_deleted) {order} AND lag({image}) {order} <=> {image}
    AND NOT coalesce(lag(_gone.there) {order} < _there, false), false) AS _same
  FROM rows
), numbered AS (
  SELECT *, sum(CASE WHEN _same THEN 0 ELSE 1 END) {order} AS _state FROM marked
), ended AS (
  SELECT *, min(_at) OVER (PARTITION BY {keys}, _state) AS _from, lead(_state) {order} AS _next_state,
    lead(_at) {order} AS _next_at, lead(_there) {order} AS _next_there
  FROM numbered
)
SELECT {shown}, _from AS valid_from,
  CASE WHEN _gone IS NOT NULL AND (_next_at IS NULL OR _gone.there < _next_there)
    THEN greatest(_from, _gone.at) ELSE _next_at END AS valid_to
FROM ended WHERE NOT _deleted AND NOT _state <=> _next_state"""


def _first_floor(floors: tuple[Floor, ...]) -> str:
    """The first truncate or snapshot end above a row, as a struct (there, at); NULL when there is none."""
    type_ = "STRUCT<there: STRUCT<_epoch: BIGINT, _position: STRING>, at: TIMESTAMP>"
    if not floors:
        return f"CAST(NULL AS {type_})"
    listed = ", ".join(
        f"struct(struct({f.epoch}L AS _epoch, {shape.text(f.position)} AS _position) AS there, "
        f"TIMESTAMP '{f.at.isoformat()}' AS at)"
        for f in sorted(floors, key=lambda f: f.order)
    )
    return f"try_element_at(filter(array({listed}), f -> f.there > struct(_epoch, _position)), 1)"
