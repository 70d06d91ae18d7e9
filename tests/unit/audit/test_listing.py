"""Certificates against a pull's own listing, over landed rows written by hand. The bus is not there: its answers (what
was listed, how far landing is) are given."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from headrace.audit import listing, verdict
from headrace.audit.certificate import Certificate
from headrace.errors import Place
from headrace.ingest.paused import Pauses
from headrace.lake import paths, rows
from headrace.project import Column, Contract, Project, Source, Table, load
from headrace.pulls.delivered import Delivered, Read, unlike
from headrace.pulls.pulled import State

COLUMNS = (Column("region", "string", True, True), Column("id", "integer", True, True), Column("note", "string"))
PLACE = Place(Path("ring.yml"))
TABLE = Table("orders", "ring", "ring.orders", "ring.orders", Contract("orders", "1.0.0", COLUMNS, PLACE), PLACE)
SOURCE = Source("ring", "cassandra", (TABLE,), PLACE)
Row = dict[str, Any]


def row(id_: int, note: str | None = "n", **more: Any) -> Row:
    return {"region": "ch", "id": id_, "note": note} | more


class Ring:
    """A project whose pulls listed `listed`, at pull 3, and whose landing holds `landed`: (op, row, pull)."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        (folder / "headrace.yml").write_text("name: ring\n")
        self.project: Project = load(folder)
        self.patch = patch
        patch.setattr(listing.paused, "read", lambda project: Pauses({}))
        patch.setattr(listing.markers, "mark", lambda project, timeout, names: {("ring.orders", 0): 1000})
        patch.setattr(listing, "landed_past", lambda *args: {})

    def certify(self, listed: list[Row], landed: list[tuple[str, Row, int]], pull: int = 3) -> Certificate:
        delivered = Delivered(("region", "id"), ())
        for _ in unlike([Read(0, one) for one in listed], TABLE, delivered, State()):
            pass
        self.patch.setattr(listing, "listing", lambda *args: (pull, delivered))
        now, written = datetime.now(UTC), []
        for offset, (op, image, at) in enumerate(landed):
            key = json.dumps({"region": image["region"], "id": image["id"]}, separators=(",", ":"))
            after = json.dumps(image) if op == "u" and "bad" not in image else None
            written.append(
                {"partition": 0, "offset": offset, "appended_at": now, "landing_date": now.date(), "epoch": 0,
                 "snapshot": "false", "op": op, "key": key, "after": after, "position": f"{at:012d}/{offset:012d}"}
            )  # fmt: skip
        table = pa.Table.from_pylist(written, schema=rows.LANDING)
        write_deltalake(paths.landing(self.project, "orders"), table, mode="overwrite", partition_by=["landing_date"])
        (found,) = listing.audit(self.project, SOURCE, timeout=1)
        return found


@pytest.fixture
def ring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ring:
    return Ring(tmp_path, monkeypatch)


def test_equal_is_proven_and_says_against_what(ring: Ring) -> None:
    history = [("u", row(1, "old"), 1), ("u", row(2), 1), ("u", row(3), 2), ("u", row(1, "é"), 2), ("d", row(2), 3)]
    found = ring.certify([row(1, "é"), row(3)], history)
    assert (found.verdict, found.differences()) == (verdict.PROVEN, {})
    assert found.note == "compared with the listing of pull 3, not with the source; no current table to compare"
    assert found.summary()["rows"] == 2


def test_every_column_counts_in_whatever_order_it_landed(ring: Ring) -> None:
    listed = [row(1, more={"b": 1, "a": 0.1})]
    assert ring.certify(listed, [("u", {"more": {"a": 0.1, "b": 1}, **row(1)}, 1)]).verdict == verdict.PROVEN
    found = ring.certify(listed, [("u", {"more": {"a": 0.2, "b": 1}, **row(1)}, 1)])
    assert found.differences() == {"different in landing": ["region=ch, id=1"]}


def test_what_differs_is_named(ring: Ring) -> None:
    found = ring.certify([row(1), row(2), row(3)], [("u", row(1), 1), ("u", row(2, "other"), 1), ("u", row(4), 1)])
    assert found.verdict == verdict.UNEQUAL
    assert found.differences() == {
        "missing in landing": ["region=ch, id=3"],
        "extra in landing": ["region=ch, id=4"],
        "different in landing": ["region=ch, id=2"],
    }


def test_a_later_pull_does_not_count(ring: Ring) -> None:
    history = [("u", row(1), 3), ("u", row(1, "later"), 4), ("u", row(2), 10)]
    assert ring.certify([row(1)], history).verdict == verdict.PROVEN


def test_a_broken_row_is_in_quarantine_and_a_row_without_a_key_is_none(ring: Ring) -> None:
    found = ring.certify([row(1), row(2), {"region": "de", "id": None}], [("u", row(1), 1), ("u", row(2, bad=1), 2)])
    assert found.verdict == verdict.PROVEN
    assert found.landed is not None and found.landed.quarantined == (("ch", "2"),)


def test_nothing_pulled_is_unproven(ring: Ring) -> None:
    found = ring.certify([], [], pull=0)
    assert (found.verdict, found.note) == (verdict.UNPROVEN, "it was never pulled: headrace source pull ring")
