"""`make chaos`: faults drawn at random, each under load and followed by proof.

    make chaos                    as many cells as it takes until each pair of component, fault and moment came up
    make chaos CELLS=6 SEED=7     six cells
    make chaos RESUME=DIR         goes on where a run of the same seed stopped
    make chaos ONLY="kill × flink-taskmanager × any" TIMES=20   all cells that are called so

CLUSTER=1 strikes three brokers and two of each worker instead of one.

Prints a line per cell and a table in the end. Exit status 1 when a row was lost, came twice or differs in any cell.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from headrace.errors import HeadraceError
from headrace.ingest.resync import resync
from headrace.stream.flink_rest import Flink
from tests.chaos import cells, table
from tests.chaos.cells import Cell
from tests.chaos.faults import aim
from tests.chaos.world import LIVE, WATCHED, World, made

BEFORE = 4.0  # seconds of load before each fault: rows are in every stage then, and there is no state to wait for
PATIENCE = 20.0  # seconds until a moment must come
JOIN = 240.0  # seconds for what went on beside a fault


def main() -> None:
    """Runs the cells, one after the other, on one platform."""
    parser = argparse.ArgumentParser("python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cells", type=int, default=None, help="how many (default: until all pairs came up)")
    parser.add_argument("--resume", type=Path, default=None, metavar="DIR", help="the folder of a run that was stopped")
    parser.add_argument("--only", default="", metavar="TEXT", help="all cells with this text in their names")
    parser.add_argument("--cluster", action="store_true", help="three brokers, two of each worker")
    parser.add_argument("--times", type=int, default=1, help="how often each is tried")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was done to servers is taken back
    folder = given.resume or Path(tempfile.mkdtemp(prefix="headrace-chaos-"))
    named = [cell for cell in cells.every(given.cluster) if given.only and given.only in cell.name]
    if given.only and not named:
        parser.error(f"no cell is called {given.only!r}; one is {cells.every()[0].name!r}")
    chosen = (named or cells.drawn(given.seed, given.cells, given.cluster)) * given.times
    results, number = folder / "results.jsonl", len(cells.every(given.cluster))
    done = Counter(Cell(*r["cell"]) for r in _read(results))
    print(f"{len(chosen)} cells of {number}, {done.total()} done before; in {folder}", flush=True)
    world = World(made(folder, given.cluster))
    try:
        world.up()
        for number, cell in enumerate(chosen, 1):
            if done[cell]:
                done[cell] -= 1
                continue
            found = trial(world, cell)
            with results.open("a") as file:
                file.write(json.dumps(found) + "\n")
            missed = "" if found["hit"] else "   (the moment did not come)"
            said = "; ".join(found["wrong"]) or "exact"
            print(f"{number:3} {cell.name:50} {found['seconds']:6.1f} s   {said}{missed}", flush=True)
    finally:
        world.close()
    print(table.markdown(_read(results)))
    sys.exit(any(r["wrong"] for r in _read(results)))


def trial(world: World, cell: Cell, watched: float = WATCHED) -> dict[str, Any]:
    """One cell; `seconds` is the longest that an alert took because of it, `wrong` what was not exact afterwards, `hit`
    whether its moment came. Alerts are `watched` for so many seconds after the fault."""
    seconds, wrong, hit, written = float("inf"), list[str](), False, world.written
    world.begin()
    beside: list[threading.Thread] = []
    try:
        time.sleep(BEFORE)
        strike = aim(world.project, cell)
        hit, beside = moment(world, cell.moment)
        began = time.monotonic()
        strike()
        seconds = world.recovered(began, time.monotonic(), watched)
    except Exception as error:  # whatever it is, it is what this cell found, and the next ones are tried
        wrong.append(_said(error))
    finally:
        for thread in beside:
            thread.join(JOIN)
        world.end()
    try:
        wrong += ["nobody wrote anything"] if world.written == written else []
        wrong += world.wrong()
    except Exception as error:
        wrong.append(_said(error))
    return {"cell": list(cell), "seconds": seconds, "wrong": wrong, "hit": hit}


def moment(world: World, name: str) -> tuple[bool, list[threading.Thread]]:
    """Waits until it is there; returns whether it came, and what goes on meanwhile."""
    flink, end = Flink(world.project.addresses.flink_rest), time.monotonic() + PATIENCE
    if name.startswith("checkpoint"):
        (job,) = [j["jid"] for j in flink.jobs() if LIVE in j["name"]][:1]
        before = flink.checkpoints(job)["counts"]["completed"]
        while time.monotonic() < end:
            counts = flink.checkpoints(job)["counts"]
            if counts["in_progress"] if name.endswith("begins") else counts["completed"] > before:
                return True, []
            time.sleep(0.01)
        return False, []
    if name == "publish":
        before = world.compared()
        thread = threading.Thread(target=world.run, daemon=True)
        thread.start()
        while time.monotonic() < end and thread.is_alive():
            if world.compared() > before:  # the switch comes next, within milliseconds
                return True, [thread]
            time.sleep(0.002)
        return False, [thread]
    if name == "snapshot":
        thread = threading.Thread(target=_resync, args=(world,), daemon=True)
        thread.start()
        time.sleep(1.0)  # Connect begins it within a second; it takes some
        return thread.is_alive(), [thread]
    return True, []


def _resync(world: World) -> None:
    try:
        resync(world.project, world.source, world.source.tables[0], 180.0)
    except HeadraceError as error:
        print(f"    the snapshot was asked for: {error.problems[0].message}", flush=True)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip()[:500]}"


def _read(results: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []


if __name__ == "__main__":
    main()
