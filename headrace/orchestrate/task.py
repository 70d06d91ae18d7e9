"""The Airflow task that calls Headrace's command line, so that no engine is imported in Airflow's environment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import deque
from pathlib import Path
from threading import Thread
from typing import IO, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException

import headrace

# Airflow's own settings hold its database password; a job has no business with them.
_PRIVATE = ("AIRFLOW__", "_AIRFLOW", "__AIRFLOW", "VIRTUAL_ENV", "PYTHONPATH")
_TAIL = 40  # lines repeated in the failure: enough for several problems with excerpt and hint
_GRACE = 20  # seconds between SIGTERM and SIGKILL when a run is cleared or times out


class Headrace(BaseOperator):
    """Runs `headrace -C PROJECT ARGUMENTS…`, shows its output as it comes, and fails with what it said on stderr.

    Every verb called this way is idempotent: Airflow may run a task twice, for instance after its worker was killed.
    """

    template_fields = ("command",)
    ui_color = "#e3f0f7"

    def __init__(
        self, *, root: str, arguments: tuple[str, ...], dead_job: str = "", kind: str = "", **kwargs: Any
    ) -> None:
        super().__init__(on_failure_callback=record_dead_job if dead_job else None, **kwargs)
        self.root = root
        self.dead_job = dead_job
        self.kind = kind
        self.command = ["headrace", "-C", root, *arguments]
        self._process: subprocess.Popen[str] | None = None

    def execute(self, context: Any) -> None:
        """Succeeds when the command line exits with 0; raises AirflowException with its error otherwise."""
        status, said = self._run([executable(), *self.command[1:]])
        if status:
            raise AirflowException(f"`{' '.join(self.command)}` ended with status {status}:\n\n{said}")

    def _run(self, command: list[str]) -> tuple[int, str]:
        # A session of its own: on_kill reaches whatever the command line started, and nothing else.
        self._process = subprocess.Popen(
            command,
            cwd=self.root,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        assert self._process.stdout
        assert self._process.stderr
        answer: deque[str] = deque(maxlen=_TAIL)
        errors: deque[str] = deque(maxlen=_TAIL)
        reader = Thread(target=self._forward, args=(self._process.stderr, errors), daemon=True)
        reader.start()
        self._forward(self._process.stdout, answer)
        reader.join()
        return self._process.wait(), "\n".join(errors or answer)

    def _forward(self, stream: IO[str], tail: deque[str]) -> None:
        for line in stream:
            self.log.info("%s", line.rstrip("\n"))
            tail.append(line.rstrip("\n"))

    def on_kill(self) -> None:
        """Ends the command when the run is cleared, marked or too long."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        for name in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, name)
                process.wait(_GRACE)
            except ProcessLookupError:
                return
            except subprocess.TimeoutExpired:
                continue


def record_dead_job(context: Any) -> None:
    """Airflow calls this once, when the last try has failed: a row in ops.dead_jobs says how to run the job again."""
    task = context["task"]
    error = str(context.get("exception") or "the task was killed")
    command = [executable(), "-C", task.root, "work", "dead-job", task.dead_job, "--kind", task.kind]
    done = subprocess.run(
        [*command, "--error", error[-8000:]],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        print(f"ops.dead_jobs was not written: {done.stderr.strip()}", file=sys.stderr)


def executable() -> str:
    """HEADRACE_BIN, else the command line in the platform's environment beside this package, else the PATH's."""
    beside = Path(headrace.__file__).resolve().parents[1] / ".venv" / "bin" / "headrace"
    return os.environ.get("HEADRACE_BIN") or (str(beside) if beside.exists() else "headrace")


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(_PRIVATE)}
