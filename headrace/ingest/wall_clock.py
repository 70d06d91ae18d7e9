"""A clock that is set back holds whoever waits by it: the bus's client waits for as long as it was set back."""

from __future__ import annotations

import os
import time

LEAST = 2.0  # seconds; what keeps a clock right in small steps is no trouble
AGAIN = 75  # exit status of a process that wants to be started again


class WallClock:
    """Compares the clock on the wall with the one that only ticks."""

    def __init__(self) -> None:
        self._ahead = time.time() - time.monotonic()

    def set_back(self) -> float:
        """By how many seconds the clock on the wall was set back since the last call; 0.0 when it was not."""
        before, self._ahead = self._ahead, time.time() - time.monotonic()
        return before - self._ahead if before - self._ahead > LEAST else 0.0

    def leave_if_set_back(self) -> None:
        """Ends the process at once when it was, to be started again. For one that may be killed at any point: the
        threads of the bus's client can't be asked to end, they wait."""
        if seconds := self.set_back():
            print(f"the clock was set back by {seconds:.0f} s: starting anew", flush=True)
            os._exit(AGAIN)
