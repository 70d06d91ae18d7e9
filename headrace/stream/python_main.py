"""Runs inside `flink run -py`, in the environment of PyFlink: builds a Python stream job and answers its starter.

The starter (headrace.stream.python_submit) and this program talk through files in one folder: `request.N.json` is
answered by `answer.N.json`, until there is a file `end` or no folder. Standard library and PyFlink only: the file is
copied away from the package before it runs.
"""

import argparse
import importlib.util
import json
import sys
import time
import traceback
from pathlib import Path

PATIENCE = 300.0  # seconds without a request: the starter was killed


class Runner:
    """One Flink session with the job's inputs and result."""

    def __init__(self, given: dict) -> None:
        from pyflink.table import EnvironmentSettings, TableEnvironment

        self.given = given
        self.session = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
        for name, value in given["options"].items():
            self.session.get_config().set(name, value)
        for statement in given["inputs"]:
            self.session.execute_sql(statement)

    def describe(self, request: dict) -> dict:
        """Calls the user's function and describes the table it returns."""
        module = self._load()
        function = getattr(module, self.given["function"])
        table = function(*(self.session.from_path(name) for name in self.given["names"]))
        self.session.create_temporary_view(self.given["result"], table)
        rows = self.session.execute_sql(f"DESCRIBE {self.given['result']}").collect()
        return {"columns": [[row[0], row[1]] for row in rows]}

    def sinks(self, request: dict) -> dict:
        """Makes the sink tables; keeps the inserts."""
        for statement in request["tables"]:
            self.session.execute_sql(statement)
        self.inserts = request["inserts"]
        return {}

    def explain(self, request: dict) -> dict:
        """Flink's plan of the first insert."""
        return {"plan": self.session.explain_sql(self.inserts[0])}

    def submit(self, request: dict) -> dict:
        """Starts the job, from the state at a path if there is one."""
        configuration = self.session.get_config()
        configuration.set("execution.state-recovery.path", request["restore"])
        if not request["restore"]:
            configuration.get_configuration().remove_config("execution.state-recovery.path")
        statements = self.session.create_statement_set()
        for insert in self.inserts:
            statements.add_insert_sql(insert)
        return {"job_id": str(statements.execute().get_job_client().get_job_id())}

    def _load(self):
        path = Path(self.given["path"])
        self.session.add_python_file(str(path))  # functions of the job run elsewhere, under the same module name
        spec = importlib.util.spec_from_file_location(path.stem, path)
        if spec is None or spec.loader is None:
            raise ImportError(f"{path} is no Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
        return module


def main() -> None:
    """Answers requests until one says `end`, or none comes any more."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--exchange", type=Path, required=True)
    folder: Path = parser.parse_args().exchange
    given = json.loads((folder / "given.json").read_text())
    runner = None
    for number in range(1000):
        request = _request(folder / f"request.{number}.json")
        if request is None:
            return
        try:
            runner = runner or Runner(given)
            answer = getattr(runner, request["do"])(request)
        except Exception as error:  # whatever it is, the starter tells the user
            answer = {"error": _java(error) or f"{type(error).__name__}: {error}", "line": _line(error, given["path"])}
        _write(folder / f"answer.{number}.json", answer)


def _request(path: Path) -> dict | None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and path.parent.exists() and not (path.parent / "end").exists():
        if path.exists():
            return json.loads(path.read_text())
        time.sleep(0.05)
    return None


def _write(path: Path, answer: dict) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps(answer))
    part.rename(path)


def _java(error: BaseException) -> str:
    """The Java stack trace inside PyFlink's exceptions; '' when there is none."""
    for cause in (error, error.__cause__, error.__context__):
        trace = getattr(cause, "stack_trace", None) or getattr(cause, "_stack_trace", None)
        if trace:
            return f"{cause}\n{trace}"
        java = getattr(cause, "java_exception", None)
        if java is not None:
            return str(cause)
    return ""


def _line(error: BaseException, path: str) -> int:
    """The line of the user's file that was being run when it happened; 0 when none was."""
    if isinstance(error, SyntaxError):
        return error.lineno or 0
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    return lines[-1] or 0 if lines else 0


if __name__ == "__main__":
    main()
