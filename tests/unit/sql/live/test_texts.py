"""The statements of a live view: what of them must not be lost. Engines read them in tests/engine/sql."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from headrace.lake.rows import ORIGIN
from headrace.project import load
from headrace.project.live import live_tables
from headrace.sql.live import dimension, flink, postgres, spark, tables
from headrace.sql.live.parse import compile_live
from headrace.sql.live.tree import View

PROJECT = load(Path(__file__).parents[4])
BY_CITY = (
    "SELECT r.city, DATE_TRUNC('hour', o.placed_at) AS hour, SUM(o.total) AS revenue, COUNT(*) AS orders "
    "FROM orders o JOIN restaurants r ON r.id = o.restaurant_id GROUP BY r.city, hour HAVING COUNT(*) > 2"
)
NEWEST = "SELECT status, MAX(occurred_at) AS newest FROM deliveries GROUP BY status"


def view(query: str, name: str = "by_city") -> View:
    found = compile_live(name, query, live_tables(PROJECT))
    assert found.view is not None, found.mistakes
    return found.view


def test_a_joined_table_is_grouped_by_its_key_and_joined_when_read():
    one = view(BY_CITY)
    assert [k.node.value for k in one.keys] == ["restaurant_id", "HOUR"]
    assert "restaurants" not in flink.signed(one, "orders_bus", 0) + spark.partials(one, "rows")
    assert f"JOIN {tables.dimension_table(one, one.dimensions[0])} AS d1" in postgres.query(one)


def test_the_view_reads_from_the_cut_on_and_of_its_own_version():
    text = postgres.query(view(BY_CITY))
    assert f"chunk >= (SELECT speed.cut_of('by_city', '{tables.version(view(BY_CITY))}'))" in text
    assert "g.row_count > 0" in text


def test_without_groups_there_is_always_a_row():
    text = postgres.query(view("SELECT COUNT(*) AS n FROM orders"))
    assert "g.row_count > 0" not in text and "GROUP BY" not in text


@pytest.mark.parametrize(
    "other",
    [
        BY_CITY.replace("SUM(o.total)", "SUM(o.total + 1)"),
        BY_CITY.replace("JOIN", "LEFT JOIN"),
        BY_CITY.replace("> 2", "> 3"),
        BY_CITY.replace(" HAVING", " WHERE"[:0] + " HAVING COUNT(*) < 9 AND"),
    ],
)
def test_another_query_has_tables_of_its_own(other: str):
    assert tables.version(view(other)) != tables.version(view(BY_CITY))
    assert tables.version(view(BY_CITY, "other")) != tables.version(view(BY_CITY))


def test_another_way_to_write_it_does_not():
    other = BY_CITY.replace("DATE_TRUNC('hour', o.placed_at)", "date_trunc('HOUR', placed_at)").replace("  ", " ")
    assert tables.version(view(other)) == tables.version(view(BY_CITY))


def test_a_replayed_message_and_a_snapshot_carry_no_sign():
    text = flink.signed(view(BY_CITY), "orders_bus", 7)
    assert f"`op` IN ('c', 'u', 'd') AND `__headers`['{ORIGIN}'] IS NULL" in text
    assert text.endswith("WHERE chunk >= 7")
    assert flink.REPLAYED == ORIGIN


def test_a_partial_says_how_far_it_reaches():
    text = flink.insert(view(BY_CITY))
    assert "MAX(place) AS upto" in text and "MIN(place) AS min_offset" in text
    assert text.endswith("GROUP BY group_key, chunk, part")  # the key of the sink, see `insert`


def test_the_only_key_of_a_view_without_groups_is_no_literal():
    assert flink.group_key(view("SELECT COUNT(*) AS n FROM orders")) == "SUBSTRING(CAST(part AS STRING), 1, 0)"


def test_a_topic_is_read_from_the_offsets_of_the_cut():
    orders = PROJECT.table("orders")
    (text,) = flink.raw(view(BY_CITY), orders, {"bootstrap.servers": "bus:9092"}, "group", {0: 42, 1: 7})
    assert "'scan.startup.mode' = 'specific-offsets'" in text
    assert "'scan.startup.specific-offsets' = 'partition:0,offset:42;partition:1,offset:7'" in text
    assert "'properties.isolation.level' = 'read_committed'" in text
    assert "`__headers` MAP<STRING, BYTES> METADATA FROM 'headers' VIRTUAL" in text


def test_events_are_read_without_their_repeats():
    one = view(NEWEST)
    raw, changes = flink.raw(one, PROJECT.table("deliveries"), {"bootstrap.servers": "bus:9092"}, "group", {})
    assert "'earliest-offset'" in raw and "ARRAY_POSITION" in changes
    horizon, longer = (
        flink.raw(one, PROJECT.table("deliveries"), {"bootstrap.servers": "bus:9092"}, "group", {}, s)[1]
        for s in (0, 3600)
    )
    assert "RANGE BETWEEN INTERVAL '0 01:00:00.000'" in horizon and "RANGE BETWEEN INTERVAL '0 02:00:00.000'" in longer
    assert longer.count("+ INTERVAL '0 01:00:00.000'") == 1  # what is a repeat does not change
    assert flink.raw_name(one) == "deliveries_changes"
    assert "MAX(m1)" in flink.insert(one) and "UNNEST" not in flink.signed(one, "deliveries_changes", 0)


def test_a_key_goes_only_when_nothing_is_left_of_it():
    added, cleared = tables.add(view(BY_CITY))
    assert "m1 = b.m1 + excluded.m1" in added and "row_count = b.row_count + excluded.row_count" in added
    assert cleared.endswith("b.m1 = 0 AND b.m2 = 0 AND b.row_count = 0")
    added, cleared = tables.add(view(NEWEST))
    assert "m1 = GREATEST(b.m1, excluded.m1)" in added and cleared.endswith("AND false")


def test_tables_have_room_and_a_guard():
    text = "\n".join(tables.create(view(BY_CITY)))
    assert "m1 numeric(20,2) NOT NULL" in text and "k2 timestamptz" in text
    assert "BEFORE UPDATE" in text and "PRIMARY KEY (group_key, chunk, part)" in text
    assert '"id" bigint, "city" text, gone boolean NOT NULL' in text


def test_a_text_of_any_length_can_be_a_key():
    one = view("SELECT status, method, COUNT(*) AS n FROM payments GROUP BY 1, 2")
    indexes = [s for s in tables.create(one) if "INDEX" in s]
    assert len(indexes) == 4 and all("USING hash" in i for i in indexes)
    assert "SHA256" in flink.group_key(one) and "sha2" in spark.group_key(one)


def test_a_joined_row_is_taken_away_when_its_image_is():
    joined = view(BY_CITY).dimensions[0]
    text = dimension.insert(joined, 1)
    assert text.startswith("INSERT INTO headrace_joined_1") and "AS `gone`" in text and "`restaurants_bus`" in text
    assert "PRIMARY KEY (`id`) NOT ENFORCED" in dimension.sink(joined, 1, "speed.d", "jdbc:postgresql://h/d", "u", "p")


@pytest.mark.parametrize("value", ["it's", "back\\slash", "ünï", "new\nline", "%_"])
def test_texts_are_quoted_for_each_engine(value: str):
    from headrace.sql.live.tree import Node
    from headrace.sql.live.types import TEXT

    node = Node("literal", TEXT, value=value)
    doubled = "'" + value.replace("'", "''") + "'"
    escaped = "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    assert flink.Flink(str).text(node) == postgres.Postgres(str).text(node) == doubled
    assert spark.Spark(str).text(node) == escaped


def test_other_messages_make_another_version(tmp_path: Path):
    """A topic of its own, or another rule of which events count: partials of the old ones are not those of the new."""
    tables_, one = live_tables(PROJECT), view(NEWEST)
    for messages in ("events.others occurrence 60.0", tables_["deliveries"].messages + "1"):
        other = tables_ | {"deliveries": replace(tables_["deliveries"], messages=messages)}
        found = compile_live("by_city", NEWEST, other).view
        assert found is not None and tables.version(found) != tables.version(one)
    assert PROJECT.table("deliveries").topic in one.table.messages
