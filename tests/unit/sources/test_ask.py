"""`headrace add source` for what needs no server of ours: addresses, folders, and a service on loopback."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.errors import HeadraceError
from headrace.project import Project, adding, load
from headrace.project.found import FoundColumn, FoundSource
from headrace.project.propose import propose
from headrace.pulls.exact import parse
from headrace.pulls.files import READERS
from headrace.sources import infer
from headrace.sources.ask import ask
from headrace.sql.validity import compile_check


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "headrace.yml").write_text("name: site\n")
    return load(tmp_path)


def columns(found: FoundSource, name: str) -> dict[str, str]:
    """Type of each column of a table, with ! where it must be there and * where it is of the key."""
    [table] = [t for t in found.tables if t.name == name]
    return {c.name: shown(c) for c in table.columns}


def shown(found: FoundColumn) -> str:
    c = found.column
    kind = f"decimal({c.precision},{c.scale})" if c.is_decimal else c.logical
    return kind + ("*" if c.key else "!" if c.required else "")


def wrong(project: Project, *arguments: str, **options: object) -> str:
    with pytest.raises(HeadraceError) as error:
        ask(project, "shop", *arguments, **options)  # type: ignore[arg-type]
    return str(error.value)


def test_a_secret_in_an_address_is_refused_and_not_repeated(project: Project) -> None:
    for where, way in (
        ("postgresql://me:s3cr3t@db/shop", "'postgresql://me:${SHOP_PASSWORD}@db/shop'"),
        ("mariadb://me:s3/cr3t@db/shop", "'mariadb://me:${SHOP_PASSWORD}@db/shop'"),
        ("https://me:s3cr3t@host/api/meals", "'https://me:${SHOP_PASSWORD}@host/api/meals'"),
        ("https://host/api/meals?api_key=s3cr3t", "api_key=${NAME}"),
        ("postgresql://me@db/shop?password=s3cr3t", "password=${NAME}"),
    ):
        said = wrong(project, where)
        assert way in said and "s3cr3t" not in said and "cr3t" not in said
    said = wrong(project, "https://host/meals", headers=("Authorization: Bearer s3cr3t",))
    assert "must not stand in a file" in said and "s3cr3t" not in said


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("oracle://db/shop", "no kind of source is reached at oracle://"),
        ("postgres", "did you mean 'postgresql'?"),
        ("postgresql", "headrace add source shop 'postgresql://reader:${SHOP_PASSWORD}@host:5432/database'"),
        ("events", "can't be asked for its tables"),
        ("./nowhere", "there is no folder ./nowhere"),
        ("postgresql://db:port/shop", "this is not an address"),
        ("postgresql:///shop", "names no host"),
        ("postgresql://me:${NO_SUCH_SECRET}@db/shop", "export NO_SUCH_SECRET="),
        ("mariadb://me@127.0.0.1:9/shop", "the database can't be asked"),
        ("http://127.0.0.1:9/meals", "GET http://127.0.0.1:9/meals fails"),
        ("cassandra", "headrace add source shop 'cassandra://reader:${SHOP_PASSWORD}@host:9042/keyspace'"),
        ("cassandra:///shop", "names no host"),
        ("cassandra://me@127.0.0.1:9/shop", "the database can't be asked"),
        ("cassandra://me@no-such-host.invalid/shop", "the database can't be asked"),
        ("neo4j:///shop", "names no host"),
        ("bolt://me@127.0.0.1:9", "the graph can't be asked"),
    ],
)
def test_what_can_not_be_asked_is_said_with_the_way_out(project: Project, where: str, said: str) -> None:
    assert said in wrong(project, where)


@pytest.mark.parametrize("where", ["cassandra://db/shop", "neo4j+s://db", "https://host/meals"])
def test_what_is_always_pulled_needs_no_word_for_it(project: Project, where: str) -> None:
    assert "is pulled anyway" in wrong(project, where, pull=True)


def test_a_pull_of_a_database_without_a_driver(project: Project) -> None:
    assert "there is no driver for db2://" in wrong(project, "db2://me@host/shop", pull=True)


def test_files_of_the_same_columns_are_a_table(project: Project) -> None:
    folder = project.root / "drop"
    folder.mkdir()
    (folder / "prices-2026-01-01.csv").write_text(
        "dish,shop,price,from,open\nsoup,1,4.5,2026-01-01,true\nsoup,2,4,,\ncake,1,4,,\n"
    )
    (folder / "prices-2026-01-02.csv").write_text("dish,shop,price,from,open\nsoup,1,12.75,2026-01-02,false\n")
    (folder / "visits.jsonl").write_text(
        '{"id": 7, "at": "2026-01-01T10:00:00+01:00"}\n{"id": 8, "lat": 1.0000000001}\n'
    )
    (folder / "semicolon.csv").write_text("a;b\n1;2\n")
    (folder / "notes.txt").write_text("nothing to see")
    amounts = pa.table(
        {"no": pa.array([1, 2]), "sum": pa.array([1, None], pa.decimal128(9, 3)), "b": pa.array([b"x", b"y"])}
    )
    pq.write_table(amounts, folder / "amounts.parquet")
    found = ask(project, "shop", str(folder))
    assert found.connection == {"path": "drop"}
    assert {t.name: t.origin for t in found.tables} == {
        "prices": "prices-*.csv",
        "visits": "visits.jsonl",
        "semicolon": "semicolon.csv",
        "amounts": "amounts.parquet",
    }
    assert columns(found, "prices") == {
        "dish": "string*", "shop": "integer*", "price": "decimal(18,2)", "from": "date", "open": "boolean",
    }  # fmt: skip
    assert columns(found, "visits") == {"id": "integer*", "at": "timestamp", "lat": "number"}
    assert columns(found, "amounts") == {"no": "integer*", "sum": "decimal(9,3)", "b": "string"}
    proposal = propose("shop", found)
    assert dict(proposal.skipped) == {"semicolon.csv": "its fields are not separated by commas"}
    assert adding.problems(project.root, proposal.files) == ()
    only = ask(project, "shop", str(folder), tables=("vis*",))
    assert [t.name for t in only.tables] == ["visits"]
    assert "there is: amounts.parquet" in wrong(project, str(folder), tables=("zz",))


def test_the_rows_that_were_looked_at_keep_the_proposed_contract(project: Project) -> None:
    folder = project.root / "drop"
    folder.mkdir()
    (folder / "a.csv").write_text(
        "code,n,sum,day,at,open,note\na,1,4.5,2026-01-01,2026-01-01T00:00:00Z,TRUE,007\nb,,2,,,,\n"
    )
    lines = [
        '{"id": 1, "at": "2026-01-01T01:00:00+01:00", "sum": 1.5, "o": {}, "l": []}',
        '{"id": 2, "sum": 3, "at": null}',
    ]
    (folder / "b.json").write_text(f"[{','.join(lines)}]")
    pq.write_table(pa.table({"id": [1], "m": [Decimal("1.5")], "at": [datetime(2026, 1, 1)]}), folder / "c.parquet")  # noqa: DTZ001
    proposal = propose("shop", ask(project, "shop", str(folder)))
    adding.write(project.root, proposal.files)
    tables = load(project.root).tables
    assert sorted(tables) == ["a", "b", "c"]
    for name, table in tables.items():
        check, rows = compile_check(table.contract.columns), []
        content = (folder / table.origin).read_bytes()
        for line in READERS[table.format](content, table.contract, table.origin):
            assert not line.error
            rows.append(check(line.row))  # type: ignore[arg-type]
        assert len(rows) == {"a": 2, "b": 2, "c": 1}[name]


def test_a_folder_of_one_table_has_the_sources_name_and_takes_every_file(project: Project) -> None:
    (project.root / "first.csv").write_text("code,n\na,1\n")
    [table] = ask(project, "shop", str(project.root)).tables
    assert (table.name, table.origin) == ("shop", "*.csv")
    [table] = ask(project, "shop", str(project.root / "first.csv")).tables
    assert (table.name, table.origin) == ("first", "first.csv")


def test_a_folder_outside_the_project_keeps_its_path_and_an_empty_one_is_no_source(
    project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("elsewhere")
    assert "nothing in" in wrong(project, str(folder))
    (folder / "a.json").write_text('[{"id": "x"}]')
    assert ask(project, "shop", str(folder)).connection == {"path": str(folder)}
    (folder / "a.json").write_text("[1, 2]")
    assert "a.json can't be taken: it holds no objects" in wrong(project, str(folder))


@pytest.mark.parametrize(
    ("texts", "values", "kind"),
    [
        (True, ["1", "-2"], "integer"),
        (True, ["007", "8"], "string"),
        (True, ["1", "2.50"], "decimal(18,2)"),
        (True, ["12345678901234567890.123"], "decimal(38,3)"),
        (True, ["99999999999999999999"], "string"),
        (True, ["2026-02-30"], "string"),
        (True, ["2026-01-01T00:00:00Z"], "timestamp"),
        (True, ["2026-01-01T00:00:00"], "string"),  # nobody knows which moment is meant
        (True, [None], "string"),
        (False, parse('[1, "a"]'), "string"),
        (False, parse("[1, 2.5, 1e3]"), "number"),
        (False, parse("[[1], []]"), "array"),
        (False, parse("[true, false]"), "boolean"),
        (False, parse('["2026-01-01", "2026-01-01T00:00:00Z"]'), "string"),
    ],
)
def test_types_from_values(texts: bool, values: list[object], kind: str) -> None:
    [found] = [c for c in infer.columns([[{"v": v, "x": None} for v in (*values, *values)]], texts) if c.name == "v"]
    assert shown(found) == kind


def test_the_key_tells_the_rows_of_each_file_apart_not_those_of_all() -> None:
    days = [[{"price": 1, "dish": "soup"}, {"price": 1, "dish": "cake"}], [{"price": 2, "dish": "soup"}]]
    assert [shown(c) for c in infer.columns(days)] == ["integer", "string*"]
    same = [[{"a": 1, "b": 1}, {"a": 1, "b": 1}]]
    assert [c.column.key for c in infer.columns(same)] == [False, False]


def test_a_service_says_where_its_rows_are_and_how_the_next_page_is_named(project: Project, site) -> None:
    rows = [{"id": 1, "price": 1.50, "changed_at": "2026-01-01T00:00:00Z"}, {"id": 2, "price": 3}]
    bodies = {
        "/v1/meals": (200, json.dumps(rows).encode(), {"Link": f'<{site.url}/v1/meals?page=2>; rel="next"'}),
        "/v1/dishes": json.dumps({"data": {"items": rows, "odd": []}, "meta": {"next": "/v1/dishes?after=2"}}).encode(),
        "/v1/cursor": json.dumps({"cursor_rows": rows, "next_cursor": "abc"}).encode(),
    }
    site.answer = lambda request: bodies[request.path.partition("?")[0]]
    found = ask(project, "shop", f"{site.url}/v1/meals?status=open")
    [meals] = found.tables
    assert found.connection == {"url": f"{site.url}/v1"}
    assert meals.settings == {"path": "/meals", "parameters": {"status": "open"}, "page": {"by": "link"}}
    assert columns(found, "meals") == {"id": "integer*", "price": "decimal(18,2)", "changed_at": "timestamp"}
    assert any("since:" in note for note in meals.notes)
    [dishes] = ask(project, "shop", f"{site.url}/v1/dishes").tables
    assert dishes.settings == {"path": "/dishes", "rows": "data.items", "page": {"by": "cursor", "from": "meta.next"}}
    [cursor] = ask(project, "shop", f"{site.url}/v1/cursor/").tables
    assert cursor.settings["page"] == {"by": "cursor", "parameter": "cursor", "from": "next_cursor"}
    for table in (meals, dishes, cursor):
        proposal = propose("shop", FoundSource("rest", found.connection, found.about, (table,)))
        assert adding.problems(project.root, proposal.files) == ()


def test_a_service_without_rows_or_without_us(project: Project, site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.answer = lambda request: b'{"items": []}'
    assert "has no row to look at" in wrong(project, f"{site.url}/meals")
    site.answer = lambda request: b'{"ok": true}'
    assert "has no list of objects" in wrong(project, f"{site.url}/meals")
    monkeypatch.setenv("TOKEN", "s3cr3t")
    site.answer = lambda request: (401, request.headers["Authorization"].encode())
    said = wrong(project, f"{site.url}/meals", headers=("Authorization: Bearer ${TOKEN}",))
    assert "401" in said and "s3cr3t" not in said
