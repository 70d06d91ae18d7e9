"""A taken port is found before a server starts, and its holder is named."""

from __future__ import annotations

import os
import socket

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


def test_a_free_stretch_is_free():
    base = ports.suggestion()
    assert base < 32768
    assert all(ports.free(port) for port in range(base, base + SPAN))
