"""The seam between a connector's first snapshot and its stream, with transactions open where the slot is made."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from headrace.audit.certificate import audit
from headrace.ingest import connectors, topics
from headrace.ingest.database import connect, prepare
from headrace.project import Project


@pytest.fixture(scope="module")
def seam(shared, make_project, make_contract, shared_url, work_module) -> Project:
    base = shared("bus", "connect", "postgres", "source:shop")
    files = {
        "schemas/seam.yaml": make_contract("seam", {"id": "integer!", "n": "integer"}, "id"),
        "lake/sources/seam_shop.yml": (
            f"kind: postgresql\nconnection: {{url: '{shared_url(base, 'shop')}'}}\ntables:\n  seam: public.seam\n"
        ),
    }
    project = make_project(files, on=base)
    assert not project.problems, project.problems
    topics.ensure(project)
    work_module(project)
    return project


def test_a_transaction_that_began_before_the_slot_was_made_and_ended_after_the_snapshot(
    seam, until: Callable[..., Any]
) -> None:
    """PostgreSQL makes a slot in two steps, and waits before each for the transactions that run.

    One that begins between them is decoded whole: its first changes stand in the log before the snapshot's position,
    and nothing was committed that the connector could have passed before.
    """
    source = seam.source("seam_shop")
    name = topics.own_name(seam, source)
    with ExitStack() as stack:
        watch = stack.enter_context(connect(seam, source, autocommit=True))
        watch.execute("CREATE TABLE public.seam (id bigint PRIMARY KEY, n bigint)")
        watch.execute("INSERT INTO public.seam SELECT i, 0 FROM generate_series(1, 3) AS i")

        def count(query: str, value: str) -> int:
            return watch.execute(f"SELECT count(*) FROM {query} = %s", (value,)).fetchone()[0]

        def made() -> bool:
            return count("pg_replication_slots WHERE confirmed_flush_lsn IS NOT NULL AND slot_name", name) > 0

        def waits(transaction: str) -> bool:
            return count("pg_locks WHERE NOT granted AND transactionid::text", transaction) > 0

        def begin(number: int) -> tuple[Any, str]:
            cursor = stack.enter_context(connect(seam, source, autocommit=False))
            cursor.execute("INSERT INTO public.seam VALUES (%s, 1)", (number,))
            cursor.execute("UPDATE public.seam SET n = %s WHERE id = %s", (number, number % 3 + 1))
            return cursor, cursor.execute("SELECT pg_current_xact_id()::text").fetchone()[0]

        cursor, _ = begin(9)
        (state,) = connectors.ensure(seam)  # its service's next statements would wait behind ours
        assert state["state"] == "REFUSED" and "a transaction is open that ALTER TABLE" in state["error"]
        cursor.connection.commit()
        prepare(seam, source)
        cursor, transaction = begin(10)
        connectors.ensure(seam)
        for number in range(11, 40):
            until(lambda: waits(transaction) or made(), 90, "the slot is made, or waits")  # noqa: B023
            if made():
                break
            late = begin(number)
            cursor.connection.commit()
            cursor, transaction = late
        assert made() and number > 11
        cursor.execute("INSERT INTO public.seam VALUES (99, 1)")
        cursor.connection.commit()
    (found,) = audit(seam, source, timeout=90)
    assert (found.verdict, found.differences()) == ("proven", {})
    assert found.landed and found.landed.rows == 3 + (number - 9) + 1
