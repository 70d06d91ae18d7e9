"""The SQL that shows a topic as changes: what it promises stands in its text."""

from headrace.project import Column, Project
from headrace.sql import flink


def test_columns_of_both_images_are_text_so_that_a_wrong_type_costs_no_message(clinic: Project) -> None:
    raw, _ = flink.inputs(clinic.table("visits"), {"bootstrap.servers": "bus:9092"}, "g", bare=False)
    image = "ROW<`id` STRING, `fee` STRING, `note` STRING, `day` STRING, `seen_at` STRING>"
    assert f"`before` {image}" in raw
    assert f"`after` {image}" in raw
    assert "'json.ignore-parse-errors' = 'true'" in raw
    events, _ = flink.inputs(clinic.table("visits"), {"bootstrap.servers": "bus:9092"}, "g", bare=True)
    assert "'format' = 'json-object'" in events and "'json-object.ignore-parse-errors' = 'true'" in events


def test_reads_only_committed_records_under_the_given_group_from_the_beginning(clinic: Project) -> None:
    raw, _ = flink.inputs(clinic.table("visits"), {"bootstrap.servers": "bus:9092"}, "headrace-clinic-x", bare=False)
    for option in (
        "'properties.isolation.level' = 'read_committed'",
        "'properties.group.id' = 'headrace-clinic-x'",
        "'scan.startup.mode' = 'group-offsets'",
        "'properties.auto.offset.reset' = 'earliest'",
        "'topic' = 'desk.public.visits'",
    ):
        assert option in raw


def test_the_watermark_never_passes_the_append_time(clinic: Project) -> None:
    raw, _ = flink.inputs(clinic.table("visits"), {"bootstrap.servers": "bus:9092"}, "g", bare=False)
    bounded = "CASE WHEN `__event_time` < `__appended_at` THEN `__event_time` ELSE `__appended_at` END"
    assert f"WATERMARK FOR `__event_time` AS {bounded} - INTERVAL '0 00:01:30.000' DAY TO SECOND(3)" in raw


def test_event_time_falls_back_to_the_commit_and_then_to_the_append_so_that_markers_have_one(clinic: Project) -> None:
    raw, _ = flink.inputs(clinic.table("visits"), {"bootstrap.servers": "bus:9092"}, "g", bare=False)
    assert "TO_TIMESTAMP_LTZ(`source`.`ts_ms`, 3), `__appended_at`)" in raw
    raw, _ = flink.inputs(clinic.table("calls"), {"bootstrap.servers": "bus:9092"}, "g", bare=True)
    assert "`__event_time` AS COALESCE(`__appended_at`)" in raw


def test_a_delete_shows_the_image_before_it(clinic: Project) -> None:
    _, view = flink.inputs(clinic.table("visits"), {"bootstrap.servers": "bus:9092"}, "g", bare=False)
    assert "TRY_CAST(CASE WHEN `op` = 'd' THEN `before`.`id` ELSE `after`.`id` END AS BIGINT) AS `id`" in view
    assert "`op` IN ('r', 'c', 'u', 'd')" in view  # neither markers nor truncates


def test_an_image_counts_only_if_landing_would_take_it(clinic: Project) -> None:
    visits = clinic.table("visits").contract
    required = flink.valid_value(visits.columns[1], "x")
    assert required == "REGEXP(x, '^(?:-?0*\\d{1,6}(?:\\.\\d{0,2}0*)?)\\z') AND TRY_CAST(x AS DECIMAL(8,2)) IS NOT NULL"
    optional = flink.valid_value(visits.columns[3], "x")
    assert optional.startswith("(x IS NULL OR REGEXP(x, ")
    assert flink.valid_value(Column("n", "string", required=True), "x") == "x IS NOT NULL"


def test_repeats_are_looked_for_only_where_the_contract_names_an_event_id(clinic: Project) -> None:
    _, view = flink.inputs(clinic.table("calls"), {"bootstrap.servers": "bus:9092"}, "g", bare=True)
    assert "PARTITION BY `event_id` ORDER BY `__processed_at` RANGE BETWEEN INTERVAL '0 02:00:00.000' DAY" in view
    _, view = flink.inputs(clinic.table("visits"), {"bootstrap.servers": "bus:9092"}, "g", bare=False)
    assert "OVER (" not in view


def test_a_column_called_like_one_of_ours_gives_way(clinic: Project) -> None:
    contract = clinic.table("calls").contract
    object.__setattr__(
        contract, "columns", (*contract.columns, Column("op", "string"), Column("event_time", "timestamp"))
    )
    view = flink.changes_view(contract, bare=True)
    assert view.count("AS `op`") == 1
    assert view.count("AS `event_time`") == 1


def test_names_and_texts_are_quoted() -> None:
    assert flink.name("a`b") == "`a``b`"
    assert flink.literal("it's") == "'it''s'"
