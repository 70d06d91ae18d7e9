"""How a row that breaks a check is named."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from headrace.errors import Place
from headrace.project import Column, Contract
from headrace.project.quality_check import Check
from headrace.quality.expect import hidden, row

PLACE = Place(Path("schemas/guests.yaml"), 1)
GUESTS = Contract(
    "guests",
    "1",
    (Column("id", "integer", key=True), Column("mail", "string", classification="secret"), Column("n", "integer")),
    PLACE,
)


def test_a_row_is_named_by_its_key_and_what_is_wrong():
    assert row({"n": -3, "id": 7}) == "n=-3, id=7"
    assert row({"n": pd.NA, "id": 7}) == "id=7"


def test_values_of_classified_columns_are_not_told():
    checks = (
        Check("a", "missingValues", PLACE, ("mail",), values=("x",)),
        Check("b", "references", PLACE, ("n",), references=("others", "id")),
    )
    names = hidden(GUESTS, checks)
    assert names == {"mail", "mail, empty where it means nothing"}
    assert row({"mail": "a@b.example", "id": 7}, names) == "mail=•••, id=7"


def test_values_of_personal_columns_are_not_told():
    columns = tuple(replace(c, personal=c.name == "n") for c in GUESTS.columns)
    assert hidden(replace(GUESTS, columns=columns), ()) == {"mail", "n"}
