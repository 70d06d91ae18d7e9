"""Files that are proposed for a source: what they say, that they load, and that they are written all or not at all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from headrace.errors import HeadraceError
from headrace.project import Column, Contract, adding, guess, inspect
from headrace.project.found import FoundColumn, FoundSource, FoundTable
from headrace.project.propose import Proposal, propose
from headrace.sql.bounds import Bounds

ID = FoundColumn(Column("id", "integer", True, True), "bigint", indexed=True, grows=True)
CHANGED = FoundColumn(Column("updated_at", "timestamp", True), "timestamptz", indexed=True)
MAIL = FoundColumn(Column("email", "string"), "text", unique=True)
URL = {"url": "postgresql://reader:${SHOP_PASSWORD}@db:5432/shop"}


def table(name: str, *columns: FoundColumn, **more: object) -> FoundTable:
    return FoundTable(name, f"public.{name}", columns, **more)  # type: ignore[arg-type]


def source(*tables: FoundTable, kind: str = "postgresql") -> FoundSource:
    return FoundSource(kind, URL, "A shop.", tables)


def added(root: Path, name: str, found: FoundSource, taken: Iterable[str] = ()) -> Proposal:
    """Proposed, checked and written to a project."""
    root.mkdir(exist_ok=True)
    (root / "headrace.yml").write_text("name: site\n")
    proposal = propose(name, found, set(taken))
    assert adding.problems(root, proposal.files) == ()
    adding.write(root, proposal.files)
    return proposal


def contract(root: Path, name: str) -> Contract:
    project, problems = inspect(root)
    assert problems == ()
    return project.contracts[name]


def test_what_is_proposed_loads_as_it_was_found(tmp_path: Path) -> None:
    columns = (
        ID,
        FoundColumn(Column("total", "number", True, precision=10, scale=2), "numeric", bounds=Bounds(minimum=0)),
        FoundColumn(Column("state", "string", True), "state", bounds=Bounds(("new", "yes", "12"))),
        FoundColumn(
            Column("note", "string"), "text", description='Said: "a"\n# not a comment', note="Comes\nas base64"
        ),
        FoundColumn(Column("no", "boolean"), "boolean"),
        FoundColumn(Column("null", "object"), "jsonb"),
        MAIL,
        CHANGED,
    )
    found = table("orders", *columns, description="All: of them\n- so far", unique=(("note", "state"),))
    added(tmp_path, "shop", source(found))
    read = contract(tmp_path, "orders")
    masked = [replace(c.column, personal=c.name == "email") for c in columns]
    assert read.columns == tuple(masked)
    assert (read.key, read.event_time, read.version) == (("id",), "updated_at", "1.0.0")
    said = {(c.kind, c.columns, c.values, c.low) for c in read.checks if not c.implied}
    assert said == {
        ("invalidValues", ("total",), (), 0),
        ("invalidValues", ("state",), ("new", "yes", "12"), None),
        ("duplicateValues", ("note", "state"), (), None),
    }
    assert [c.columns for c in read.checks if c.implied and c.kind == "duplicateValues"] == [("email",), ("id",)]
    [made] = inspect(tmp_path)[0].sources
    assert (made.kind, made.url, made.tables[0].topic) == ("postgresql", URL["url"], "shop.public.orders")


def test_what_check_would_refuse_is_left_out_and_named(tmp_path: Path) -> None:
    keyless = table("log", FoundColumn(Column("line", "string")))
    odd = table("odd", ID, FoundColumn(Column("first name", "string")), FoundColumn(Column("ID", "integer")))
    lost = table("lost", FoundColumn(Column("größe", "string", True, True)))
    view = table("totals", skip="it is a view: the log has the tables behind it")
    proposal = added(tmp_path, "shop", source(keyless, odd, lost, view))
    assert dict(proposal.skipped) == {
        "public.log": "it has no primary key: nothing tells its rows apart",
        "public.lost": "its key has the column 'größe', which a contract can't name",
        "public.totals": "it is a view: the log has the tables behind it",
    }
    assert [n.partition(" is not")[0] for n in proposal.notes] == ["odd: column first name", "odd: column ID"]
    assert contract(tmp_path, "odd").names == ("id",)
    text = (tmp_path / "lake/sources/shop.yml").read_text()
    assert "#   public.log: it has no primary key: nothing tells its rows apart\n" in text


def test_names_are_free_and_such_that_sql_takes_them(tmp_path: Path) -> None:
    names = ("orders", "Order-Items", "order", "orders_history", "2nd", "Orders")
    proposal = added(tmp_path, "shop", source(*(table(n, ID) for n in names)), taken=["orders"])
    assert proposal.tables == (
        "shop_orders",
        "order_items",
        "shop_order",
        "orders_history_table",
        "shop_2nd",
        "shop_orders_2",
    )
    assert set(adding.taken(tmp_path, "other")) == set(proposal.tables)
    assert adding.taken(tmp_path, "shop") == set()


@pytest.mark.parametrize(
    ("name", "column", "logical", "is_"),
    [
        ("customers", "name", "string", True),
        ("dishes", "name", "string", False),
        ("orders", "customer_name", "string", True),
        ("files", "file_name", "string", False),
        ("x", "customerEMail", "string", True),
        ("x", "email_verified", "boolean", False),
        ("x", "email_sent_at", "timestamp", False),
        ("x", "address_id", "integer", False),
        ("x", "tax_id", "string", True),
        ("x", "birth_date", "date", True),
        ("x", "phone", "integer", True),
        ("x", "iban", "string", True),
        ("x", "total", "number", False),
    ],
)
def test_personal_by_name(name: str, column: str, logical: str, is_: bool) -> None:
    assert guess.personal(name, Column(column, logical)) is is_


def test_a_pull_goes_by_the_column_that_every_change_sets() -> None:
    rare = FoundColumn(Column("modified_at", "timestamp"))
    made = FoundColumn(Column("created_at", "timestamp", True), indexed=True)
    assert guess.watermark([ID, made, rare, CHANGED]) == (
        "updated_at",
        "by its name every change sets it, indexed, never null",
        "",
    )
    name, why, lacks = guess.watermark([ID, rare])
    assert (name, why) == ("modified_at", "by its name every change sets it")
    assert "never pulled" in lacks and "no index" in lacks
    name, _, lacks = guess.watermark([ID, made])
    assert (name, lacks) == ("id", "rows that change later are not seen: only new ones are")
    assert guess.watermark([replace(ID, grows=False), made]) == ("", "", "")


def test_a_pulled_source_says_why_and_leaves_out_what_can_not_be_pulled(tmp_path: Path) -> None:
    still = table("still", FoundColumn(Column("code", "string", True, True)))
    proposal = added(tmp_path, "shop", source(table("orders", ID, CHANGED), still, kind="jdbc"))
    text = (tmp_path / "lake/sources/shop.yml").read_text()
    assert "# updated_at: by its name every change sets it, indexed, never null.\n" in text
    assert "orders: {from: public.orders, watermark: updated_at}\n" in text
    assert dict(proposal.skipped) == {
        "public.still": "it has no column that grows with every change, such as updated_at"
    }
    assert "pulled by updated_at" in proposal.lines["schemas/orders.yaml"]


def test_the_event_time_of_a_captured_table_is_a_changes_own_or_the_commits() -> None:
    made, changed = Column("created_at", "timestamp", True), Column("updatedAt", "timestamp")
    assert guess.event_time([made, changed], "cdc") == "updatedAt"
    assert guess.event_time([made], "cdc") == ""
    assert guess.event_time([made], "cron") == "created_at"


def test_nothing_is_written_over_a_file_and_all_or_none(tmp_path: Path) -> None:
    added(tmp_path, "shop", source(table("orders", ID)))
    mine = tmp_path / "schemas/orders.yaml"
    mine.write_text(before := mine.read_text() + "# mine\n")
    files = propose("shop", source(table("orders", ID), table("items", ID))).files
    with pytest.raises(HeadraceError) as error:
        adding.write(tmp_path, files)
    assert [p.place.path.name for p in error.value.problems if p.place] == ["shop.yml", "orders.yaml"]
    assert mine.read_text() == before and not (tmp_path / "schemas/items.yaml").exists()
    adding.write(tmp_path, files, force=True)
    assert mine.read_text() == files["schemas/orders.yaml"] and (tmp_path / "schemas/items.yaml").exists()
    assert [p.name for p in tmp_path.rglob(".*")] == []


def test_what_can_not_be_written_leaves_everything_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("a file where a folder should be")
    with pytest.raises(HeadraceError, match="can't write"):
        adding.write(tmp_path, {"lake/sources/shop.yml": "kind: files\n", "schemas/orders.yaml": "schema:\n"})
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["lake"]


def test_problems_are_the_new_ones_at_their_place_in_the_project(tmp_path: Path) -> None:
    (tmp_path / "headrace.yml").write_text("name: site\n")
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas/broken.yaml").write_text("schema: nothing\n")
    [wrong] = adding.problems(tmp_path, {"schemas/new.yaml": "schema:\n  - name: old\n    properties: []\n"})[:1]
    assert wrong.place and wrong.place.path == tmp_path / "schemas/new.yaml"
    assert not (tmp_path / "schemas/new.yaml").exists()
    assert adding.problems(tmp_path, {}) == ()
