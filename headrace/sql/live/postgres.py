"""The view that readers see: batch ⊕ Σ speed from the cut on, joined with the current rows of other tables."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from headrace.sql.live import tables
from headrace.sql.live.text import Dialect, listed
from headrace.sql.live.tree import Measure, Node, Output, View
from headrace.sql.live.types import written


class Postgres(Dialect):
    engine = "postgres"

    def moment(self, value: datetime) -> str:
        return f"TIMESTAMPTZ '{value.replace(tzinfo=None).isoformat(' ', 'microseconds')}+00'"

    def _trunc(self, node: Node) -> str:
        return f"date_trunc('{node.value.lower()}', {self.text(node.args[0])}, 'UTC')"

    def _bucket(self, node: Node) -> str:
        length, unit = node.value
        return f"date_bin('{length} {unit.lower()}', {self.text(node.args[0])}, TIMESTAMPTZ '1970-01-01 00:00:00+00')"

    def _part(self, node: Node) -> str:
        inner = node.args[0]
        text = self.text(inner)
        moment = f"({text} AT TIME ZONE 'UTC')" if inner.type.kind == "timestamp" else text
        return f"CAST(EXTRACT({node.value} FROM {moment}) AS bigint)"

    def _cast(self, node: Node) -> str:
        inner = node.args[0]
        text, kinds = self.text(inner), (inner.type.kind, node.type.kind)
        if kinds == ("timestamp", "date"):
            return f"CAST({text} AT TIME ZONE 'UTC' AS date)"
        if kinds == ("date", "timestamp"):
            return f"(CAST({text} AS timestamp) AT TIME ZONE 'UTC')"
        return self.cast(text, node.type)

    def _try_cast(self, node: Node) -> str:
        text, scale = self.text(node.args[0]), node.type.scale
        bound = "1" + "0" * (node.type.digits - scale)
        return f"CASE WHEN abs(round({text}, {scale})) < {bound} THEN {self.cast(text, node.type)} END"

    def _group(self, node: Node) -> str:
        return f"g.{node.value}"

    def _rows(self, node: Node) -> str:
        return "CAST(g.row_count AS bigint)"

    def _distinct(self, node: Node) -> str:
        return "CAST(COALESCE(g.values_there, 0) AS bigint)"

    def _count(self, node: Node) -> str:
        return f"CAST(COALESCE(g.{node.value}, 0) AS bigint)"

    def _sum(self, node: Node) -> str:
        whole, some = node.value
        return f"CASE WHEN g.{some} > 0 THEN {self.cast(f'g.{whole}', node.type)} END"

    def _avg(self, node: Node) -> str:
        """As Spark rounds, half away from zero; div() is exact, where PostgreSQL's / gives sixteen digits or more."""
        whole, some = (f"g.{m}" for m in node.value)
        if node.type.kind == "double":
            quotient = f"CAST({whole} AS double precision) / CAST({some} AS double precision)"
        else:
            power = "1" + "0" * node.type.scale
            unit = f"0.{'0' * (node.type.scale - 1)}1"
            quotient = f"sign({whole}) * div(2 * abs({whole}) * {power} + {some}, 2 * {some}) * {unit}"
            quotient = self.cast(quotient, node.type)
        return f"CASE WHEN {some} > 0 THEN {quotient} END"

    def _min(self, node: Node) -> str:
        return f"g.{node.value}"

    _max = _min


def query(view: View, masked: Collection[str] = ()) -> str:
    """What `live.<view>` selects: its columns, `as_of` and `provisional`.

    Guarantee: each signed row of the log counts once, in the batch table below the cut, in the speed table from it on;
    cut and batch rows are read in one snapshot. A group that has no rows is not there. Before the first switch the
    view is empty. `as_of` is the later one of two instants: up to which every change is included, and that of the row's
    newest included change. `provisional` is the share of images, of those that the row is made of, that came since the
    cut: 0 where only the batch layer speaks, 1 where only the speed layer does.
    """
    reading = Postgres(_leaf(view))
    result = Postgres(_nothing)
    groups = [f"{reading.text(n)} AS g{i}" for i, n in enumerate(view.groups, 1)]
    of_value = [f"p.{view.distinct} AS value"] if view.distinct else []
    inner = f"SELECT {listed([*groups, *of_value, *_sums(view)])}\nFROM (\n{_both(view)}\n) AS p{_joins(view, reading)}"
    if view.condition:
        inner += f"\nWHERE {reading.text(view.condition)}"
    inner += _by(len(groups) + len(of_value))
    if view.distinct:
        inner = _values(view, inner)
    texts = {o.name: result.text(o.node) for o in view.outputs}
    texts |= {o.name: _masked(o, texts[o.name]) for o in view.outputs if o.name in masked}
    shown = [f"{text} AS {tables.quoted(column)}" for column, text in texts.items()]
    shown.append(f"GREATEST({_pointer(view, 'as_of')}, g.newest) AS as_of")
    share = "CAST(g.images AS double precision) / CAST(g.images + GREATEST(g.settled, 0) AS double precision)"
    shown.append(f"CASE WHEN g.images > 0 THEN {share} ELSE 0 END AS provisional")
    kept = [f"{_cut(view)} IS NOT NULL"]
    kept += ["g.row_count > 0"] if view.grouped else []
    kept += [result.text(view.having)] if view.having else []
    return f"SELECT {listed(shown)}\nFROM (\n{inner}\n) AS g\nWHERE {' AND '.join(kept)}"


