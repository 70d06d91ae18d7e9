"""What a live view reads: one driving table, whose changes are signed, and tables joined by their keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlglot import exp

from headrace.errors import did_you_mean
from headrace.sql.live.refused import Refused
from headrace.sql.live.tree import PULLED, Table
from headrace.sql.live.types import Type

_PULLED = "its rows are pulled and come without the rows before them, which a signed sum needs"


@dataclass
class Joined:
    """A joined table: the columns of its key, each with the expression that it must equal."""

    alias: str
    table: Table
    left: bool
    on: dict[str, exp.Expr]


@dataclass
class Sources:
    """The tables of a view by their names in it; columns are looked up here."""

    alias: str
    table: Table
    joined: list[Joined] = field(default_factory=list)

    def find(self, column: exp.Column) -> tuple[str, Table, str, Type]:
        """The table's name in the query, the table, the column as its contract writes it, and the type."""
        named = {self.alias: self.table} | {j.alias: j.table for j in self.joined}
        wanted = column.table.lower()
        if wanted and wanted not in named:
            raise Refused(column, f"no table in this query is called {column.table!r}", did_you_mean(wanted, named))
        found = [(a, t) for a, t in named.items() if wanted in {"", a} and t.type_of(column.name)]
        if not found:
            words = [c.name for a, t in named.items() if wanted in {"", a} for c in t.columns]
            raise Refused(column, f"no such column {column.name!r}", did_you_mean(column.name, words))
        if len(found) > 1:
            raise Refused(column, "several tables have this column", f"{found[0][0]}.{column.name}")
        alias, table = found[0]
        type_ = table.type_of(column.name)
        assert type_ is not None
        return alias, table, table.spelled(column.name), type_

    def canonical(self, node: exp.Expr) -> exp.Expr:
        """A copy in which each column has the name of its table, so that equal expressions compare equal."""

        def full(inner: exp.Expr) -> exp.Expr:
            if isinstance(inner, exp.Paren):
                return inner.this
            if isinstance(inner, exp.Column) and isinstance(inner.this, exp.Identifier):
                alias, _, name, _ = self.find(inner)
                return exp.column(name, table=alias)
            return inner

        return node.copy().transform(full)

    def driving_only(self, node: exp.Expr) -> bool:
        """Whether an expression speaks of the driving table alone. Raises Refused for one with a query inside."""
        if inner := node.find(exp.Query):
            raise Refused(
                inner, "rows of a query change without a change of the row", "list the values, or join by key"
            )
        return all(self.find(c)[0] == self.alias for c in node.find_all(exp.Column))


def read(select: exp.Select, tables: Mapping[str, Table]) -> Sources:
    """The tables of a SELECT. Raises Refused for what is no table of the project, and for joins other than by key."""
    start = select.args.get("from_")
    if start is None:
        raise Refused(select, "it reads no table", "FROM a table of the project")
    if select.args.get("laterals"):
        raise Refused(select.args["laterals"][0], "rows made of a row can't be taken back")
    first = _table(start.this, tables)
    alias = start.this.alias_or_name.lower()
    if first.mode == PULLED:
        raise Refused(start.this, f"of {first.name!r} no row before a change is known: {_PULLED}", "leave `live` out")
    sources = Sources(alias, first)
    for join in select.args.get("joins") or []:
        _join(join, tables, sources)
    return sources


def _table(node: exp.Expr, tables: Mapping[str, Table]) -> Table:
    if not isinstance(node, exp.Table):
        hint = "read one table, and join others by their keys"
        raise Refused(node, "a query inside of it has no changes that can be signed", hint)
    extra = next(
        (node.args[a] for a in ("joins", "pivots", "sample", "when", "version", "laterals") if node.args.get(a)), None
    )
    if extra or node.args.get("db") or node.alias_column_names:
        raise Refused(node, "only a table of the project by its name", "FROM orders")
    name = node.name.lower()
    if name in tables:
        return tables[name]
    base = next((name.removesuffix(f"_{v}") for v in ("changes", "history") if name.endswith(f"_{v}")), "")
    if base in tables:
        hint = f"FROM {base}: its changes are what a live view is made of"
        raise Refused(node, f"every change of {base!r} is another question than its present rows", hint)
    raise Refused(
        node, "it is no table of a source; another view has no changes that can be signed", did_you_mean(name, tables)
    )


def _join(join: exp.Join, tables: Mapping[str, Table], sources: Sources) -> None:
    side, kind = (join.args.get(a) or "" for a in ("side", "kind"))
    if (
        side not in {"", "LEFT"}
        or kind not in {"", "INNER", "OUTER"}
        or join.args.get("method")
        or join.args.get("using")
    ):
        raise Refused(join.this, "only JOIN … ON and LEFT JOIN … ON", "JOIN restaurants r ON r.id = o.restaurant_id")
    table, alias = _table(join.this, tables), join.this.alias_or_name.lower()
    if alias in {sources.alias, *(j.alias for j in sources.joined)}:
        raise Refused(join.this, f"two tables in this query are called {alias!r}", "give one of them another name")
    if table.name == sources.table.name:
        raise Refused(join.this, "two rows of one table change at once, and the sum is not linear in them")
    if not table.key or table.mode == "events":
        raise Refused(join.this, f"{table.name!r} has no key, so a row could meet many of its rows")
    inside = Sources(sources.alias, sources.table, [*sources.joined, Joined(alias, table, bool(side), {})])
    condition = join.args.get("on")
    on: dict[str, exp.Expr] = {}
    for part in conjuncts(condition) if condition is not None else []:
        _equality(part, alias, inside, on)
    if missing := [k for k in table.key if k not in on]:
        hint = f"ON {alias}.{missing[0]} = …"
        raise Refused(join.this, f"it is not joined by its whole key: {', '.join(table.key)}", hint)
    inside.joined[-1].on = {k: on[k] for k in table.key}
    sources.joined.append(inside.joined[-1])


def _equality(part: exp.Expr, alias: str, inside: Sources, on: dict[str, exp.Expr]) -> None:
    """Adds `key column = expression of the tables before` to `on`, or raises Refused."""
    sides = [part.this, part.expression] if isinstance(part, exp.EQ) else []
    for own, other in (sides, sides[::-1]) if sides else ():
        if not isinstance(own, exp.Column):
            continue
        of, table, name, _ = inside.find(own)
        others = {inside.find(c)[0] for c in other.find_all(exp.Column)}
        if of == alias and name in table.key and name not in on and others and alias not in others:
            on[name] = other
            return
    raise Refused(part, "a joined table is looked up by the columns of its key, and by nothing else",
                  "put other conditions into WHERE, or leave `live` out")  # fmt: skip


def conjuncts(node: exp.Expr) -> list[exp.Expr]:
    if isinstance(node, exp.Paren):
        return conjuncts(node.this)
    return [*conjuncts(node.this), *conjuncts(node.expression)] if isinstance(node, exp.And) else [node]
