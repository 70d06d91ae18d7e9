"""A job's query made ready in a Flink session: checked and described, then explained with its sinks, then submitted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from headrace.errors import HeadraceError
from headrace.project import Job, Project
from headrace.stream import mistakes, plan
from headrace.stream.gateway import Gateway, StatementFailed
from headrace.stream.sink import RESULT

RECOVERY = "execution.state-recovery.path"


class Prepared(Protocol):
    """What SQL and Python jobs have in common once Flink has understood them."""

    columns: list[tuple[str, str]]  # of the result: name and Flink type

    def sinks(self, statements: tuple[str, str, str]) -> None:
        """Makes the two sink tables and keeps the statement set that fills them."""
        ...

    def explain(self) -> str:
        """Flink's plan, without the topic. Raises HeadraceError when the query can't run as a stream."""
        ...

    def submit(self, restore: str) -> str:
        """Starts the job from the state at the path ('' for none); returns Flink's job id."""
        ...


@contextmanager
def prepared(project: Project, job: Job) -> Iterator[Prepared]:
    """The job's query in a session of its own. Raises HeadraceError with file, line and hint for a mistake in it."""
    if job.language == "py":
        from headrace.stream.python_submit import submitted_by_python

        with submitted_by_python(project, job) as ready:
            yield ready
        return
    with Gateway(project.addresses.flink_gateway, plan.options(project, job)) as gateway:
        yield _Sql(project, job, gateway)


class _Sql:
    def __init__(self, project: Project, job: Job, gateway: Gateway) -> None:
        self.project, self.job, self.gateway, self.insert = project, job, gateway, ""
        for statement in plan.input_statements(project, job):
            self._ours(statement)
        self._users(f"CREATE TEMPORARY VIEW {RESULT} AS\n{_one_statement(job.text)}")
        self.columns = [(str(row[0]), str(row[1])) for row in self._users(f"DESCRIBE {RESULT}").rows]

    def sinks(self, statements: tuple[str, str, str]) -> None:
        postgres, topic, self.insert = statements
        self._ours(postgres)
        self._ours(topic)

    def explain(self) -> str:
        return str(self._users(f"EXPLAIN {first_insert(self.insert)}").rows[0][0])

    def submit(self, restore: str) -> str:
        self._ours(f"SET '{RECOVERY}' = '{restore}'" if restore else f"RESET '{RECOVERY}'")
        return self._ours(self.insert).job_id

    def _users(self, statement: str):
        try:
            return self.gateway.run(statement)
        except StatementFailed as error:
            raise HeadraceError(
                mistakes.problem(error.trace, self.job, plan.words(self.project, self.job), shift=1)
            ) from None

    def _ours(self, statement: str):
        try:
            return self.gateway.run(statement)
        except StatementFailed as error:
            reason = mistakes.root_cause(error.trace)
            raise HeadraceError(
                f"Flink refused a statement of Headrace's own for {self.job.name}: {reason}",
                hint=mistakes.masked(statement),
            ) from None


def first_insert(statement_set: str) -> str:
    """The insert into PostgreSQL: it has all that keeps state, and planning half as much is twice as quick."""
    return statement_set.splitlines()[1].rstrip(";")


def _one_statement(text: str) -> str:
    """The text without the semicolon at its end, line for line as the user wrote it."""
    return text.rstrip().removesuffix(";")
