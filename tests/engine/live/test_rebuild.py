"""The serving database is lost: one command fills it anew, and everything goes on from there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from headrace.audit.rebuild import rebuild
from headrace.live.run import run
from headrace.project import Project
from headrace.serve.database import connect
from headrace.stream import ensure as stream
from tests.engine.batch.conftest import contract, project_files

from .conftest import COLUMNS, Table, shown

TABLE, LIVE, BATCH, ALERT = "rebuilt_rows", "rebuilt_live", "rebuilt_batch", "rebuilt_alert"
SUMS = f"SELECT shop, SUM(amount) AS total, COUNT(*) AS n FROM {TABLE} GROUP BY shop"
VOIDS = f"SELECT id, shop FROM {TABLE} WHERE kind = 'void'"
JOBS = {
    f"jobs/batch/{LIVE}.sql": f"-- live: true\n{SUMS}\n",
    f"jobs/batch/{BATCH}.sql": f"{SUMS}\n",
    f"jobs/stream/{ALERT}.sql": f"-- key: id\nSELECT id, shop FROM {TABLE}_changes WHERE kind = 'void' AND op = 'c'\n",
}


@pytest.fixture(scope="module")
def table(live_project: Callable[..., Project]) -> Table:
    found = Table(live_project(project_files({TABLE: contract(TABLE, COLUMNS)}, JOBS)), TABLE)
    for _ in range(60):
        found.insert()
    for view in (LIVE, BATCH):
        run(found.project, found.project.job(view))
    stream.ensure(found.project, ALERT)
    return found


def is_there(table: Table) -> bool:
    """Whether all three views show what their queries give over the rows. Changes come after the views were made."""
    with connect(table.project, "reader") as connection:
        batch = sorted(connection.execute(f"SELECT shop, total, n FROM batch.{BATCH}").fetchall(), key=repr)
        alerts = sorted(connection.execute(f"SELECT id, shop FROM alerts.{ALERT}").fetchall(), key=repr)
    live = shown(table.project, LIVE, "shop, total, n")
    return batch == live == table.plain(SUMS) and alerts == table.plain(VOIDS)


def test_a_lost_serving_database_is_filled_anew(table: Table, until: Callable[..., Any]):
    project = table.project
    until(lambda: is_there(table), 60, "everything is there")
    address = project.addresses.serving()
    name = urlsplit(address).path[1:]
    with psycopg.connect(urlsplit(address)._replace(path="/postgres").geturl(), autocommit=True) as server:
        server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')  # type: ignore[arg-type]
        server.execute(f'CREATE DATABASE "{name}"')  # type: ignore[arg-type]
    assert rebuild(project) == 3
    until(lambda: is_there(table), 60, "everything is there again")
    for _ in range(20):
        table.insert()
    until(lambda: run(project, project.job(BATCH)) and is_there(table), 60, "and goes on")
    assert rebuild(project) == 3, "it may be called again"
    until(lambda: is_there(table), 60, "everything is there once more")
