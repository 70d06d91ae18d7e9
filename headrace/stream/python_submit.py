"""Starts a Python stream job by `flink run -py`: inputs, sinks and checks as for SQL, another language between.

The query is built in PyFlink's own environment by headrace.stream.python_main, which waits for our requests: so the
alert table is made, and a running older version stopped, only after the new one is known to be sound.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from headrace.errors import HeadraceError, Place, Problem
from headrace.project import Job, Project
from headrace.stream import mistakes, plan
from headrace.stream.sink import RESULT

ROOT = Path(__file__).resolve().parents[2]  # the folder that holds the package, the environments and .jars
HOME = ROOT / ".jars" / "flink-home"
PYTHON = ROOT / ".venv-flink" / "bin" / "python"
SECONDS = 180.0  # a client JVM and PyFlink start on a busy machine
# A JVM that lives for seconds: the optimising compiler would never pay.
JVM = "-Xmx384m -XX:+UseSerialGC -XX:TieredStopAtLevel=1"


@contextmanager
def submitted_by_python(project: Project, job: Job) -> Iterator[_Python]:
    """A Python job as headrace.stream.prepared.Prepared. Costs a client JVM for as long as the block lasts."""
    if not HOME.exists() or not PYTHON.exists():
        raise HeadraceError(
            "Python stream jobs need PyFlink and a Flink home beside Headrace",
            hint="python3.11 -m headrace.local.install",
        )
    with tempfile.TemporaryDirectory(prefix=f"headrace-{job.name}-") as name:
        folder = Path(name)  # only we may read it: the sinks hold a password
        given = {
            "path": str(job.path),
            "function": job.function,
            "names": [i.name for i in job.inputs],
            "inputs": plan.input_statements(project, job),
            "options": plan.options(project, job),
            "result": RESULT,
        }
        (folder / "given.json").write_text(json.dumps(given))
        with (folder / "output").open("w") as output:
            command = [
                str(HOME / "bin" / "flink"),
                "run",
                "-d",
                "-py",
                str(Path(__file__).with_name("python_main.py")),
                "--exchange",
                str(folder),
            ]
            process = subprocess.Popen(
                command, env=_environment(project, folder), stdout=output, stderr=output, stdin=subprocess.DEVNULL
            )
            try:
                yield _Python(job, folder, process, plan.words(project, job))
            finally:
                (folder / "end").touch()
                _end(process)


class _Python:
    def __init__(self, job: Job, folder: Path, process: subprocess.Popen[bytes], words: set[str]) -> None:
        self.job, self.folder, self.process, self.words, self.number = job, folder, process, words, 0
        self.columns = [(str(n), str(t)) for n, t in self._ask("describe")["columns"]]

    def sinks(self, statements: tuple[str, str, str]) -> None:
        postgres, topic, statement_set = statements
        inserts = [line.rstrip(";") for line in statement_set.splitlines() if line.startswith("INSERT")]
        self._ask("sinks", tables=[postgres, topic], inserts=inserts)

    def explain(self) -> str:
        return str(self._ask("explain")["plan"])

    def submit(self, restore: str) -> str:
        return str(self._ask("submit", restore=restore)["job_id"])

    def _ask(self, what: str, **more: Any) -> dict[str, Any]:
        number, self.number = self.number, self.number + 1
        part = self.folder / "request.part"
        part.write_text(json.dumps({"do": what, **more}))
        part.rename(self.folder / f"request.{number}.json")
        path, end = self.folder / f"answer.{number}.json", time.monotonic() + SECONDS
        while not path.exists():
            if self.process.poll() is not None and not path.exists():
                raise HeadraceError(
                    f"`flink run` ended before the job was submitted: {self._said()}", place=Place(self.job.path)
                )
            if time.monotonic() > end:
                raise HeadraceError(
                    f"PyFlink did not answer within {SECONDS:.0f} s: {self._said()}", place=Place(self.job.path)
                )
            time.sleep(0.05)
        answer = json.loads(path.read_text())
        if "error" in answer:
            raise HeadraceError(self._problem(answer["error"], answer["line"]))
        return answer

    def _problem(self, error: str, line: int) -> Problem:
        found = (
            mistakes.problem(error, self.job, self.words, shift=0)
            if "Exception" in error
            else Problem(error.splitlines()[0])
        )
        return Problem(found.message, Place(self.job.path, line), found.hint)

    def _said(self) -> str:
        text = (self.folder / "output").read_text(errors="replace")
        return mistakes.root_cause(text) or "it said nothing"


def _environment(project: Project, folder: Path) -> dict[str, str]:
    """A configuration folder of the client's own: where the JobManager is, what the JVM needs, which Python to run."""
    address = urlsplit(project.addresses.flink_rest)
    shipped = yaml.safe_load((HOME / "conf" / "config.yaml").read_text())
    rights = shipped.get("env.java.opts.all") or shipped["env"]["java"]["opts"]["all"]
    values = {
        "env.java.opts.all": rights,
        "execution.target": "remote",
        "jobmanager.rpc.address": address.hostname,
        "rest.address": address.hostname,
        "rest.port": address.port,
        "python.client.executable": str(PYTHON),
        **({} if project.settings.flink else {"python.executable": str(PYTHON)}),
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(values))
    (folder / "log4j-cli.properties").write_text("rootLogger.level = WARN\n")
    own = {
        "FLINK_CONF_DIR": str(folder),
        "FLINK_LOG_DIR": str(folder),
        "FLINK_HOME": str(HOME),
        "JVM_ARGS": JVM,
        "HOSTNAME": "localhost",
    }
    return {**os.environ, **own}


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(timeout=15)  # both of its processes see the end; a signal would reach only the JVM
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
