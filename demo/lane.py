"""A service's own thread: it works off what is handed to it, in order."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable


class Lane:
    """Runs work in order. The first error is raised to whoever hands in the next work or waits for the end."""

    def __init__(self, name: str) -> None:
        self._queue: queue.Queue[Callable[[], None] | None] = queue.Queue(
            maxsize=2000
        )  # when full, the clock waits: no flood after a pause
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, work: Callable[[], None]) -> None:
        if self._error:
            raise self._error
        self._queue.put(work)

    def finish(self) -> None:
        """Waits until everything is done."""
        self._queue.put(None)
        self._thread.join()
        if self._error:
            raise self._error

    def _run(self) -> None:
        while (work := self._queue.get()) is not None:
            if self._error:
                continue
            try:
                work()
            except BaseException as error:
                self._error = error
