"""Runs of batch views: exact, incremental like full, and with errors at the line of the user's file."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from headrace.batch.run import positions, run
from headrace.errors import HeadraceError
from headrace.lake import paths, reading
from headrace.lake.commits import history
from headrace.project import load
from headrace.serve.database import connect
from headrace.serve.reading import query
from headrace.serve.runs import runs

from .conftest import contract, project_files

FILES = project_files(
    {
        "sales": contract("sales", "id integer key;shop string;amount decimal(10,2);at timestamp", eventTime="at"),
        "shops": contract("shops", "shop string key;city string"),
    },
    {
        "jobs/batch/per_shop.sql": """-- Sales per shop.
-- owner: finance
SELECT s.shop, p.city, SUM(s.amount) AS amount, COUNT(*) AS n
FROM sales s LEFT JOIN shops p ON p.shop = s.shop
GROUP BY s.shop, p.city;
""",
        "jobs/batch/best_shop.sql": "SELECT shop, amount FROM per_shop ORDER BY amount DESC LIMIT 1\n",
        "jobs/batch/changed.sql": "SELECT id, op, amount, event_time, appended_at FROM sales_changes\n",
        "jobs/batch/told.sql": "SELECT id, amount, valid_from, valid_to FROM sales_history\n",
        "jobs/batch/in_python.py": """# Sales per day.
from headrace import batch_view
from pyspark.sql import functions as f


@batch_view
def per_day(sales):
    return sales.groupBy(f.to_date("at").alias("day")).agg(f.sum("amount").alias("amount"))
