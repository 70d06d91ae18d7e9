"""Progress lines: what is being done, what is done, and how long it took. Safe to use from several threads."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_started = time.monotonic()


def say(text: str) -> None:
    """Prints one whole line on stderr at once, whichever thread it comes from."""
    with _lock:
        print(text, file=sys.stderr, flush=True)


@contextmanager
def step(what: str) -> Iterator[None]:
    """Prints '[  12 s] what (3.1 s)' when the block is through: seconds since the start, and of the block. Silent when it fails."""
    begun = time.monotonic()
    yield
    now = time.monotonic()
    say(f"[{now - _started:4.0f} s] {what} ({now - begun:.1f} s)")
