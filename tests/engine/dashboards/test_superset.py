"""`make dashboards` on a real PostgreSQL: every chart of the example gets rows, through the reader role only."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from headrace.local import dashboards, install, platform
from headrace.local.servers import superset
from headrace.project import Project
from headrace.serve import schema

EXAMPLE = Path(__file__).with_name("example.sql")


class Superset:
    """A signed-in user of Superset's REST API."""

    def __init__(self, project: Project) -> None:
        self.address = superset.server(project).address
        self.token = ""
        password = project.addresses.secret("HEADRACE_SUPERSET_PASSWORD")
        user = {"username": superset.USER, "password": password, "provider": "db"}
        self.token = self.call("/api/v1/security/login", user)["access_token"]

    def call(self, path: str, body: object = None) -> Any:
        headers = {"Content-Type": "application/json"} | (
            {"Authorization": f"Bearer {self.token}"} if self.token else {}
        )
        data = None if body is None else json.dumps(body).encode()
        with open_(urllib.request.Request(self.address + path, data, headers)) as answer:
            return json.load(answer)

    def charts(self) -> dict[str, dict[str, Any]]:
        charts = self.call("/api/v1/dashboard/food-delivery/charts")["result"]
        return {chart["slice_name"]: chart["form_data"] for chart in charts}

    def rows(self, chart: dict[str, Any]) -> list[dict[str, Any]]:
        """What the chart would draw: the query that the front end makes of its settings."""
        dataset, _, kind = chart["datasource"].partition("__")
        columns: list[Any] = [*chart.get("groupby", []), *chart.get("all_columns", [])]
        if axis := chart.get("x_axis"):
            base = {"columnType": "BASE_AXIS", "expressionType": "SQL", "sqlExpression": axis, "label": axis}
            columns.insert(0, base | {"timeGrain": chart["time_grain_sqla"]})
        metrics = chart.get("metrics") or ([chart["metric"]] if "metric" in chart else None)
        query = {"columns": columns, "metrics": metrics, "row_limit": 10_000}
        body = {"datasource": {"id": int(dataset), "type": kind}, "queries": [query], "force": True}
        return self.call("/api/v1/chart/data", body)["result"][0]["data"]


def open_(request: urllib.request.Request | str) -> Any:
    return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60)


@pytest.fixture(scope="module")
def project(
    shared: Callable[..., Project], make_project: Callable[..., Project], repository: Path
) -> Iterator[Project]:
    """The example's dashboards on a serving database that has the example's views."""
    install.install(("dashboards",))
    made = make_project({}, on=shared("postgres"))
    (made.root / "docker").symlink_to(repository / "docker")
    schema.ensure(made)
    with psycopg.connect(made.addresses.serving()) as connection:
        connection.execute(EXAMPLE.read_text())
    dashboards.start(made)
    yield made
    platform.down(made)


@pytest.fixture(scope="module")
def api(project: Project) -> Superset:
    return Superset(project)


def test_every_chart_has_rows(api: Superset) -> None:
    charts = api.charts()
    assert len(charts) == 10
    assert {name: bool(api.rows(chart)) for name, chart in charts.items()} == dict.fromkeys(charts, True)


def test_the_numbers_are_those_of_the_view(project: Project, api: Superset) -> None:
    rows = api.rows(api.charts()["Revenue per restaurant"])
    with psycopg.connect(project.addresses.serving("reader")) as connection:
        cents, count = connection.execute(
            "SELECT ROUND(100 * SUM(revenue)), SUM(orders) FROM batch.revenue_per_restaurant"
        ).fetchone() or (0, 0)
    assert round(100 * sum(float(row["revenue_sum"]) for row in rows)) == cents
    assert sum(row["orders_sum"] for row in rows) == count


def test_no_stranger_sees_a_dashboard_and_no_page_loads_from_elsewhere(api: Superset) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        open_(f"{api.address}/api/v1/dashboard/food-delivery")
    assert refused.value.code in {401, 403, 404}
    with open_(f"{api.address}/login/") as page:
        policy = page.headers["Content-Security-Policy"]
    assert "img-src 'self' blob: data:;" in policy
    assert "http" not in policy


def test_the_reader_password_is_in_no_file_of_superset(project: Project) -> None:
    secret = project.addresses.secret("HEADRACE_READER_PASSWORD").encode()
    files = [f for f in superset.home(project).rglob("*") if f.is_file()]
    assert any(f.name == "superset.db" for f in files)
    assert [f for f in files if secret in f.read_bytes()] == []


def test_a_changed_file_replaces_what_was_imported(project: Project, api: Superset, repository: Path) -> None:
    own = project.root / "docker"
    own.unlink()
    assets = own / "superset" / "assets"
    for file in (repository / "docker" / "superset" / "assets").rglob("*.yaml"):
        copy = assets / file.relative_to(repository / "docker" / "superset" / "assets")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(
            file.read_text().replace("slice_name: Payments captured", "slice_name: Payments that succeeded")
        )
    dashboards.start(project)
    assert len(api.charts()) == 10
    assert "Payments that succeeded" in api.charts()
