"""Real servers for tests, started once per session and stopped exactly.

What to ask for, cheapest first:

    def test_x(shared, make_project, until):
        base = shared("bus", "postgres")         # these run after this line; nothing is started twice in a session
        project = make_project({"schemas/visits.yaml": …, "lake/sources/web.yml": …}, on=base)
        …                                        # project.addresses.bus, .serving(), … are the shared servers'
        until(lambda: rows() == 3, 30, "three rows")

* `shared(*parts) -> Project`: one platform for the whole session. Its project has local sources to make databases in:
  `shop` (PostgreSQL, wal_level=logical), `till` (MariaDB, row log), `ring` (Cassandra, keyspace `ring`) and `town`
  (Neo4j, one graph for all): parts `source:shop`, `source:till`, `source:ring`, `source:town`. The other parts: bus,
  connect, postgres, flink, spark. Start only what
  the test needs.
* `make_project(files, on=None, **settings) -> Project`: a new folder outside the repository. With `on=shared(…)` its
  headrace.yml names the shared bus, Connect, Flink, Spark and a serving database of its own there; so tests must choose
  names of topics (tables) and sources that no other test has: put the test's name in them. Secrets are the shared ones:
  a source says `connection: {url: "postgresql://headrace:${SHOP_PASSWORD}@127.0.0.1:PORT/shop"}`
  (`shared_url(project, source)`).
* `platform(project, only={...}) -> Project`: servers of this project alone (`connection.local` and free ports of its
  own). Dear: only for tests about starting, stopping and killing.
* `until(condition, seconds, what)`: waits for a state instead of sleeping; returns the condition's value.

HEADRACE_TESTS_FOLDER names the folder to work in (default: a new temporary one, removed at the end unless HEADRACE_KEEP
is set).
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from headrace.project import Project, load

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")  # gw0, gw1: files of tests are run in two processes side by side
SHARED = {
    f"lake/sources/{source}.yml": f"kind: {kind}\nconnection: {{local: true}}\ntables: {{{table}: {origin}}}\n"
    for source, kind, table, origin in (
        ("shop", "postgresql", "shop_rows", "public.shop_rows"),
        ("till", "mariadb", "till_rows", "till.till_rows"),
        ("ring", "cassandra", "ring_rows", "ring.ring_rows"),
        ("town", "neo4j", "town_rows", "':TownRow'"),
    )
} | {
    f"schemas/{table}.yaml": f"""kind: DataContract
apiVersion: v3.0.2
id: {table}
version: 1.0.0
schema:
  - name: {table}
    properties:
      - {{name: id, logicalType: integer, required: true, primaryKey: true}}
"""
    for table in ("shop_rows", "till_rows", "ring_rows", "town_rows")
}


@pytest.fixture(scope="session")
def work_folder() -> Iterator[Path]:
    """The folder that holds every project of this session."""
    given = os.environ.get("HEADRACE_TESTS_FOLDER")
    folder = Path(given) / WORKER if given else Path(tempfile.mkdtemp(prefix="headrace-tests-"))
    folder.mkdir(parents=True, exist_ok=True)
    yield folder
    if not given and not os.environ.get("HEADRACE_KEEP"):
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def make_project(work_folder: Path) -> Callable[..., Project]:
    """Makes a project folder; see this file's docstring."""
    count = iter(range(1000))

    def make(files: dict[str, str], on: Project | None = None, **settings: object) -> Project:
        name = f"p{next(count)}"
        root = work_folder / name
        values: dict[str, object] = {"name": name, "local": {"ports": _free_base()}}
        root.mkdir()
        if on:
            values |= _addresses(on, name)
            (root / ".headrace").mkdir()
            shutil.copy(on.state / "secrets.env", root / ".headrace" / "secrets.env")
        for path, text in ({"headrace.yml": yaml.safe_dump(values | settings)} | files).items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        return load(root)

    return make


@pytest.fixture(scope="session")
def platform(make_project: Callable[..., Project]) -> Iterator[Callable[..., Project]]:
    """Starts servers of a project; all of them are stopped at the end of the session."""
    from headrace.local import platform as local

    def start(project: Project, only: set[str] | None = None) -> Project:
        _started[project.root] = project
        local.up(project, only)
        return project

    yield start
    stop_all()


_started: dict[Path, Project] = {}


def runs(project: Project) -> bool:
    """Whether `platform` started it and nobody has stopped it since."""
    return project.root in _started


