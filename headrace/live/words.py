"""A reconciliation in words: what each cause means, an example with both values, and what to do next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from headrace.sql.live.compared import CODE, DROPPED, DUPLICATE, LATE, UNKNOWN

LONGEST = 80  # characters that are shown of one value
MEANING = {
    DROPPED: (
        "The speed layer counted fewer images of these keys than the batch layer: a message that landed was not"
        " counted, or was counted under another key.",
        "headrace reconcile {view} --repair",
    ),
    DUPLICATE: (
        "The speed layer counted more images of these keys than the batch layer: a message was counted twice, or one"
        " that did not land, or one of another key.",
        "headrace reconcile {view} --repair",
    ),
    CODE: (
        "Both layers counted as many images and rows, but added up other values: the texts for Spark and for Flink do"
        " not compute the same, or the speed job runs with an older one.",
        "headrace reconcile {view} --repair   (when it comes back: take `live: true` away, and report the view's text)",
    ),
    LATE: (
        "Records were appended in a chunk below the published cut after it was published: a broker's clock went back"
        " further than the margin, or a record became visible late. Neither layer counts them; the values are of these"
        " records alone. The run that finds them computes the view in full, and so takes them up.",
        "nothing, unless that run failed: headrace run {view} --full",
    ),
    UNKNOWN: (
        "Both layers counted as many images, but another number of rows: no single one of the other causes does that;"
        " one message lost and another counted twice do.",
        "headrace reconcile {view} --repair",
    ),
}


def explain(row: Mapping[str, Any], keys: Iterable[Mapping[str, Any]]) -> list[str]:
    """The lines that tell a person about one row of ops.reconciliation and its keys."""
    view, keys = row["view"], list(keys)
    first, last = row["since"], row["cut"] - 1
    chunks = f"chunk {first}" if first == last else f"chunks {first} to {last}" if first < last else f"cut {first}"
    span = "" if last < first else f" ({_moment(row, first)} to {_moment(row, last + 1)} UTC)"
    lines = [f"{view}: {row['state']}"]
    lines.append(f"  {chunks}{span}, compared {row['at'].astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC, run {row['run_id']}")
    if row["reason"]:
        lines.append(f"  {row['reason']}")
    if row["state"] == "equal":
        return [*lines, f"  {counted(row['keys'], 'key')} compared: same values, rows and images in both layers"]
    if row["differing"]:
        lines.append(f"  {row['differing']:,} of {counted(row['keys'], 'key')} differ")
    for cause, count in row["causes"].items():
        meaning, command = MEANING[cause]
        lines += ["", f"  {cause}: {counted(count, 'key')}", f"    {meaning}"]
        for one in [k for k in keys if k["cause"] == cause][:1]:
            lines.append(f"    for example {pairs(one['key']) or 'the one row of the view'}")
            lines += [f"      batch: {side(one['batch'])}", f"      speed: {side(one['speed'])}"]
        lines.append(f"    next: {command.format(view=view)}")
    if any(k["masked"] for k in keys):
        lines += ["", "  *** stands for personal values; the owner reads them in personal.reconciliation_keys"]
    if row["replaced"]:
        lines += ["", "  Readers see another version by now, which was filled anew."]
    elif row["state"] == "different":
        if set(row["causes"]) != {LATE}:
            kept = f"the batch layer below chunk {first} and the speed layer from it on"
            lines += ["", f"  The run switched nothing: readers have, as before, {kept}."]
        lines.append(f"  All keys: SELECT * FROM ops.reconciliation_keys WHERE reconciliation = {row['id']}")
    elif row["differing"]:
        lines += ["", f"  next: headrace reconcile {view} --repair   (a speed layer without gaps)"]
    return lines


def still_open(row: Mapping[str, Any]) -> list[str]:
    """What leads to the words about an earlier difference, when nothing has shown since that it is gone."""
    if row["state"] == "different" or row["replaced"] or row["open_since"] is None:
        return []
    when = f"{row['open_since'].astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    return ["", f"The layers differed first at {when} UTC, and were not shown to be equal since. Then it was:", ""]


def side(values: Mapping[str, Any] | None) -> str:
    """A layer's values of a key; 'nothing' where it has none."""
    return "nothing" if values is None else pairs(values)


def pairs(values: Mapping[str, Any] | None) -> str:
    """name=value of each, long ones cut."""
    return ", ".join(f"{name}={_value(value)}" for name, value in (values or {}).items())


def counted(number: int, what: str) -> str:
    """'1 key', '2,000 keys'."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _value(value: Any) -> str:
    text = "NULL" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _moment(row: Mapping[str, Any], chunk: int) -> str:
    return f"{datetime.fromtimestamp(chunk * row['chunk_seconds'], UTC):%Y-%m-%d %H:%M:%S}"
