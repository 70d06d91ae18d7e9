"""A taken port is found before a server starts, and its holder is named."""

from __future__ import annotations

import os
import socket
import threading

import pytest

from headrace.errors import HeadraceError
from headrace.local import ports
from headrace.local.server import Server, nothing
from headrace.project.settings import SPAN


@pytest.fixture
def listening() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_a_taken_port_names_its_holder_and_the_setting(listening):
    server = Server(name="bus", part="bus", command=(), ready=nothing, ports={"bus": listening})
    with pytest.raises(HeadraceError) as raised:
        ports.check([server])
    said = str(raised.value)
    assert f"bus needs port {listening}" in said
    assert f"pid {os.getpid()}" in said
    assert "local: {ports:" in said


def test_a_port_that_an_outgoing_connection_sits_on_is_taken_too(listening):
    with socket.create_connection(("127.0.0.1", listening)) as client:
        assert not ports.free(client.getsockname()[1])


def test_the_port_of_a_killed_process_is_waited_for_until_the_system_has_cleared_it_away(monkeypatch):
    monkeypatch.setattr(ports, "owner", lambda port: None)
    with socket.socket() as dying:
        dying.bind(("127.0.0.1", 0))
        dying.listen()
        server = Server(name="bus", part="bus", command=(), ready=nothing, ports={"bus": dying.getsockname()[1]})
        threading.Timer(1.0, dying.close).start()
        ports.check([server])


def test_a_port_of_somebody_that_we_may_not_see_is_not_waited_for_for_ever(monkeypatch, listening):
    monkeypatch.setattr(ports, "owner", lambda port: None)
    monkeypatch.setattr(ports, "CLEARING", 0.5)
    server = Server(name="bus", part="bus", command=(), ready=nothing, ports={"bus": listening})
    with pytest.raises(HeadraceError, match=f"bus needs port {listening}"):
        ports.check([server])


def test_a_free_stretch_is_free():
    base = ports.suggestion()
    assert base < 32768
    assert all(ports.free(port) for port in range(base, base + SPAN))
