"""How each kind of source that is pulled is read, and asked whether it works: a new kind is one line in PULLED.

A kind's module, and the driver that it needs, is imported when a source of it is pulled or asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from headrace.errors import HeadraceError
from headrace.project import Project, Source, Table
from headrace.pulls.delivered import Delivered
from headrace.pulls.pulled import Line, Report, State

Steps = Iterator[tuple[Iterator[Line], State]]  # rows of one step, and the state when they are delivered


@dataclass(frozen=True)
class Turn:
    """One table's turn in a pull: how far it was pulled, where to say what could not be read, and its listing."""

    project: Project
    source: Source
    table: Table
    state: State
    report: Report
    delivered: Callable[[], Delivered]  # what pulls have delivered; of kinds that keep a listing (Source.listed)

    @property
    def url(self) -> str:
        return self.project.addresses.source(self.source)


@dataclass(frozen=True)
class Pulled:
    """A kind: `steps` of what no pull has delivered; `probe` raises HeadraceError when the source does not answer."""

    steps: Callable[[Turn], Steps]
    probe: Callable[[Project, Source], None]


def _files(turn: Turn) -> Steps:
    from headrace.pulls import folder, objects

    if turn.source.url:
        return objects.steps(turn.url, turn.source, turn.table, turn.state, turn.report)
    return folder.steps(turn.project.root / turn.source.path, turn.table, turn.state, turn.report)


def _has_files(project: Project, source: Source) -> None:
    if source.url:
        from headrace.pulls import objects

        objects.probe(project.addresses.source(source), source)
    elif not (project.root / source.path).is_dir():
        raise HeadraceError(f"{source.path} is not a folder", place=source.place)


def _jdbc(turn: Turn) -> Steps:
    from headrace.pulls import query

    return query.steps(turn.url, turn.source, turn.table, turn.state)


def _jdbc_answers(project: Project, source: Source) -> None:
    from headrace.pulls import query

    query.probe(project.addresses.source(source), source)


def _rest(turn: Turn) -> Steps:
    from headrace.pulls import rest

    return rest.steps(turn.project.addresses, turn.source, turn.table, turn.state)


def _rest_answers(project: Project, source: Source) -> None:
    from headrace.pulls import rest

    rest.probe(project.addresses, source)


def _cassandra(turn: Turn) -> Steps:
    from headrace.pulls import cassandra

    return cassandra.steps(turn.url, turn.source, turn.table, turn.state, turn.delivered())


def _cassandra_answers(project: Project, source: Source) -> None:
    from headrace.pulls import cassandra

    cassandra.probe(project.addresses.source(source), source)


def _neo4j(turn: Turn) -> Steps:
    from headrace.pulls import neo4j

    return neo4j.steps(turn.url, turn.source, turn.table, turn.state)


def _neo4j_answers(project: Project, source: Source) -> None:
    from headrace.pulls import neo4j

    neo4j.probe(project.addresses.source(source), source)


# kind of a source whose mode is cron → what it does
PULLED = {
    "files": Pulled(_files, _has_files),
    "jdbc": Pulled(_jdbc, _jdbc_answers),
    "rest": Pulled(_rest, _rest_answers),
    "cassandra": Pulled(_cassandra, _cassandra_answers),
    "neo4j": Pulled(_neo4j, _neo4j_answers),
}
