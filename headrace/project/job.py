"""Jobs: one .sql or .py file in `jobs/batch/` or `jobs/stream/` is one view (job_file.py reads them)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from headrace.errors import Place
from headrace.project.names import VARIANTS
from headrace.project.schedule import ON_NEW_DATA

__all__ = ["ON_NEW_DATA", "Input", "Job"]


@dataclass(frozen=True)
class Input:
    """A table a job reads: `table` as the contracts know it, in the form `variant` ('', 'changes' or 'history')."""

    name: str
    place: Place

    @property
    def variant(self) -> str:
        return next((v for v in VARIANTS if self.name.endswith(f"_{v}")), "")

    @property
    def table(self) -> str:
        return self.name.removesuffix(f"_{self.variant}") if self.variant else self.name


@dataclass(frozen=True)
class Job:
    """One view: its text, its inputs, and what its header says."""

    name: str
    kind: str  # 'batch' or 'stream'
    language: str  # 'sql' or 'py'
    path: Path
    text: str = field(repr=False)
    inputs: tuple[Input, ...] = ()
    options: dict[str, str] = field(default_factory=dict, hash=False)
    description: str = ""
    function: str = ""  # Python jobs: the decorated function

    @property
    def schedule(self) -> str:
        """A cron expression or preset of Airflow, or 'on new data'."""
        return self.options.get("schedule", ON_NEW_DATA)

    @property
    def live(self) -> bool:
        """Batch jobs: whether readers see the view merged with a speed layer."""
        return self.options.get("live") == "true"

    @property
    def parallelism(self) -> int:
        """Of the job at Flink, which a stream job and a live view have: how many slots share its work."""
        return int(self.options.get("parallelism", "1"))

    @property
    def key(self) -> tuple[str, ...]:
        """Stream jobs: the columns that make one alert the same alert."""
        return tuple(k.strip() for k in self.options.get("key", "").split(",") if k.strip())

    @property
    def topic(self) -> str:
        return self.options.get("topic", f"alerts.{self.name}")
