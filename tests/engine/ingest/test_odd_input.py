"""What is odd in a file or an answer costs its row and no more: it is in quarantine with the reason, the rest lands."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.errors import HeadraceError
from headrace.ingest import topics
from headrace.project import Project
from headrace.pulls.pull import pull

COLUMNS = {"id": "integer!", "price": "decimal(6,2)", "day": "date", "name": "string"}
KINDS = ("csv", "json", "array", "parquet", "rest")
LONG = "x" * 10_000_000
HUGE = "y" * 11_000_000  # more than a topic takes

CSV = [
    b"1,4.50,2026-01-01,soup",
    b"2,1e400,2026-01-01,decimal",
    b"3,1.00,2026-13-45,date",
    b"4,1.00,2026-01-01,\xff",
    b"5,1.00,2026-01-01," + LONG.encode(),
    b"6,1.00,2026-01-01," + HUGE.encode(),
    b",1.00,2026-01-01,key",
    b"8,too,few",
    b"9,5.00,2026-01-02,cake",
]
JSON = [
    b'{"id": 1, "price": 4.50, "day": "2026-01-01", "name": "soup"}',
    b'{"id": 2, "price": 1e400, "name": "decimal"}',
    b'{"id": 3, "day": "2026-13-45", "name": "date"}',
    b'{"id": 4, "name": "\xff"}',
    b'{"id": 5, "name": "' + LONG.encode() + b'"}',
    b'{"id": 6, "name": "' + HUGE.encode() + b'"}',
    b'{"name": "key"}',
    b"5",
    b'{"id": 9, "price": 5.00, "day": "2026-01-02", "name": "cake"}',
]


@pytest.fixture(scope="module")
def odd(shared, make_project, make_contract, module_site) -> Project:
    base = shared("bus")
    tables = [f"odd_{kind}: {{from: '*.{kind}', format: {'json' if kind == 'array' else kind}}}" for kind in KINDS[:4]]
    contracts = {f"schemas/odd_{kind}.yaml": make_contract(f"odd_{kind}", COLUMNS, "id") for kind in KINDS}
    sources = {
        "lake/sources/odd_lists.yml": f"kind: files\nconnection: {{path: lists}}\ntables: {{{', '.join(tables)}}}\n",
        "lake/sources/odd_site.yml": f"kind: rest\nconnection: {{url: '{module_site.url}'}}\n"
        "tables: {odd_rest: /meals}\n",
    }
    project = make_project(contracts | sources, on=base)
    assert not project.problems
    topics.ensure(project)
    (project.root / "lists").mkdir()
    return project


def parquet(path: Path) -> None:
    """The same rows as far as Parquet can hold them: a date of the year 5 million, and a text that is no UTF-8."""
    names = [b"soup", b"decimal", b"date", b"\xff", LONG.encode(), HUGE.encode(), b"key", b"", b"cake"]
    days = [20_454, 20_454, 2**31 - 1, *[20_454] * 5, 20_455]
    table = pa.table(
        {
            "id": [1, 2, 3, 4, 5, 6, None, 8, 9],
            "price": ["4.50", "1e400", *["1.00"] * 6, "5.00"],
            "day": pa.array(days, pa.int32()).cast(pa.date32()),
            "name": pa.array(names).view(pa.string()),
        }
    )
    pq.write_table(table.take([0, 1, 2, 3, 4, 5, 6, 8]), path)


def test_odd_rows_are_in_quarantine_and_the_rest_lands(odd, module_site, work, landed, quarantined, until) -> None:
    lists = odd.root / "lists"
    (lists / "a.csv").write_bytes(b"\n".join([b"id,price,day,name", *CSV, b""]))
    (lists / "a.json").write_bytes(b"\n".join([*JSON, b""]))
    (lists / "a.array").write_bytes(b"[" + b",\n".join(JSON) + b"]\n")
    parquet(lists / "a.parquet")
    module_site.answer = lambda request: b"[" + b",\n".join(JSON) + b"]"
    assert pull(odd, odd.source("odd_lists"))["skipped"] == []
    pull(odd, odd.source("odd_site"))
    work(odd)
    for kind in KINDS:
        table = f"odd_{kind}"
        wanted = 6 if kind == "parquet" else 7
        bad = until(lambda t=table, n=wanted: len(b := quarantined(odd, t)) >= n and b, 60, f"bad rows of {kind}")
        good = until(lambda t=table, n=wanted - 3: len(g := landed(odd, t)) >= n and g, 30, f"good rows of {kind}")
        assert len(bad) == wanted, kind
        valid = [json.loads(row["after"]) for row in good if row["after"]]
        assert [(row["id"], row["price"], row["name"]) for row in valid] == [(1, "4.50", "soup"), (9, "5.00", "cake")]
        reasons = "\n".join(f"{row['column'] or ''}: {row['reason']}"[:200] for row in bad)
        said = ["price: expected decimal(6,2)", "UTF-8", "oversize: 100", "oversize: ", "id: missing"]
        assert [text for text in said if text not in reasons] == [], reasons
        assert any(row["reason"].startswith("oversize: ") and " of " in row["reason"] for row in bad), reasons
        assert all(row["raw"] for row in bad)


def test_what_cannot_be_read_is_named_and_the_other_files_are_pulled(odd, module_site, on_bus) -> None:
    lists = odd.root / "lists"
    before = len(on_bus(odd, "odd_lists.odd_csv"))
    (lists / "b.csv").write_bytes(b"id;name\n1;A\n")
    (lists / "c.csv").symlink_to("nowhere.csv")
    (lists / "d.csv").write_bytes("id,name\n1,A\n".encode("utf-16"))
    (lists / "e.csv").write_bytes(b"id,name\n" + f"{datetime.now(UTC).year},last\n".encode())
    (lists / "b.array").write_bytes(b'[{"id": 1},]\n')
    (lists / "b.parquet").write_bytes(os.urandom(5000))
    module_site.answer = lambda request: b'{"meals": []}'
    skipped = pull(odd, odd.source("odd_lists"))["skipped"]
    assert [Path(reason.partition(":")[0]).name for reason in skipped] == [
        "b.csv", "c.csv", "d.csv", "b.array", "b.parquet",
    ]  # fmt: skip
    assert len(on_bus(odd, "odd_lists.odd_csv")) == before + 1
    with pytest.raises(HeadraceError, match="an object, not a list of rows") as caught:
        pull(odd, odd.source("odd_site"))
    assert caught.value.problems[0].hint == "rows: meals"
