"""The one shape of everything that is wrong."""

from __future__ import annotations

from pathlib import Path

from headrace.errors import HeadraceError, Place, Problem, did_you_mean


def test_file_line_excerpt_caret_message_hint(tmp_path: Path):
    file = tmp_path / "a.sql"
    file.write_text("one\n\ttwo three\n")
    problem = Problem("what is wrong", Place(file, 2, 6), "first\nsecond")
    assert problem.render(tmp_path) == (
        "a.sql:2\n    2 | \ttwo three\n        \t    ^\n  what is wrong\n  hint: first\n        second"
    )
    assert problem.render().startswith(f"{file}:2\n")


def test_without_place_line_or_file(tmp_path: Path):
    assert Problem("wrong").render() == "  wrong"
    assert Problem("wrong", Place(tmp_path / "gone.sql")).render(tmp_path) == "gone.sql\n  wrong"
    assert Problem("wrong", Place(tmp_path / "gone.sql", 7, 3)).render(tmp_path) == "gone.sql:7\n  wrong"
    (tmp_path / "short.sql").write_text("x")
    assert Problem("wrong", Place(tmp_path / "short.sql", 7, 3)).render(tmp_path) == "short.sql:7\n  wrong"


def test_lines_are_an_editors(tmp_path: Path):
    file = tmp_path / "a.sql"
    file.write_bytes("\ufeffone\x0cstill one\u2028and still\r\ntwo\r\n".encode())
    assert Problem("wrong", Place(file, 2, 1)).render(tmp_path) == "a.sql:2\n    2 | two\n        ^\n  wrong"


def test_nothing_a_file_holds_reaches_the_terminal_as_a_command(tmp_path: Path):
    file = tmp_path / "a.sql"
    file.write_text("\x1b[31mred")
    assert "\x1b" not in Problem("wrong", Place(file, 1)).render(tmp_path)


def test_an_error_holds_its_problems():
    error = HeadraceError("one", Problem("two", hint="mend it"), hint="for one")
    assert [(p.message, p.hint) for p in error.problems] == [("one", "for one"), ("two", "mend it")]
    assert str(error) == "  one\n  hint: for one\n  two\n  hint: mend it"


def test_did_you_mean():
    assert did_you_mean("ordrs", ["orders", "trips"]) == "did you mean 'orders'?"
    assert did_you_mean("x", ["b", "a"]) == "there is: a, b"
    assert did_you_mean("x", []) == "there are none yet"
    assert did_you_mean("x", [f"t{n:02}" for n in range(20)]).endswith("t10, t11 and 8 more")
