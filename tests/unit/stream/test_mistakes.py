"""Flink's stack traces become one message at the user's line."""

from collections.abc import Callable

import pytest

from headrace.project import Job
from headrace.stream import mistakes

HEAD = """Internal server error.
<Exception on server side:
org.apache.flink.table.gateway.api.utils.SqlGatewayException: org.apache.flink.table.gateway.api.utils.SqlGatewayException: Failed to fetchResults.
\tat org.apache.flink.table.gateway.rest.handler.statement.FetchResultsHandler.handleRequest(FetchResultsHandler.java:91)
Caused by: org.apache.flink.table.gateway.api.utils.SqlGatewayException: Failed to fetchResults.
\t... 48 more
Caused by: org.apache.flink.table.gateway.service.utils.SqlExecutionException: Failed to execute the operation 7575.
\t... 1 more
"""  # noqa: E501 - as Flink prints it
TAIL = "\t... 46 more\n\nEnd of exception on server side>"
UNKNOWN = (
    "Caused by: org.apache.calcite.runtime.CalciteContextException: From line 4, column 3 to line 4, column 5: "
    "Column 'fees' not found in any table\n\t... 7 more\n"
    "Caused by: org.apache.calcite.sql.validate.SqlValidatorException: Column 'fees' not found in any table\n"
)
SYNTAX = (
    "Caused by: org.apache.flink.table.api.SqlParserException: SQL parse failed. "
    'Encountered "visits_changes" at line 5, '
    'column 6.\nWas expecting one of:\n    <EOF> \n    "EXCEPT" ...\n\t... 7 more\n'
)
TEXT = "-- key: id\nSELECT id,\n  fees\nFORM visits_changes\n"


@pytest.fixture
def job(make_job: Callable[..., Job]) -> Job:
    return make_job("-- key: id\nSELECT id FROM visits_changes\n")


def test_a_wrong_column_is_shown_at_its_line_with_what_was_probably_meant(job: Job) -> None:
    job.path.write_text(TEXT)
    found = mistakes.problem(HEAD + UNKNOWN + TAIL, _with(job, TEXT), {"id", "fee"}, shift=1)
    assert found.render(job.path.parent) == (
        "dear_visit.sql:3\n    3 |   fees\n          ^\n"
        "  Column 'fees' not found in any table\n  hint: did you mean 'fee'?"
    )


def test_of_a_syntax_error_only_the_first_line_is_shown(job: Job) -> None:
    found = mistakes.problem(HEAD + SYNTAX + TAIL, _with(job, TEXT), set(), shift=1)
    assert found.message == 'Encountered "visits_changes"'
    assert (found.place.line, found.place.column) == (4, 6)  # type: ignore[union-attr]


def test_a_cause_without_a_place_stands_at_the_first_line(job: Job) -> None:
    trace = (
        HEAD
        + "Caused by: org.apache.flink.table.api.TableException: Sort on a non-time-attribute field is not supported.\n"
    )
    found = mistakes.problem(trace + TAIL, job, set(), shift=1)
    assert found.message == "Sort on a non-time-attribute field is not supported"
    assert found.place.line == 1  # type: ignore[union-attr]


def test_a_mistake_in_python_names_what_was_probably_meant(job: Job) -> None:
    trace = (
        "An error occurred while calling o105.select.\n: org.apache.flink.table.api.ValidationException: "
        "Cannot resolve field [fees], input field list:[id, fee].\n\tat org.apache.flink.Rule.fail(Rule.java:93)\n"
    )
    found = mistakes.problem(trace, job, {"id", "fee"}, shift=0)
    assert (found.message, found.hint) == ("Cannot resolve field [fees]", "did you mean 'fee'?")


def test_the_root_cause_is_one_line_without_passwords() -> None:
    trace = HEAD + "Caused by: java.lang.IllegalStateException: no such option\n  'password' = 'hidden'\n" + TAIL
    assert mistakes.root_cause(trace) == "IllegalStateException: no such option 'password' = '…'"
    assert mistakes.root_cause("") == ""


def _with(job: Job, text: str) -> Job:
    object.__setattr__(job, "text", text)
    return job