""",
    },
)


def sale(id: int, shop: str, amount: str, at: int, op: str = "c", **more: object) -> dict[str, object]:
    image = {"id": id, "shop": shop, "amount": amount, "at": f"2026-01-01T00:00:{at:02d}Z"}
    images = {"before": image} if op == "d" else {"after": image}
    moment = datetime(2026, 1, 1, 0, 0, at, tzinfo=UTC)
    return {
        "op": op,
        "key": {"id": id},
        "at": at,
        "event_time": moment,
        "partition": id % 2,
        "position": f"{at:09d}",
        **images,
        **more,
    }


@pytest.fixture(scope="module")
def project(ground, make_project):
    return make_project(FILES, on=ground)


def job(project, name):
    return project.job(name)


def rewritten(project, name, text):
    """The project after its user saved another text into a job."""
    (project.root / name).write_text(text)
    return load(project.root)


def test_views_of_tables_that_never_landed_are_empty(project) -> None:
    for name in ("per_shop", "told", "changed"):
        assert run(project, job(project, name)).rows == 0
    assert query(project, "SELECT shop, city, amount, n FROM per_shop").rows == []
    assert positions(project, "per_shop") == {"sales": {}, "shops": {}}
    assert positions(project, "in_python") is None


def test_a_view_follows_its_tables_and_says_what_it_covers(project, land) -> None:
    land(project, "sales", [sale(1, "a", "1.10", 1), sale(2, "a", "2.20", 2), sale(3, "b", "0.05", 3)])
    land(project, "shops", [{"op": "c", "key": {"shop": "a"}, "after": {"shop": "a", "city": "Bern"}}])
    done = run(project, job(project, "per_shop"))
    assert (done.state, done.rows) == ("succeeded", 2)
    assert done.positions == positions(project, "per_shop") == {"sales": {0: 1, 1: 2}, "shops": {0: 1}}
    expected = [("a", "Bern", Decimal("3.30"), 2), ("b", None, Decimal("0.05"), 1)]
    assert query(project, "SELECT * FROM per_shop ORDER BY 1").rows == expected
    assert reading.query(project, "SELECT * FROM batch.per_shop ORDER BY 1")[1] == expected
    assert reading.query(project, "SELECT sum(amount) FROM sales")[1] == [(Decimal("3.35"),)]
    assert reading.query(
        project, "SELECT count(*), max(s.amount) FROM landing.sales l JOIN current.sales s ON l.key->>'id' = s.id"
    )[1] == [(3, Decimal("2.20"))]
    with connect(project) as connection:
        row = connection.execute(
            "SELECT state, rows, full_run, positions->'sales'->>'1' FROM ops.runs WHERE run_id = %s", (done.run_id,)
        )
        assert row.fetchone() == ("succeeded", 2, False, "2")
        comment = connection.execute("SELECT obj_description('batch.per_shop'::regclass)").fetchone()
        assert comment == ("Sales per shop. (owner: finance)",)
    (ran,) = runs(project, "per_shop", 1)
    assert ran["run_id"] == str(done.run_id)
    commit = history(paths.batch(project, "per_shop"), 1)[0]
    assert (commit.version, commit.by["what"], commit.rows) == (ran["lake_version"], "run of per_shop", 2)
    assert commit.state["inputs"] == ran["inputs"]
    version = ran["inputs"]["sales"].rpartition("@")[2]
    folded = next(c for c in history(paths.current(project, "sales")) if str(c.version) == version)
    assert (folded.by["what"], folded.state["positions"]) == ("fold of landed changes", {"0": 1, "1": 2})
    assert reading.query(project, "SELECT count(*) FROM sales", version)[1] == [(3,)]
    assert reading.query(project, "SELECT count(*) FROM per_shop", folded.time.isoformat())[1] == [(0,)]  # a run before


def test_a_run_without_changes_is_cheap_and_markers_move_its_positions(project, land) -> None:
    land(project, "sales", [{"op": "m", "partition": p} for p in (0, 1)])
    done = run(project, job(project, "per_shop"))
    assert (done.state, done.rows) == ("unchanged", 2)
    assert positions(project, "per_shop") == {"sales": {0: 2, 1: 3}, "shops": {0: 1}}


def test_a_view_of_a_view_covers_what_that_covers(project, land) -> None:
    land(project, "sales", [sale(4, "c", "9.00", 4)])
    assert run(project, job(project, "best_shop")).positions == {"sales": {0: 2, 1: 3}, "shops": {0: 1}}
    assert query(project, "SELECT * FROM best_shop").rows == [("a", Decimal("3.30"))]


def test_changes_history_and_python(project, land) -> None:
    land(
        project,
        "sales",
        [
            sale(1, "a", "5.00", 6, op="u"),
            sale(2, "a", "2.20", 7, op="d"),
            {"op": "t", "position": "000000008", "at": 8},
        ],
    )
    land(project, "sales", [sale(3, "b", "7.00", 9)])
    run(project, job(project, "changed"))
    assert query(project, "SELECT op, id, amount FROM changed ORDER BY appended_at").rows == [
        ("c", 1, Decimal("1.10")), ("c", 2, Decimal("2.20")), ("c", 3, Decimal("0.05")), ("c", 4, Decimal("9.00")),
        ("u", 1, Decimal("5.00")), ("d", 2, Decimal("2.20")), ("c", 3, Decimal("7.00")),
    ]  # fmt: skip
    run(project, job(project, "told"))
    second = "extract(second FROM valid_{})::int"
    told = f"SELECT id, amount, {second.format('from')}, {second.format('to')} FROM told ORDER BY 1, 3"
    assert query(project, told).rows == [
        (1, Decimal("1.10"), 1, 6), (1, Decimal("5.00"), 6, 8), (2, Decimal("2.20"), 2, 7), (3, Decimal("0.05"), 3, 8),
        (3, Decimal("7.00"), 9, None), (4, Decimal("9.00"), 4, 8),
    ]  # fmt: skip
    run(project, job(project, "in_python"))
    assert query(project, "SELECT * FROM in_python").rows == [(date(2026, 1, 1), Decimal("7.00"))]


def test_full_gives_the_same_as_incremental(project) -> None:
    run(project, job(project, "per_shop"))
    before = query(project, "SELECT * FROM per_shop ORDER BY 1").rows
    assert before == [("b", None, Decimal("7.00"), 1)]
    done = run(project, job(project, "per_shop"), full=True)
    assert done.state == "succeeded"
    assert query(project, "SELECT * FROM per_shop ORDER BY 1").rows == before


def test_a_changed_contract_folds_the_table_again(project, land) -> None:
    changed = rewritten(project, "schemas/shops.yaml", contract("shops", "shop string key;city string;size integer"))
    land(project, "shops", [{"op": "c", "key": {"shop": "b"}, "after": {"shop": "b", "city": "Biel", "size": 4}}])
    text = "SELECT shop, city, size FROM shops\n"
    changed = rewritten(changed, "jobs/batch/shop_sizes.sql", text)
    run(changed, changed.job("shop_sizes"))
    assert query(changed, "SELECT * FROM shop_sizes ORDER BY 1").rows == [("a", "Bern", None), ("b", "Biel", 4)]


@pytest.mark.parametrize(
    ("text", "line", "column", "said", "hint"),
    [
        ("-- A comment.\nSELECT shop,\n  amout FROM sales\n", 3, 3, "`amout`", "did you mean one of amount, "),
        ("SELECT shop\nFROM sales\nWHERE amount >> 3 GROUP\n", 3, 24, "PARSE_SYNTAX_ERROR", ""),
        (
            "SELECT shop, COUNT(*) FROM sales GROUP BY shop\n",
            0,
            0,
            "column 2 has no usable name: 'count(1)'",
            "name it",
        ),
        ("SELECT shop, id AS shop FROM sales\n", 0, 0, "two columns are named 'shop'", "another name"),
        ("SELECT shop, amount FROM sales GROUP BY shop\n", 1, 14, "MISSING_AGGREGATION", ""),
        ("SELECT id,\n CAST(shop AS INT) AS n FROM sales\n", 2, 2, "CAST_INVALID_INPUT", ""),
    ],
)
def test_a_mistake_is_shown_at_its_place_and_the_old_view_stays(project, text, line, column, said, hint) -> None:
    before = query(project, "SELECT * FROM per_shop").rows
    broken = rewritten(project, "jobs/batch/per_shop.sql", text)
    with pytest.raises(HeadraceError) as error:
        run(broken, broken.job("per_shop"))
    problem = error.value.problems[0]
    assert said in problem.message, problem.render()
    assert problem.place
    assert problem.place.path == project.root / "jobs/batch/per_shop.sql"
    assert problem.place.line == line, problem.render()
    assert not column or problem.place.column == column, problem.render()
    assert hint in problem.hint
    assert "JVM" not in problem.render()
    assert query(project, "SELECT * FROM per_shop").rows == before
    state, why = query(project, "SELECT state, error FROM ops.runs ORDER BY started_at DESC LIMIT 1").rows[0]
    assert state == "failed"
    assert said in str(why)


def test_a_mistake_in_python_is_shown_at_its_line(project) -> None:
    text = FILES["jobs/batch/in_python.py"].replace('f.sum("amount")', 'f.sum("amuont")')
    broken = rewritten(project, "jobs/batch/in_python.py", text)
    with pytest.raises(HeadraceError) as error:
        run(broken, broken.job("in_python"))
    place = error.value.problems[0].place
    assert place
    assert (place.path.name, place.line) == ("in_python.py", 8)
    assert "amuont" in error.value.problems[0].message


def test_a_view_that_has_not_run_is_named(project) -> None:
    made = rewritten(project, "jobs/batch/later.sql", "SELECT shop FROM sales")
    made = rewritten(made, "jobs/batch/reads_later.sql", "SELECT shop\nFROM later")
    with pytest.raises(HeadraceError, match="'later' has not run yet") as error:
        run(made, made.job("reads_later"))
    assert str(error.value.problems[0].place).endswith("reads_later.sql:2")
    assert error.value.problems[0].hint == "headrace run later"
    assert not (project.root / paths.batch(project, "reads_later")).exists()


def test_a_tag_masks_the_view_with_its_next_run(project, land) -> None:
    land(project, "shops", [{"op": "c", "key": {"shop": "z"}, "after": {"shop": "z", "city": "Uri"}}])
    text = "SELECT shop, upper(city) AS place FROM shops WHERE shop = 'z'"
    made = rewritten(project, "jobs/batch/places.sql", text)
    run(made, made.job("places"))
    assert query(made, "SELECT * FROM places").rows == [("z", "URI")]
    contract_ = project.root / "schemas/shops.yaml"
    contract_.write_text(contract_.read_text().replace("name: city,", "name: city, tags: [personal],"))
    tagged = load(project.root)
    assert run(tagged, tagged.job("places")).state == "succeeded"  # although no row changed
    assert query(tagged, "SELECT * FROM places").rows == [("z", "***")]
    with connect(project) as connection:
        assert connection.execute("SELECT * FROM personal.places").fetchall() == [("z", "URI")]
    assert run(tagged, tagged.job("places")).state == "unchanged"
    broken = rewritten(tagged, "jobs/batch/places.sql", text.replace("upper(city)", "raise_error(city)"))
    with pytest.raises(HeadraceError, match="Uri"):
        run(broken, broken.job("places"))
    state, why = query(tagged, "SELECT state, error FROM ops.runs ORDER BY started_at DESC LIMIT 1").rows[0]
    assert state == "failed"
    assert "Uri" not in str(why)
    with connect(project) as connection:
        kept = connection.execute("SELECT error FROM personal.errors ORDER BY id DESC LIMIT 1").fetchone()
    assert "Uri" in str(kept)
