"""SQL of people on DuckDB sees the tables that it is given and nothing else of the machine."""

from __future__ import annotations

import duckdb
import pyarrow as pa
import pytest

from headrace.errors import HeadraceError
from headrace.lake.closed import close
from headrace.lake.reading import query
from headrace.project import load

REACHING = [
    "SELECT * FROM read_csv('{0}')",
    "SELECT * FROM read_text('{0}')",
    "SELECT * FROM '{0}'",
    "SELECT * FROM glob('/etc/*')",
    "COPY (SELECT 1) TO '{0}.copy'",
    "EXPORT DATABASE '{0}.out'",
    "ATTACH '{0}.db' AS other",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET enable_external_access = true",
    "RESET lock_configuration",
    "SET temp_directory = '/etc'",
    "SELECT * FROM hidden",
]


@pytest.fixture
def file(tmp_path):
    made = tmp_path / "hidden.csv"
    made.write_text("a\n1\n")
    return made


@pytest.mark.parametrize("statement", REACHING)
def test_it_reaches_no_file_and_no_variable(file, statement):
    hidden = pa.table({"a": [1]})  # a variable of ours, which DuckDB would take for a table
    with duckdb.connect() as connection:
        connection.register("shown", hidden)
        close(connection)
        assert connection.execute("SELECT a FROM shown").fetchall() == [(1,)]
        with pytest.raises(duckdb.Error):
            connection.execute(statement.format(file))
    assert sorted(p.name for p in file.parent.iterdir()) == ["hidden.csv"]


@pytest.mark.parametrize("statement", REACHING)
def test_nor_does_a_query_of_the_lake(file, tmp_path, statement):
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "headrace.yml").write_text("name: site\n")
    project = load(tmp_path / "project")
    assert query(project, "SELECT 1")[1] == [(1,)]
    with pytest.raises(HeadraceError):
        query(project, statement.format(file))


def test_it_may_still_sort_more_than_fits_into_memory():
    """What does not fit goes to DuckDB's own temporary folder, chosen before the door was closed."""
    with duckdb.connect(config={"memory_limit": "40MB", "threads": 1}) as connection:
        close(connection)
        rows = connection.execute(
            "SELECT count(*) FROM (SELECT * FROM (SELECT i, md5(i::text) AS t FROM range(1500000) r(i)) ORDER BY t)"
        ).fetchone()
    assert rows == (1_500_000,)
