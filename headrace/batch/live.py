"""Partials of a live view from the lake, computed on Spark: of the changes between two cuts, or of all below one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace.batch import live_rows
from headrace.batch.current import floor_at, refresh
from headrace.batch.explain import lost, quiet, said
from headrace.batch.session import session, suit
from headrace.errors import HeadraceError
from headrace.lake import paths
from headrace.lake.arrivals import Offsets
from headrace.project import Project
from headrace.sql.live import spark as text
from headrace.sql.live.tree import APPENDED, View

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Between:
    """The changes of the chunks since <= chunk < cut; `begins` are offsets before which none of them lies."""

    since: int
    begins: Offsets


@dataclass(frozen=True)
class Everything:
    """All that is there: the fold of the log up to the offsets `base`, and every change behind it."""

    base: Offsets


@dataclass(frozen=True)
class Late:
    """The changes at or behind some landed offsets in chunks below a cut: no layer counted them (CORRECTNESS 9)."""

    landed: Offsets


Part = Between | Everything | Late


def partials(project: Project, view: View, part: Part, until: Offsets, cut: int) -> pa.Table:
    """One row per key, as headrace.sql.live.spark.partials gives them, of what landed before the offsets `until`.

    The cost of `Between` follows the changes between the two cuts, that of `Everything` the history. Raises
    HeadraceError when Spark does not answer or fails; nothing is written anywhere.
    """
    from pyspark.errors import PySparkException

    quiet()
    try:
        rows = _rows(project, view, part, until, cut)
        one = session(project)
        try:
            suit(one, sum(until.values()) - (sum(part.begins.values()) if isinstance(part, Between) else 0))
            return one.sql(text.partials(view, rows)).toArrow()
        finally:
            one.stop()
    except PySparkException as error:
        reason = lost(error) or said(str(error).strip())[0]
        raise HeadraceError(
            f"the live view {view.name!r} could not be computed: {reason}",
            hint=f"headrace run {view.name}   its readers keep what they had",
        ) from error


def _rows(project: Project, view: View, part: Part, until: Offsets, cut: int) -> str:
    table = project.table(view.table.name)
    landing = paths.landing(project, table.name)
    since = part.since if isinstance(part, Between) else None
    if isinstance(part, Late):
        return live_rows.changed(table.contract, landing, part.landed, until, None, cut, view.seconds)
    if view.table.mode == APPENDED:
        current = refresh(project, table, lambda: session(project))
        if current.version is None:
            return live_rows.changed(table.contract, landing, {}, {}, since, cut, view.seconds)
        return live_rows.events(table.contract, current.path, current.version, since, cut, view.seconds)
    if isinstance(part, Between):
        return live_rows.changed(table.contract, landing, part.begins, until, since, cut, view.seconds)
    floor = floor_at(table.contract, landing, part.base) if part.base else None
    return live_rows.whole(table.contract, landing, part.base, floor, until, cut, view.seconds)
