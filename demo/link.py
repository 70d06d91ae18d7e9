"""A connection that comes back: services outlive a restart of their database."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from headrace.errors import HeadraceError

Result = TypeVar("Result")
logging.getLogger("psycopg").setLevel(logging.ERROR)  # it warns of every broken connection
PATIENCE = 180.0  # seconds a database may be away before its service gives up
_REFUSED = (
    "password authentication failed",
    "Access denied",
    "Unknown database",
    "does not exist",
)  # waiting won't help


class Link:
    """Runs work on a connection, and again on a new one when the old one broke.

    Work whose commit is in doubt is repeated only if `done` says that it did not happen. Raises HeadraceError when the
    server stays away for longer than PATIENCE. With `limit`, in seconds, work that takes longer has broken the
    connection: for drivers that may wait for ever for a server that was killed, and for work that may be done twice.
    """

    def __init__(
        self, name: str, open: Callable[[], Any], broken: tuple[type[Exception], ...], limit: float | None = None
    ) -> None:
        self._name, self._open, self._broken, self._limit = name, open, (*broken, TimeoutError), limit
        self._connection: Any = None

    def run(self, work: Callable[[Any], Result], done: Callable[[Any], bool] | None = None) -> Result | None:
        """The work's result; None when it broke and then turned out to be done."""
        began, pause, tried = time.monotonic(), 0.05, False
        while True:
            try:
                if self._connection is None:
                    self._connection = self._within(self._open)
                if tried and done and done(self._connection):
                    return None
                tried = True
                return self._within(lambda: work(self._connection))
            except self._broken as error:
                self.close()
                if any(word in str(error) for word in _REFUSED):
                    raise HeadraceError(
                        f"{self._name}: {error}", hint="see lake/sources and .headrace/secrets.env"
                    ) from error
                if time.monotonic() - began > PATIENCE:
                    raise HeadraceError(
                        f"{self._name} does not answer: {error}", hint="headrace status   shows what runs"
                    ) from error
                if pause == 0.4:  # a blink is not worth a word
                    said = next(iter(str(error).splitlines()), "it does not answer")
                    print(f"demo: {self._name} is away, trying again: {said}", file=sys.stderr)
                time.sleep(pause)
                pause = min(pause * 2, 2.0)

    def close(self) -> None:
        """Drops the connection; the next work opens a new one."""
        connection, self._connection = self._connection, None
        try:
            if connection is not None:
                self._within(connection.close)
        except self._broken:
            pass  # it was broken: that is why it goes

    def _within(self, work: Callable[[], Result]) -> Result:
        if self._limit is None:
            return work()
        done: Future[Result] = Future()

        def run() -> None:
            try:
                done.set_result(work())
            except BaseException as error:
                done.set_exception(error)

        threading.Thread(target=run, daemon=True).start()
        return done.result(self._limit)
