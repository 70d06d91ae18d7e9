"""Tables that a query reads: the two dialects, quoted and hidden names, and text that is no SQL."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from headrace.sql.inputs import common_tables, references, tables_read
from headrace.sql.tokens import NotSql, split

HOP = "TABLE(HOP(TABLE payments_changes, DESCRIPTOR(event_time), INTERVAL '10' SECOND, INTERVAL '2' MINUTE))"
MATCH = """
SELECT * FROM a MATCH_RECOGNIZE (
  PARTITION BY x ORDER BY t MEASURES A.y AS z, B.q AS r ONE ROW PER MATCH
  PATTERN (A B+) DEFINE A AS A.x > 1, B AS B.x < 2
) AS m, c"""

SPARK = [
    ("SELECT 1", []),
    ("SELECT * FROM `orders`", ["orders"]),
    ("select * from orders o, customers c where o.a in (1, 2), x", ["orders", "customers"]),
    ("SELECT * FROM a JOIN b ON f(a.x, b.y) = 1 AND a.y = b.y, c", ["a", "b", "c"]),
    ("SELECT * FROM a JOIN b ON a.x = b.x GROUP BY a.x, b.y", ["a", "b"]),
    ("SELECT * FROM a ORDER BY x, y", ["a"]),
    ("SELECT * FROM (a JOIN (b JOIN c ON true) ON true)", ["a", "b", "c"]),
    ("SELECT * FROM ((SELECT * FROM a) UNION ALL (SELECT * FROM b)) z", ["a", "b"]),
    ("SELECT (SELECT MAX(x) FROM b WHERE b.i = a.i) FROM a WHERE EXISTS (SELECT 1 FROM c)", ["b", "a", "c"]),
    ("SELECT EXTRACT(DAY FROM x), TRIM(BOTH ' ' FROM y), SUBSTRING(z FROM 2 FOR 3) FROM t", ["t"]),
    ("SELECT EXTRACT(DAY FROM (SELECT MAX(x) FROM b)) FROM t", ["b", "t"]),
    ("SELECT * FROM a WHERE x IS DISTINCT FROM y", ["a"]),
    ("SELECT k, v FROM t LATERAL VIEW explode(m) AS k, v", ["t"]),
    ("SELECT * FROM t, LATERAL (SELECT * FROM u), UNNEST(x) AS q", ["t", "u"]),
    ("SELECT * FROM range(10), read_files('x') AS f, t", ["t"]),
    ("SELECT * FROM f(TABLE(orders)), VALUES (1) AS v(x)", ["orders"]),
    ("TABLE orders", ["orders"]),
    ("FROM orders SELECT id", ["orders"]),
    ("SELECT * FROM lake.batch.`my view` m", ["lake.batch.my view"]),
    ("SELECT from_x, t.from, a.join FROM t", ["t"]),
    ("SELECT 'FROM a', \"FROM b\", `from c` FROM d -- FROM e\n/* FROM f */", ["d"]),
    ("WITH a AS (SELECT 1), b(x, y) AS (SELECT * FROM t) SELECT * FROM a, b", ["t"]),
    ("WITH orders AS (SELECT * FROM orders) SELECT * FROM orders", ["orders"]),
    ("SELECT * FROM (WITH a AS (SELECT 1) SELECT * FROM a), a", ["a"]),
    ("WITH a AS (SELECT * FROM b), b AS (SELECT 1) SELECT * FROM a, b", ["b"]),
    ("WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r JOIN t ON true) SELECT * FROM r", ["t"]),
    ("SELECT SUM(x) OVER w FROM t WINDOW w AS (PARTITION BY a), v AS (ORDER BY b)", ["t"]),
    ("SELECT * FROM date, `select`, first", ["date", "select", "first"]),
    ("SELECT r'\\' FROM t", ["t"]),
    ("SELECT 1 /* a /* don't */ b don't */ FROM t", ["t"]),
]
FLINK = [
    (f"SELECT * FROM {HOP} WHERE status = 'failed'", ["payments_changes"]),
    (f"SELECT * FROM (SELECT * FROM {HOP}) x JOIN b ON true", ["payments_changes", "b"]),
    ("SELECT * FROM TABLE(TUMBLE(DATA => TABLE t, TIMECOL => DESCRIPTOR(x), SIZE => INTERVAL '1' DAY))", ["t"]),
    (MATCH, ["a", "c"]),
    ("SELECT * FROM o LEFT JOIN r FOR SYSTEM_TIME AS OF o.p ON o.x = r.x", ["o", "r"]),
    ("SELECT * FROM t /*+ OPTIONS('a'='b') */ AS x, LATERAL TABLE(f(y)) AS z(q)", ["t"]),
    ("SELECT 'c:\\' FROM t", ["t"]),
    ("SELECT 'it''s' FROM t /* don't */", ["t"]),
    ("SELECT 1 /* a /* b */ FROM t", ["t"]),
]


@pytest.mark.parametrize(("sql", "expected"), SPARK)
def test_spark(sql: str, expected: list[str]):
    assert [t.name for t in tables_read(sql)] == expected


@pytest.mark.parametrize(("sql", "expected"), FLINK)
def test_flink(sql: str, expected: list[str]):
    assert [t.name for t in tables_read(sql, "flink")] == expected


def test_each_once_where_it_stands_first():
    found = tables_read("SELECT *\nFROM a\n  JOIN `b` ON true\n  JOIN a AS again ON true")
    assert [(t.name, t.line, t.column) for t in found] == [("a", 2, 6), ("b", 3, 8)]


def test_references_say_each_place():
    words = split("SELECT * FROM a JOIN x.b ON true JOIN a c ON true")
    assert [(n, words[i].text, words[e].text) for n, i, e in references(words)] == [
        ("a", "a", "JOIN"),
        ("x.b", "x", "ON"),
        ("a", "a", "c"),
    ]


def test_common_tables_hide_a_table_behind_their_body_only():
    words = split("WITH a AS (SELECT 1 FROM a) SELECT * FROM a")
    (table,) = common_tables(words)
    places = [i for i, w in enumerate(words) if w.text == "a"]
    assert [table.hides("A", i) for i in places] == [False, False, True]


WORDS = (
    "SELECT FROM JOIN WITH AS ( ) , . ; ' \" ` -- /* */ a b orders TABLE HOP LATERAL VIEW EXTRACT DISTINCT ON GROUP "
    "BY RECURSIVE WINDOW 1 1e3 $ { } [ ] \\ \n \t @ ? : :: -> => ü 訪 \U0001f600 r' x' /*+ /"
).split(" ")


@settings(max_examples=400)
@given(
    st.one_of(st.text(), st.lists(st.sampled_from(WORDS)).map(" ".join), st.lists(st.sampled_from(WORDS)).map("".join))
)
@example("WITH")
@example("WITH a AS")
@example("FROM")
@example(")(")
def test_never_crashes_and_places_are_right(sql: str):
    for dialect in ("spark", "flink"):
        try:
            found = tables_read(sql, dialect)
        except NotSql as error:
            assert 1 <= error.line <= sql.count("\n") + 1
            assert error.column >= 1
            continue
        lines = sql.split("\n")
        for table in found:
            rest = lines[table.line - 1][table.column - 1 :]
            assert rest.startswith((table.name.split(".")[0], "`", '"'))


@given(
    st.lists(st.sampled_from(["orders", "`orders`", "a", "b"]), min_size=1, max_size=5),
    st.sampled_from([" ", "\n", "\n\t  "]),
)
def test_a_list_of_tables_is_found_whole(names: list[str], blank: str):
    found = tables_read(f"SELECT *{blank}FROM{blank}" + f"{blank},".join(names))
    assert [t.name for t in found] == list(dict.fromkeys(n.strip("`") for n in names))