def stop_all() -> None:
    """Stops every server so far: for tests that need none of them and the machine for themselves. `shared` starts what
    is asked for again."""
    from headrace.local import platform as local

    while _started:
        local.down(_started.popitem()[1])
    _running.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure comes with how busy the machine was, and with what the servers had to complain about last."""
    report = yield
    if report.failed:
        report.sections.append(
            ("The machine", f"processes that want to run, over 1, 5 and 15 minutes: {os.getloadavg()}")
        )
        report.sections += [section for project in _started.values() for section in _complaints(project)]
    return report


def _complaints(project: Project, lines: int = 5) -> Iterator[tuple[str, str]]:
    from headrace.local import supervise

    for path in sorted(supervise.log(project, "any").parent.glob("*.log")):
        said = [line[:200] for line in supervise.tail(project, path.stem, 1000).splitlines() if _COMPLAINT.search(line)]
        if said:
            yield f"{project.root.name}: {path.stem}", "\n".join(said[-lines:])


_COMPLAINT = re.compile(r"\b(WARN|ERROR|FATAL|PANIC|exited|session has timed out)\b")


@pytest.fixture(scope="session")
def shared(make_project: Callable[..., Project], platform: Callable[..., Project]) -> Callable[..., Project]:
    """One platform for the whole session; see this file's docstring."""
    project: list[Project] = []

    def start(*parts: str) -> Project:
        if not project:
            project.append(make_project(SHARED))
        missing = set(parts) - _running
        if missing:
            platform(project[0], only=missing)
            _running.update(missing)
        return project[0]

    return start


_running: set[str] = set()  # parts of the shared platform


@pytest.fixture(scope="module", autouse=True)
def what_a_file_has_running_goes_with_it(shared: Callable[..., Project]) -> Iterator[None]:
    """Else Connect and Flink would work for all of them until the end: a whole core after forty files."""
    yield
    if "connect" in _running:
        with httpx.Client(base_url=shared().addresses.connect, timeout=60) as client:
            for name in client.get("/connectors").raise_for_status().json():
                while client.delete(f"/connectors/{name}").status_code == httpx.codes.CONFLICT:
                    time.sleep(0.5)  # it is rebalancing
    if "flink" in _running:
        with httpx.Client(base_url=shared().addresses.flink_rest, timeout=60) as client:
            for job in client.get("/jobs").raise_for_status().json()["jobs"]:
                if job["status"] in {"RUNNING", "RESTARTING", "CREATED"}:
                    client.patch(f"/jobs/{job['id']}?mode=cancel")


@pytest.fixture(scope="session")
def shared_url() -> Callable[[Project, str], str]:
    """The address of a shared source with ${…} where its password belongs, for a source file of another project."""

    def url(project: Project, source: str, database: str = "") -> str:
        of = project.source(source)
        port = project.addresses.source_port(source)
        return f"{of.kind}://headrace:${{{source.upper()}_PASSWORD}}@127.0.0.1:{port}/{database or of.database}"

    return url


def _free_base() -> int:
    from headrace.local import ports

    # Sessions of several people at a time: each searches from a place of its own, each half of one from its own range.
    first = 22000 + 4000 * int(WORKER[2:] or 0) + os.getpid() % 20 * 100
    _free_base.next = ports.suggestion(max(_free_base.next, first)) + 100  # type: ignore[attr-defined]
    return _free_base.next - 100  # type: ignore[attr-defined]


_free_base.next = 0  # type: ignore[attr-defined]


def _addresses(on: Project, name: str) -> dict[str, object]:
    """The shared servers as external addresses, with a serving database of the project's own."""
    from headrace.local import supervise

    a = on.addresses
    running = {n for n, info in supervise.states(on).items() if info["statename"] in supervise.RUNNING}
    values: dict[str, object] = {}
    if "bus" in running:
        values["bus"] = a.bus
    if "connect" in running:
        values["connect"] = a.connect
    if "spark" in running:
        values["spark"] = a.spark
    if "flink-gateway" in running:
        values["flink"] = {"rest": a.flink_rest, "gateway": a.flink_gateway}
    if "postgres" in running:
        import psycopg

        with psycopg.connect(a.serving(), dbname="postgres", autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        values["serving"] = (
            f"postgresql://headrace:${{HEADRACE_SERVING_PASSWORD}}@127.0.0.1:{a.port('postgres')}/{name}"
        )
    return values
