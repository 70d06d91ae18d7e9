"""The partner's service: pages in order of revision, so that a walk misses nothing that changes meanwhile."""

from __future__ import annotations

import json
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
