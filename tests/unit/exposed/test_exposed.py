"""The looks at a running platform see what is wrong: without that, finding nothing would mean nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests import exposed

LISTENER = """import socket, sys
one = socket.socket({family}, {kind}); one.bind(({address!r}, 0)); {listen}
print(one.getsockname()[1], flush=True); sys.stdin.read()"""


@contextmanager
def process(code: str, *words: str) -> Iterator[tuple[int, int]]:
    """A Python process and the number that it prints, for the block."""
    child = subprocess.Popen([sys.executable, "-c", code, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin and child.stdout
    try:
        yield child.pid, int(child.stdout.readline())
    finally:
        child.communicate(timeout=10)


def listener(address: str, kind: str = "socket.SOCK_STREAM") -> str:
    family = "socket.AF_INET6" if ":" in address else "socket.AF_INET"
    listen = "one.listen()" if kind == "socket.SOCK_STREAM" else "pass"
    return LISTENER.format(family=family, kind=kind, address=address, listen=listen)


@pytest.mark.parametrize("address", ["0.0.0.0", "::"])
def test_a_wrong_listener_is_found(address):
    with process(listener(address)) as (pid, port):
        assert [(p, n) for p, _, n in exposed.open_to_others([pid])] == [(pid, port)]
        assert exposed.listening([pid]) == {port}
        assert exposed.open_to_others([pid], allowed=[(address, port)]) == []
        assert exposed.open_to_others([os.getpid()]) == []


def test_datagrams_of_anybody_are_found_too():
    with process(listener("0.0.0.0", "socket.SOCK_DGRAM")) as (pid, port):
        assert exposed.open_to_others([pid]) == [(pid, "0.0.0.0", port)]


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "127.0.0.7"])
def test_loopback_is_not(address):
    with process(listener(address)) as (pid, port):
        assert exposed.listening([pid]) == {port}
        assert exposed.open_to_others([pid]) == []


def test_a_secret_in_a_command_line_is_found():
    with process("print(1, flush=True); import sys; sys.stdin.read()", "--password=long-enough") as (pid, _):
        (found,) = exposed.told_by_command_lines({"A": "long-enough", "B": "another-one"}, [pid, 2**22 - 3])
        assert found.startswith(f"A in {pid}")


def test_a_secret_in_a_log_is_found(tmp_path):
    (tmp_path / "a.log").write_text("connecting with long-enough\n")
    (tmp_path / "b.log").write_bytes(b"\xff nothing\n")
    paths = [*tmp_path.iterdir(), tmp_path / "gone.log", tmp_path]
    assert exposed.told_by_files({"A": "long-enough"}, paths) == [f"A in {tmp_path / 'a.log'}"]


def test_a_file_for_all_is_found(tmp_path):
    (tmp_path / "a").touch(mode=0o600)
    (tmp_path / "b").touch(mode=0o640)
    assert exposed.readable_by_others(tmp_path.iterdir()) == [tmp_path / "b"]
