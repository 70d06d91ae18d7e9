"""What can go wrong where and when: the cells, and a choice of them in which every pair comes up.

A cell is a fault × a component × a moment. Some make no sense: a clock jumps where a worker of ours reads it, a disk is
full where something is written, a snapshot concerns whoever captures and lands it.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations, product
from random import Random
from typing import NamedTuple

CORE = (
    *("source-payments", "connect", "bus", "landing", "flink-jobmanager", "flink-taskmanager", "postgres", "spark"),
)
HELPERS = ("flink-zookeeper", "flink-gateway", "pulse", "airflow-scheduler", "airflow-api")  # no row goes through them
COMPONENTS = CORE + HELPERS
SECONDS = ("bus-2", "flink-taskmanager-2", "landing-2", "spark-worker-1")  # that a cluster has beside them: CLUSTER=1
ROAD = {"source-payments", "connect", "bus", "flink-jobmanager", "flink-taskmanager", "postgres"}  # of an alert
WRITERS = {"source-payments", "bus", "landing", "flink-jobmanager", "flink-taskmanager", "spark"}
FAULTS = ("kill", "pause", "slow", "full disk", "cut", "reset", "clock")
MOMENTS = ("any", "checkpoint begins", "checkpoint ended", "publish", "snapshot")


class Cell(NamedTuple):
    """One trial."""

    component: str
    fault: str
    moment: str

    @property
    def name(self) -> str:
        return f"{self.fault} × {self.component} × {self.moment}"

    @property
    def makes_sense(self) -> bool:
        if self.component in HELPERS + SECONDS:
            return self.fault in {"kill", "pause"} and not self.moment.startswith("checkpoint")
        if self.fault == "clock":
            return self.component == "landing"
        return self.fault != "full disk" or self.component in WRITERS


def every(cluster: bool = False) -> list[Cell]:
    """All cells that make sense."""
    components = COMPONENTS + (SECONDS if cluster else ())
    return [cell for cell in map(Cell._make, product(components, FAULTS, MOMENTS)) if cell.makes_sense]


def drawn(seed: int, number: int | None = None, cluster: bool = False) -> list[Cell]:
    """So many cells; without a number as many as it takes until each pair of two of their parts has come up.

    The same seed draws the same cells, and more of them begin with the fewer.
    """
    random, left = Random(seed), every(cluster)
    random.shuffle(left)
    open_ = {pair for cell in left for pair in _pairs(cell)}
    chosen: list[Cell] = []
    while left and (len(chosen) < number if number is not None else open_):
        best = max(left, key=lambda cell: len(open_.intersection(_pairs(cell))))
        left.remove(best)
        chosen.append(best)
        open_.difference_update(_pairs(best))
    return chosen


def _pairs(cell: Cell) -> Iterable[tuple[object, ...]]:
    return combinations(enumerate(cell), 2)
