"""A service's connection: after a break the work is repeated, unless it turns out to be done."""

from __future__ import annotations

import threading

import pytest

from demo.link import Link
from headrace.errors import HeadraceError


class Broken(Exception): ...


class Server:
    """Connections to it break when it says so."""

    def __init__(self) -> None:
        self.opened = 0
        self.rows: list[int] = []

    def connect(self) -> Server:
        self.opened += 1
        return self

    def close(self) -> None: ...


def test_work_that_did_not_commit_is_repeated_on_a_new_connection():
    server, tries = Server(), []

    def work(connection: Server) -> str:
        tries.append(1)
        if len(tries) < 3:
            raise Broken("connection reset")
        connection.rows.append(1)
        return "done"

    assert Link("shop", server.connect, (Broken,)).run(work, lambda s: bool(s.rows)) == "done"
    assert (server.rows, server.opened) == ([1], 3)


def test_work_that_committed_before_the_break_is_not_repeated():
    server = Server()

    def work(connection: Server) -> None:
        connection.rows.append(1)
        raise Broken("connection reset")

    assert Link("shop", server.connect, (Broken,)).run(work, lambda s: bool(s.rows)) is None
    assert server.rows == [1]


def test_a_wrong_password_is_said_at_once():
    def refuse() -> None:
        raise Broken("Access denied for user 'headrace'")

    with pytest.raises(HeadraceError, match="Access denied"):
        Link("shop", refuse, (Broken,)).run(lambda c: None)


def test_other_errors_are_not_swallowed():
    with pytest.raises(ZeroDivisionError):
        Link("shop", Server().connect, (Broken,)).run(lambda c: 1 / 0)


def test_a_driver_that_waits_for_ever_is_given_up(monkeypatch):
    """Also when it hangs while its connection is closed."""
    server, for_ever = Server(), threading.Event()
    monkeypatch.setattr(server, "close", for_ever.wait)

    def work(connection: Server) -> str:
        if server.opened == 1:
            for_ever.wait()
        return "done"

    assert Link("shop", server.connect, (Broken,), limit=0.05).run(work) == "done"
    assert server.opened == 2
    for_ever.set()
