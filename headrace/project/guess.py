"""Guesses from names: what a table may be called, which column holds a person's own values, which one grows.

Guesses are proposed in a file that a person reads, with the reason beside them; nothing is decided here for good.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from headrace.project.contract import Column
from headrace.project.found import FoundColumn
from headrace.project.names import LONGEST, VARIANTS

_CHANGED = set(
    "updatedat updatedon updated updatetime updatedtime updatedts updateddate dateupdated lastupdate lastupdated "
    "lastupdatedat lastupdatedon modifiedat modifiedon modified modifieddate modifiedtime datemodified lastmodified "
    "lastmodifiedat lastmodifiedon lastmodifieddate changedat changedon changed lastchange lastchanged lastchangedat "
    "mtime writedate".split()
)
_HAPPENED = set(
    "occurredat happenedat eventtime eventat recordedat measuredat loggedat createdat createdon created createtime "
    "createddate datecreated insertedat addedat timestamp ts".split()
)
_PERSONAL = set(
    "email mail phone telephone mobile fax iban ssn passport birthday birthdate born dob surname firstname lastname "
    "forename fullname nickname username street address postcode gender nationality salary password creditcard "
    "cardnumber vorname nachname telefon strasse geburtsdatum".split()
)
_PERSONAL_PAIRS = set(
    "first_name last_name middle_name maiden_name family_name given_name full_name display_name user_name "
    "contact_name customer_name holder_name birth_date e_mail ip_address card_number tax_id national_id "
    "account_holder cell_phone zip_code postal_code".split()
)
# A `name` is somebody's own in a table of people only.
_PEOPLE = set(
    "customer client user person people contact employee staff patient member driver courier guest author student "
    "teacher subscriber lead visitor applicant tenant passenger".split()
)
_ABOUT = {"id", "ids", "count", "type", "status", "kind", "verified", "confirmed", "sent", "at", "on", "flag", "url"}
_NOT_TEXT = {"boolean", "timestamp", "integer"}
# Words that one engine or another takes for its own where a table is named.
_RESERVED = set(
    "all and any as between by case cast check column constraint create cross current_date default delete desc "
    "distinct drop else end except exists false fetch for foreign from full grant group having in inner insert "
    "intersect into is join lateral left like limit natural not null offset on or order outer primary references "
    "right row rows select session_user set some table then to true union unique update user using value values "
    "when where window with".split()
)


def table_name(source: str, name: str, taken: Collection[str]) -> str:
    """A name for a table of a source that no other has and that SQL takes as it stands: its own, or SOURCE_name."""
    plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    plain = plain if plain[:1].isalpha() else f"{source}_{plain}".rstrip("_")
    if plain.endswith(tuple(f"_{v}" for v in VARIANTS)):
        plain += "_table"  # orders_history in SQL means another reading of orders
    plain = f"{source}_{plain}" if plain in _RESERVED else plain
    plain = plain[:LONGEST].rstrip("_")
    wanted = [
        plain,
        f"{source}_{plain}"[:LONGEST],
        *(f"{source}_{plain}"[: LONGEST - 3] + f"_{n}" for n in range(2, 99)),
    ]
    return next((w for w in wanted if w not in taken), wanted[-1])


def personal(table: str, column: Column) -> bool:
    """Whether a column's name says that its values are somebody's own."""
    words = _words(column.name)
    joined = "_".join(words)
    if any(pair in joined for pair in _PERSONAL_PAIRS):
        return column.logical != "boolean" and words[-1] not in _ABOUT - {"id"}
    if words[-1] in _ABOUT or (column.logical in _NOT_TEXT and not {"phone", "mobile"} & set(words)):
        return False
    if _PERSONAL & {*words, "".join(words)}:
        return True
    return words == ["name"] and bool(_PEOPLE & {form for w in _words(table) for form in (w, w.removesuffix("s"))})


def event_time(columns: Iterable[Column], mode: str) -> str:
    """The column that says when a change happened; '' when none surely does.

    A captured change has its commit's time, so only a column that tells the change's own time is better; a pulled row
    has none, and the moment it came into being will do.
    """
    times = [c for c in columns if c.logical == "timestamp"]
    times.sort(key=lambda c: not c.required)  # stable: of equals the first
    names = [c.name for c in times if _flat(c.name) in _CHANGED]
    names += [c.name for c in times if _flat(c.name) in _HAPPENED] if mode != "cdc" else []
    return names[0] if names else ""


def watermark(columns: Iterable[FoundColumn]) -> tuple[str, str, str]:
    """The column by which a table can be pulled: its name, why it was chosen, and what it does not see.

    A moment whose name says that every change sets it; else the number that the database gives to new rows. Three
    empty texts when there is none.
    """
    columns = tuple(columns)
    moments = [c for c in columns if c.column.logical == "timestamp" and _flat(c.name) in _CHANGED]
    if moments:
        best = min(moments, key=lambda c: (not c.column.required, not c.indexed))
        known = [text for yes, text in ((best.indexed, "indexed"), (best.column.required, "never null")) if yes]
        why = ", ".join(["by its name every change sets it", *known])
        lacks = [] if best.column.required else [f"rows without a value in {best.name} are never pulled"]
        lacks += [] if best.indexed else [f"{best.name} has no index: each pull reads the whole table"]
        return best.name, why, "; ".join(lacks)
    numbers = [c for c in columns if c.column.key and c.grows and c.column.logical == "integer"]
    if len(numbers) == 1 and sum(c.column.key for c in columns) == 1:
        why = "the database numbers new rows with it; there is no column like updated_at"
        return numbers[0].name, why, "rows that change later are not seen: only new ones are"
    return "", "", ""


def _words(name: str) -> list[str]:
    """customerEMail_2 → customer, e, mail."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    return re.findall(r"[a-z]+", spaced) or [""]


def _flat(name: str) -> str:
    return "".join(_words(name))
