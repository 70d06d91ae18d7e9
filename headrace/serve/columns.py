"""Arrow's types as PostgreSQL's, and Arrow's batches as the CSV that COPY reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace.errors import HeadraceError

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class PublishedColumn:
    """One column of a served table: its name, its PostgreSQL type, and the comment that `\\d+` shows."""

    name: str
    postgres: str
    comment: str = ""


def columns(schema: pa.Schema) -> tuple[PublishedColumn, ...]:
    """The columns of a served table for an Arrow schema; raises HeadraceError for a type PostgreSQL can't hold."""
    return tuple(PublishedColumn(f.name, postgres_type(f.type, f.name), _comment(f)) for f in schema)


def postgres_type(type_: pa.DataType, name: str = "") -> str:
    """PostgreSQL's type for an Arrow type: decimals exact, instants as timestamptz, nested values as jsonb."""
    import pyarrow.types as t

    if t.is_decimal(type_):
        return f"numeric({type_.precision},{type_.scale})"
    if t.is_timestamp(type_):
        return "timestamptz" if type_.tz else "timestamp"
    if is_nested(type_):
        return "jsonb"
    for test, name_ in (
        (t.is_boolean, "boolean"),
        (t.is_int8, "smallint"),
        (t.is_int16, "smallint"),
        (t.is_int32, "integer"),
        (t.is_int64, "bigint"),
        (t.is_float32, "real"),
        (t.is_float64, "double precision"),
        (t.is_date, "date"),
        (_is_text, "text"),
        (_is_bytes, "bytea"),
    ):
        if test(type_):
            return name_
    raise HeadraceError(
        f"column {name!r}: the serving database has no type for {type_}", hint="CAST it, for example AS STRING"
    )


def is_nested(type_: pa.DataType) -> bool:
    """Whether a value of the type has parts: then it is served as jsonb."""
    import pyarrow.types as t

    return t.is_list(type_) or t.is_large_list(type_) or t.is_struct(type_) or t.is_map(type_)


def for_copy(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with values that CSV can't show made text: nested ones as JSON, bytes as hex."""
    import pyarrow as pa

    arrays = []
    for array in batch.columns:
        if is_nested(array.type):
            is_map = pa.types.is_map(array.type)
            values = [None if v is None else _json(dict(v) if is_map else v) for v in array.to_pylist()]
            array = pa.array(values, pa.string())
        elif _is_bytes(array.type):
            array = pa.array([None if v is None else "\\x" + v.hex() for v in array.to_pylist()], pa.string())
        elif pa.types.is_string_view(array.type):
            array = array.cast(pa.string())
        arrays.append(array)
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)


def _json(value: object) -> str:
    import orjson

    return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z).decode()


def _comment(field: pa.Field) -> str:
    return (field.metadata or {}).get(b"comment", b"").decode()


def _is_text(type_: pa.DataType) -> bool:
    import pyarrow.types as t

    return t.is_string(type_) or t.is_large_string(type_) or t.is_string_view(type_)


def _is_bytes(type_: pa.DataType) -> bool:
    import pyarrow.types as t

    return t.is_binary(type_) or t.is_large_binary(type_) or t.is_binary_view(type_) or t.is_fixed_size_binary(type_)
