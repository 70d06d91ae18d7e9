"""Which columns of a result hold personal values; where that can't be told, all of them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.sql.lineage import Origins, Read, mentioned, trace

NAME, NOTE = frozenset({"guests.name"}), frozenset({"stays.note"})
TABLES = {
    "guests": Read(("id", "name", "city"), Origins({"name": NAME})),
    "stays": Read(("id", "guest_id", "nights", "note"), Origins({"note": NOTE})),
    "rooms": Read(("id", "floor"), Origins()),
    "scored": Read(None, Origins({"name": NAME})),  # a Python view: its columns show when it runs
    "lost": Read(None, Origins(rest=NAME)),  # a view of which nothing could be traced
}


@pytest.mark.parametrize(
    ("sql", "personal"),
    [
        ("SELECT id, name FROM guests", {"name"}),
        ("SELECT id, upper(name) AS shown FROM guests", {"shown"}),
        ("SELECT name AS a, upper(a) AS b FROM guests", {"a", "b"}),
        ("SELECT g.ID, G.NAME AS Who FROM guests G", {"who"}),
        ("SELECT id, `name` AS who FROM guests", {"who"}),
        ("SELECT *, 1 AS one FROM guests", {"name"}),
        ("SELECT * EXCEPT (name) FROM guests", set()),
        ("WITH g AS (SELECT * FROM guests) SELECT s.nights, g.name AS who FROM stays s JOIN g ON g.id = s.id", {"who"}),
        ("WITH g(a, b, c) AS (SELECT * FROM guests) SELECT a, b FROM g", {"b"}),
        ("SELECT id, (SELECT max(name) FROM guests g WHERE g.id = s.guest_id) AS who FROM stays s", {"who"}),
        ("SELECT id, word FROM guests LATERAL VIEW explode(split(name, ' ')) t AS word", {"word"}),
        ("SELECT id, struct(g.*) AS all FROM guests g", {"all"}),
        ("SELECT x.n AS n FROM (SELECT named_struct('n', name) AS x FROM guests)", {"n"}),
        ("SELECT id, city FROM guests UNION ALL SELECT id, note FROM stays", {"city"}),
        ("SELECT CASE WHEN name = 'Ann' THEN 1 ELSE 0 END AS is_ann, id FROM guests", {"is_ann"}),
        ("SELECT guest_id, max(note) FILTER (WHERE note <> '') AS n FROM stays GROUP BY guest_id", {"n"}),
        ("SELECT * FROM (SELECT id, city, name FROM guests) PIVOT (max(name) FOR city IN ('a', 'b'))", {"a", "b"}),
        ("FROM guests SELECT name AS who", {"who"}),
        ("SELECT /*+ BROADCAST(guests) */ * FROM guests", {"name"}),
        ("WITH g(a, b, c) AS (FROM guests SELECT *) SELECT b FROM g", {"b"}),
        # a number of rows is no value; what chooses rows is not traced
        ("SELECT city, count(name) AS a, count(DISTINCT name) AS b FROM guests GROUP BY city", set()),
        ("SELECT count(*) FILTER (WHERE name = 'Ann') AS a, count_if(name = 'Ann') AS b FROM guests", set()),
        ("SELECT r.id FROM rooms r JOIN guests g ON g.id = r.id WHERE g.name LIKE 'A%'", set()),
        ("SELECT guest_id AS name, nights * 2 AS twice FROM stays", set()),
        ("SELECT city AS name FROM guests", set()),
        # a table whose columns are not known: they keep their names
        ("SELECT * FROM scored", {"name"}),
        ("SELECT score, name AS who FROM scored", {"who"}),
        ("WITH a AS (SELECT name AS z FROM scored) SELECT z AS y, score FROM a JOIN scored", {"y"}),
    ],
)
def test_columns_of_a_result(sql: str, personal: set[str]):
    found = trace(sql, {name: t for name, t in TABLES.items() if name in sql})
    assert set(found.columns) == personal
    assert not found.rest


@pytest.mark.parametrize(
    "sql",
    [
        "TABLE guests",
        "WITH g(x, a, z) AS (TABLE guests) SELECT a FROM g",
        "WITH g(x, a, z) AS (FROM guests) SELECT a FROM g",
        "SELECT a FROM guests AS g(x, a, z)",
        "SELECT IDENTIFIER('na' || 'me') AS a FROM guests",
        "SELECT to_json(struct(*)) AS j, id FROM guests",
        "SELECT stack(2, name, city) AS (a) FROM guests",
        "SELECT inline(array(struct(id, name))) AS (i, n) FROM guests",
        "SELECT name FROM guests MATCH_RECOGNIZE (nothing that can be read",
        "SELECT name, 'never closed FROM guests",
        "SELECT floor FROM lost",
    ],
)
def test_what_cannot_be_traced_is_personal(sql: str):
    found = trace(sql, {name: t for name, t in TABLES.items() if name in sql})
    assert found.of("j") or found.of("floor") or found.of("a")
    assert found.all == NAME


def test_a_query_that_names_nothing_personal_shows_nothing_personal():
    sql = "SELECT weird(((, city FROM guests"  # not even SQL, but what could it show?
    assert trace(sql, TABLES | {"lost": TABLES["rooms"]}) == Origins()
    assert (
        mentioned("SELECT count(*) AS n, 2 * nights AS x, (3) * `id` AS y FROM stays", {"stays": TABLES["stays"]})
        == frozenset()
    )
    assert mentioned("SELECT 1 AS x FROM stays WHERE note = ''", {"stays": TABLES["stays"]}) == NOTE


def test_flinks_windows():
    seen = Read(("id", "name", "op", "event_time"), Origins({"name": NAME}))
    hop = """SELECT name, window_end, COUNT(*) AS n FROM TABLE(HOP(TABLE `guests_changes`, DESCRIPTOR(event_time),
        INTERVAL '10' SECOND, INTERVAL '2' MINUTE)) GROUP BY name, window_start, window_end"""
    assert trace(hop, {"guests_changes": seen}, "flink").columns == {"name": NAME}
    session = """WITH steps AS (SELECT id, name AS who, event_time FROM guests_changes)
        SELECT id, MAX(who) AS last, window_start AS began FROM TABLE(
          SESSION(TABLE steps PARTITION BY id, DESCRIPTOR(event_time), INTERVAL '60' SECOND))
        GROUP BY id, window_start, window_end"""
    assert trace(session, {"guests_changes": seen}, "flink").columns == {"last": NAME}


@settings(deadline=None)  # a busy machine is no mistake
@given(st.text(alphabet="SELECTselect()*,.'`\" nameFROMguests0", max_size=60))
def test_never_raises(text: str):
    trace(f"SELECT name {text}", TABLES)
    trace(text, TABLES, "flink")