def shown(view: View, masked: Collection[str] = ()) -> str:
    """`VIEW live.<view> AS …`, for CREATE and CREATE OR REPLACE; in the transaction of the first switch of a version.

    Of a masked column readers see `***` for a text and NULL for a value of another type.
    """
    return f"VIEW live.{tables.quoted(view.name)} AS\n{query(view, masked)}"


def _masked(output: Output, text: str) -> str:
    if output.node.type.kind == "text":
        return f"CASE WHEN {text} IS NOT NULL THEN '***' END"
    return f"CAST(NULL AS {written(output.node.type, 'postgres')})"


def _sums(view: View) -> list[str]:
    own = [f"COALESCE(SUM(p.{c}), 0) AS {c}" for c in ("row_count", "settled", "images")] + ["MAX(p.newest) AS newest"]
    return [*(f"{_merged(m)} AS {m.name}" for m in view.measures), *own]


def _by(columns: int) -> str:
    return f"\nGROUP BY {', '.join(str(i) for i in range(1, columns + 1))}" if columns else ""


def _values(view: View, inner: str) -> str:
    """A row a group, of rows by group and value; a value counts while a row has it."""
    groups = [f"g{i}" for i in range(1, len(view.groups) + 1)]
    there = "COUNT(p.value) FILTER (WHERE p.row_count > 0) AS values_there"
    return f"SELECT {listed([*groups, *_sums(view), there])}\nFROM (\n{inner}\n) AS p{_by(len(groups))}"


def _both(view: View) -> str:
    columns = [*(k.name for k in view.keys), *(m.name for m in view.measures), "row_count"]
    batch = listed(
        [*columns, "row_count AS settled", "CAST(0 AS bigint) AS images", "CAST(NULL AS timestamptz) AS newest"]
    )
    speed = listed([*columns, "CAST(0 AS bigint)", "images", "newest"])
    return (
        f"SELECT {batch}\nFROM {tables.batch_table(view)}\nUNION ALL\n"
        f"SELECT {speed}\nFROM {tables.speed_table(view)}\nWHERE chunk >= {_cut(view)}"
    )


def _cut(view: View) -> str:
    """The view's cut; NULL before the first switch, an error when readers should see another version (in `tables`)."""
    name = view.name.replace("'", "''")
    return f"(SELECT speed.cut_of('{name}', '{tables.version(view)}'))"


def _pointer(view: View, column: str) -> str:
    """A value of the view's row in CUTS, and NULL while readers see another version or none."""
    name, version = view.name.replace("'", "''"), tables.version(view)
    return f"(SELECT c.{column} FROM {tables.CUTS} AS c WHERE c.view = '{name}' AND c.version = '{version}')"


def _joins(view: View, reading: Postgres) -> str:
    text = ""
    for i, dimension in enumerate(view.dimensions, 1):
        same = [f"d{i}.{tables.quoted(c)} = {reading.text(n)}" for c, n in dimension.on]
        kind = "LEFT JOIN" if dimension.left else "JOIN"
        table = tables.dimension_table(view, dimension)
        text += f"\n{kind} {table} AS d{i} ON {' AND '.join([*same, f'NOT d{i}.gone'])}"
    return text


def _leaf(view: View):  # type: ignore[no-untyped-def]
    aliases = {d.alias: f"d{i}" for i, d in enumerate(view.dimensions, 1)}

    def named(node: Node) -> str:
        if node.op == "key":
            return f"p.{node.value}"
        assert node.op == "joined", node.op
        alias, column = node.value
        return f"{aliases[alias]}.{tables.quoted(column)}"

    return named


def _nothing(node: Node) -> str:
    raise AssertionError(f"{node.op} in a result")


def _merged(measure: Measure) -> str:
    function = measure.kind.upper() if measure.kind in {"min", "max"} else "SUM"
    whole = f"{function}(p.{measure.name})"
    return whole if function != "SUM" else f"CAST({whole} AS {written(measure.type, 'postgres')})"
