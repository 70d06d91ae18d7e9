"""What people call the keys and measures of a live view's partials, and which of them hold personal values."""

from __future__ import annotations

from collections.abc import Iterator

from headrace.sql.lineage import OPEN, Origins
from headrace.sql.live.compared import IMAGES, ROWS
from headrace.sql.live.tree import Node, View


def labels(view: View) -> dict[str, str]:
    """k1, k2, … and m1, m2, … → the view's column that shows just that, else the column or sum that it is."""
    shown: dict[str, str] = {}
    for output in view.outputs:
        name = _shown(view, output.node)
        if name:
            shown.setdefault(name, output.name)
    found: dict[str, str] = {}
    taken = {ROWS, IMAGES}
    for part in (*view.keys, *view.measures):
        columns = ", ".join(_columns(part.node))
        kind = getattr(part, "kind", "")
        plain = f"{kind}({columns})" if kind and columns else columns if part.node.op == "column" else ""
        label = next((n for n in (shown.get(part.name), plain) if n and n not in taken), part.name)
        found[part.name] = label
        taken.add(label)
    return found


def hidden(view: View, origins: Origins = OPEN) -> frozenset[str]:
    """The keys and measures that hold personal values. `origins` are those of the view's columns.

    A column of the driving table counts where its contract says so, a column of the view also where its own contract
    does. How many rows have a value is no value.
    """
    tagged = {c.name for c in view.table.columns if getattr(c, "personal", False)}
    found = {part.name for part in (*view.keys, *view.measures) if tagged.intersection(_columns(part.node))}
    for output in view.outputs:
        if origins.of(output.name):
            found.update(_parts(view, output.node))
    return frozenset(found - {m.name for m in view.measures if m.kind == "count"})


def _columns(node: Node) -> list[str]:
    return list(dict.fromkeys(n.value for n in node.walk() if n.op == "column"))


def _shown(view: View, node: Node) -> str:
    """The key or measure that an output shows as it is; '' when it computes something."""
    if node.op == "group":
        group = view.groups[int(node.value[1:]) - 1]
        return group.value if group.op == "key" else ""
    if node.op == "sum":
        return node.value[0]
    return node.value if node.op in {"count", "min", "max"} else ""


def _parts(view: View, node: Node) -> Iterator[str]:
    """Every key and measure that an output is computed from."""
    for inner in node.walk():
        if inner.op == "group":
            yield from _parts(view, view.groups[int(inner.value[1:]) - 1])
        elif inner.op in {"key", "count", "min", "max"}:
            yield inner.value
        elif inner.op == "distinct":
            yield view.distinct
        elif inner.op in {"sum", "avg"}:
            yield from inner.value
