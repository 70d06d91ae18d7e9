"""Runs steps side by side, each as soon as what it needs is through."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from headrace.errors import HeadraceError


@dataclass(frozen=True)
class Step:
    """One thing to do. Names in `needs` that are no step of the same run are taken as done."""

    name: str
    run: Callable[[], None]
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What became of a step: `error` is why it failed; `held_up` names the failed step it had to wait for."""

    error: Exception | None = None
    held_up: str = ""

    @property
    def good(self) -> bool:
        return self.error is None and not self.held_up


def run(steps: list[Step]) -> dict[str, Outcome]:
    """Runs all steps and returns each one's outcome. A failed step holds up those that need it, nothing else."""
    done = {step.name: threading.Event() for step in steps}
    outcomes: dict[str, Outcome] = {}

    def go(step: Step) -> None:
        try:
            for need in step.needs:
                if need in done:
                    done[need].wait()
                    if not outcomes[need].good:
                        outcomes[step.name] = Outcome(held_up=need)
                        return
            step.run()
            outcomes[step.name] = Outcome()
        except Exception as error:
            outcomes[step.name] = Outcome(error)
        finally:
            outcomes.setdefault(step.name, Outcome(HeadraceError(f"{step.name} was interrupted")))
            done[step.name].set()

    threads = [threading.Thread(target=go, args=(step,), name=step.name, daemon=True) for step in steps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes
