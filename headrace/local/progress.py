"""Progress lines: what is done and how long it took. Safe to use from several threads."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
# `make run` is several processes: they count from the same moment.
_started = float(os.environ.get("HEADRACE_STARTED") or time.time())


def say(text: str) -> None:
    """Prints one whole line on stderr at once, whichever thread it comes from."""
    with _lock:
        print(text, file=sys.stderr, flush=True)


@contextmanager
def step(what: str, began: float = 0.0) -> Iterator[None]:
    """Prints '[  12 s] what (3.1 s)' after the block: since the start, and for the block. Silent when it fails."""
    began = began or time.monotonic()
    yield
    say(f"[{time.time() - _started:4.0f} s] {what} ({time.monotonic() - began:.1f} s)")
