"""Both sinks of a result: their columns, key and the statements that fill them."""

from collections.abc import Callable

import pytest

from headrace.errors import HeadraceError
from headrace.project import Job
from headrace.sql.lineage import Origins
from headrace.stream.sink import sink_of

TEXT = "-- A dear visit.\n-- key: id\n-- severity: page\nSELECT id, fee, event_time AS seen FROM visits_changes\n"
RESULT = [("id", "BIGINT"), ("fee", "DECIMAL(8, 2)"), ("seen", "TIMESTAMP_LTZ(3) *ROWTIME*"), ("tags", "ARRAY<STRING>")]


def test_the_table_has_the_result_and_what_every_alert_has(make_job: Callable[..., Job]) -> None:
    assert sink_of(make_job(TEXT), RESULT).table_columns == {
        "id": "bigint NOT NULL",
        "fee": "numeric(8,2)",
        "seen": "timestamptz",
        "tags": "jsonb",
        "alert_id": "text NOT NULL",
        "severity": "text NOT NULL DEFAULT 'page'",
        "raised_at": "timestamptz NOT NULL DEFAULT now()",
    }


def test_a_column_of_the_querys_own_takes_the_place_of_ours(make_job: Callable[..., Job]) -> None:
    sink = sink_of(make_job(TEXT), [("id", "BIGINT"), ("severity", "STRING")])
    assert sink.table_columns["severity"] == "text"
    assert "'page'" not in sink.statements({"bootstrap.servers": "bus"}, "jdbc:x", "u", "p")[2]


def test_one_statement_set_fills_both_sinks_by_key(make_job: Callable[..., Job]) -> None:
    postgres, topic, insert = sink_of(make_job(TEXT), RESULT).statements(
        {"bootstrap.servers": "bus:1"}, "jdbc:postgresql://h/d", "u", "p'w"
    )
    assert "PRIMARY KEY (`id`) NOT ENFORCED" in postgres
    assert "'table-name' = 'alerts.dear_visit'" in postgres
    assert "'password' = 'p''w'" in postgres
    assert "'connector' = 'upsert-kafka'" in topic
    assert "'topic' = 'alerts.dear_visit'" in topic
    assert insert.count("INSERT INTO") == 2
    assert insert.count("MD5(CONCAT_WS('|', 'dear_visit', CAST(`id` AS STRING))) AS `alert_id`") == 2


def test_times_cross_to_postgresql_as_text_in_utc(make_job: Callable[..., Job]) -> None:
    postgres, topic, insert = sink_of(make_job(TEXT), RESULT).statements(
        {"bootstrap.servers": "bus:1"}, "jdbc:x", "u", "p"
    )
    assert "`seen` STRING" in postgres
    assert "CAST(CAST(`seen` AS TIMESTAMP_LTZ(6)) AS STRING) || '+00'" in insert
    assert "`seen` TIMESTAMP_LTZ(6)" in topic


def test_a_key_that_the_result_lacks_is_named_at_the_header(make_job: Callable[..., Job]) -> None:
    job = make_job(TEXT)
    with pytest.raises(HeadraceError) as error:
        sink_of(job, [("ident", "BIGINT")])
    problem = error.value.problems[0]
    assert problem.message == "the key 'id' is no column of the result"
    assert problem.place.line == 2  # type: ignore[union-attr]
    assert "ident" in problem.hint


@pytest.mark.parametrize(
    ("column", "says"),
    [
        (("EXPR$1", "BIGINT"), "a column of the result has no name"),
        (("Total", "BIGINT"), "no alert table can have a column 'Total'"),
        (("gap", "INTERVAL SECOND(3) NOT NULL"), "column 'gap' is of type INTERVAL"),
    ],
)
def test_a_column_that_can_not_be_stored_is_named(
    make_job: Callable[..., Job], column: tuple[str, str], says: str
) -> None:
    with pytest.raises(HeadraceError, match=says.replace("$", r"\$")):
        sink_of(make_job(TEXT), [("id", "BIGINT"), column])


def test_personal_columns_go_where_only_the_owner_looks(make_job: Callable[..., Job]) -> None:
    names = frozenset({"visits.fee"})
    sink = sink_of(make_job(TEXT), RESULT, Origins({"fee": names}))
    assert sink.masks == {"fee": names}
    assert (
        "'table-name' = 'personal.dear_visit'" in sink.statements({"bootstrap.servers": "bus:1"}, "jdbc:x", "u", "p")[0]
    )
    hashed = sink_of(make_job(TEXT), RESULT, Origins({"id": names}))
    assert set(hashed.masks) == {"id", "alert_id"}  # alert_id is a hash of the key
