"""Arrow's types and values as PostgreSQL's."""

from __future__ import annotations

import pyarrow as pa
import pytest

from headrace.concealed import masked
from headrace.errors import HeadraceError
from headrace.serve import ops
from headrace.serve.columns import columns, for_copy
from headrace.serve.reading import excerpt


@pytest.mark.parametrize(
    ("arrow", "postgres"),
    [
        (pa.decimal128(38, 4), "numeric(38,4)"),
        (pa.timestamp("us", "UTC"), "timestamptz"),
        (pa.timestamp("us"), "timestamp"),
        (pa.date32(), "date"),
        (pa.int8(), "smallint"),
        (pa.int64(), "bigint"),
        (pa.float32(), "real"),
        (pa.large_string(), "text"),
        (pa.string_view(), "text"),
        (pa.binary(), "bytea"),
        (pa.list_(pa.int64()), "jsonb"),
        (pa.struct([("a", pa.int64())]), "jsonb"),
        (pa.map_(pa.string(), pa.int64()), "jsonb"),
    ],
)
def test_types(arrow: pa.DataType, postgres: str) -> None:
    assert columns(pa.schema([("c", arrow)]))[0].postgres == postgres


def test_a_type_without_a_place_is_an_error() -> None:
    with pytest.raises(HeadraceError, match="column 'c'"):
        columns(pa.schema([("c", pa.duration("us"))]))


def test_a_column_brings_its_comment() -> None:
    assert columns(pa.schema([pa.field("c", pa.int64(), metadata={"comment": "How many."})]))[0].comment == "How many."


def test_nested_values_become_json_and_nulls_stay() -> None:
    batch = pa.RecordBatch.from_pylist([{"a": [1, None], "b": b"\x01"}, {"a": None, "b": None}])
    assert for_copy(batch).to_pylist() == [{"a": "[1,null]", "b": "\\x01"}, {"a": None, "b": None}]


def test_a_run_is_behind_when_it_lacks_a_position() -> None:
    assert ops.behind({"t": {0: 5}}, {"t": {0: 6}})
    assert ops.behind({"t": {0: 9}}, {"t": {0: 6, 1: 1}})
    assert not ops.behind({"t": {0: 6, 1: 0}}, {"t": {0: 6}})
    assert not ops.behind({"t": {0: 1}}, {"no longer read": {0: 9}})
    assert ops.from_json({"t": {"0": 5}}) == {"t": {0: 5}}


def test_messages_hide_secrets_and_show_the_place() -> None:
    assert masked("postgresql://me:s3cret@host:1/db") == "postgresql://me:***@host:1/db"
    assert excerpt("SELECT a\nFROM b", 15) == "FROM b\n       ^"
