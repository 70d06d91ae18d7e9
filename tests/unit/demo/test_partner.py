"""The partner's service: pages in order of revision, so that a walk misses nothing that changes meanwhile."""

from __future__ import annotations

import json
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from demo.counts import Counts
from demo.partner import Partner, Server
from headrace.local import ports
from headrace.project import load
from headrace.pulls import rest
from headrace.pulls.pulled import State
from headrace.sql.validity import compile_check

ENDS = date(2026, 3, 1)


@pytest.fixture
def partner(tmp_path: Path) -> Partner:
    return Partner(tmp_path / "demo" / "partner.sqlite", Counts())


@pytest.fixture
def address(partner: Partner) -> Iterator[str]:
    with Server(partner.file, 0) as server:
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/promotions"
        server.shutdown()


def ask(address: str) -> dict[str, Any]:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(address, timeout=10) as answer:
        return json.loads(answer.read())


def test_a_row_that_changes_comes_once_more_at_the_end(partner: Partner, address: str):
    partner.prepare()
    for number in range(5):
        partner.promote(f"p{number}", number, 10, "1.50", ENDS)
    first = ask(f"{address}?limit=2")
    assert ([row["id"] for row in first["data"]], first["meta"]) == (["p0", "p1"], {"next": 2})
    partner.end("p0", date(2026, 2, 1))
    partner.promote("p3", 3, 10, "1.50", ENDS)  # repeated after an answer that was lost
    rest = ask(f"{address}?limit=50&after=2")
    assert ([row["id"] for row in rest["data"]], rest["meta"]) == (["p2", "p4", "p0", "p3"], {"next": None})
    assert [row["ends_on"] for row in rest["data"]][2] == "2026-02-01"
    assert [row["id"] for row in ask(f"{address}?since=6")["data"]] == ["p0", "p3"]


def test_what_it_can_not_answer_has_a_status(partner: Partner, address: str):
    for asked, status in ((f"{address}", 503), (f"{address}?after=x", 400), (address.replace("v1", "v2"), 404)):
        with pytest.raises(urllib.error.HTTPError) as error:
            ask(asked)
        assert error.value.code == status


def test_services_are_prepared_when_their_databases_are_there(monkeypatch: pytest.MonkeyPatch):
    from demo.services import Services

    for named, expected in (
        (None, [False, True]),
        ("orders payments", [False]),
        ("areas reviews", [True]),
        ("areas orders", [False, True]),
        ("", []),
    ):
        monkeypatch.delenv("HEADRACE_SOURCES", raising=False)
        if named is not None:
            monkeypatch.setenv("HEADRACE_SOURCES", named)
        assert list(Services.there()) == expected


def test_the_examples_source_brings_each_change_once(repository: Path, tmp_path: Path):
    """Its own file and contract, at the port that a local service has: all rows first, then those that changed."""
    base = ports.suggestion()
    (tmp_path / "lake" / "sources").mkdir(parents=True)
    (tmp_path / "schemas").mkdir()
    for name in ("lake/sources/partner.yml", "schemas/promotions.yaml"):
        shutil.copy(repository / name, tmp_path / name)
    (tmp_path / "headrace.yml").write_text(f"name: site\nlocal: {{ports: {base}}}\n")
    project = load(tmp_path)
    assert not project.problems
    (source,), (table,) = project.sources, project.source("partner").tables
    check = compile_check(table.contract.columns, table.contract.event_time)
    partner = Partner(tmp_path / "partner.sqlite", Counts())
    partner.prepare()
    with Server(partner.file, project.addresses.source_port("partner")) as server:
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        state, seen = State(), []
        for number in range(120):  # three pages
            partner.promote(f"p{number}", number, 10, "1.50", ENDS)
        for _ in range(2):
            for lines, after in rest.steps(project.addresses, source, table, state):
                rows = [line.row for line in lines]
                assert all(isinstance(row, dict) and check(row) for row in rows)
                seen, state = seen + [row["id"] for row in rows], after  # type: ignore[index]
            partner.end("p7", date(2026, 2, 1))
        server.shutdown()
    assert seen == [*(f"p{number}" for number in range(120)), "p7"]
