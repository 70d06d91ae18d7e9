"""What Connect tells in a moment that no test can make the real one stand still in: so Connect is played here."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from headrace.ingest import connectors, debezium
from headrace.project import load

CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: orders
version: 1.0.0
schema:
  - name: orders
    properties:
      - {name: id, logicalType: integer, required: true, primaryKey: true}
"""
SOURCE = """\
kind: postgresql
connection: {url: 'postgresql://a:${SECRET}@127.0.0.1:1/shop'}
tables: {orders: public.orders}
"""


@pytest.mark.parametrize("moment", ["STOPPED", "UNASSIGNED", "PAUSED"])
def test_a_connector_that_begins_anew_is_resumed_whatever_it_says_while_it_takes_its_configuration(
    moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lake/sources").mkdir(parents=True)
    (tmp_path / "schemas").mkdir()
    (tmp_path / "headrace.yml").write_text("name: shop\n")
    (tmp_path / "schemas/orders.yaml").write_text(CONTRACT)
    (tmp_path / "lake/sources/shop.yml").write_text(SOURCE)
    project = load(tmp_path)
    assert not project.problems, project.problems
    known = {**debezium.config(project, project.source("shop"), 1), "table.include.list": "another"}
    told, asked = ["STOPPED", moment], []

    def connect(request: httpx.Request) -> httpx.Response:
        asked.append(f"{request.method} {request.url.path}")
        if request.url.path == "/connectors":
            return httpx.Response(200, json={})
        if request.url.path.endswith("/status"):
            return httpx.Response(200, json={"connector": {"state": told.pop(0)}, "tasks": []})
        return httpx.Response(200, json=known)

    def client(_: object) -> httpx.Client:
        return httpx.Client(base_url="http://connect", transport=httpx.MockTransport(connect))

    monkeypatch.setattr(connectors, "_client", client)
    monkeypatch.setattr(connectors.database, "prepare", lambda *_: [])
    connectors.ensure(project)
    assert asked.index("DELETE /connectors/shop/offsets") < asked.index("PUT /connectors/shop/config")
    assert "PUT /connectors/shop/resume" in asked[asked.index("PUT /connectors/shop/config") :]
