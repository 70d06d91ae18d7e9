"""Columns that a batch query names and no table has: found without an engine, and only where it is certain.

A table or query whose columns can't be known here (a Python view, a function, PIVOT …) is open: nothing unqualified is
called wrong beside it. The rule is that a wrong complaint is worse than none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from sqlglot import exp

from headrace.errors import did_you_mean
from headrace.sql.mistake import Mistake

Columns = tuple[str, ...] | None  # None: not known here

_NODE: type = getattr(exp, "Expr", exp.Expression)  # queries are no Expression in sqlglot 30, and no Expr before

# Words that Spark takes for a value, a unit, a struct of its own or a hidden column where a column may stand.
_WORDS = set(
    (
        "all user session_user current_user current_date current_time current_timestamp localtimestamp "
        "current_catalog current_database current_schema _metadata window session_window microsecond millisecond "
        "second minute hour day dayofyear week month quarter year"
    ).split()
)


@dataclass
class _Scope:
    """What a SELECT can name: its sources, the names it gives itself, and the SELECT around it."""

    common: dict[str, Columns]  # common table expressions in sight
    sources: list[tuple[str, Columns]] = field(default_factory=list)
    aliases: set[str] = field(default_factory=set)
    outer: _Scope | None = None

    def all_sources(self) -> list[tuple[str, Columns]]:
        return self.sources + (self.outer.all_sources() if self.outer else [])

    def all_aliases(self) -> set[str]:
        return self.aliases | (self.outer.all_aliases() if self.outer else set())


def examine(tree: exp.Expr, tables: Mapping[str, Columns], place: Mapping[int, tuple[int, int]]) -> Examined:
    """The columns that a query gives, and its mistakes. `place` maps the offset of a word to its line and column."""
    finder = _Finder({name.lower(): columns for name, columns in tables.items()})
    outputs = finder.query(tree, _Scope({}))
    mistakes = [replace(m, line=place[m.line][0], column=place[m.line][1]) for m in finder.mistakes if m.line in place]
    return Examined(outputs, tuple(mistakes))


@dataclass(frozen=True)
class Examined:
    """What came out: the query's columns (None: not known here) and names that are surely wrong."""

    outputs: Columns
    mistakes: tuple[Mistake, ...] = ()


class _Finder:
    def __init__(self, tables: Mapping[str, Columns]) -> None:
        self.tables = tables
        self.mistakes: list[Mistake] = []  # with the offset as line, until `examine` has put the place there

    def query(self, node: exp.Expr | None, scope: _Scope) -> Columns:
        """The columns of a query (None: not known), its mistakes added to the list."""
        if isinstance(node, exp.Subquery):
            if isinstance(node.this, exp.Table):
                return None
            return self.query(node.this, self._with(node, scope))
        if isinstance(node, exp.SetOperation):
            scope = self._with(node, scope)
            left = self.query(node.this, scope)
            self.query(node.expression, scope)
            return None if node.args.get("by_name") else left
        return self._select(node, self._with(node, scope)) if isinstance(node, exp.Select) else None

    def _with(self, node: exp.Expr, scope: _Scope) -> _Scope:
        clause = node.args.get("with_")
        if not clause:
            return scope
        scope = replace(scope, common=dict(scope.common))
        for table in clause.expressions:
            name = table.alias.lower()
            if clause.args.get("recursive"):
                scope.common[name] = None
            columns = self.query(table.this, scope)
            scope.common[name] = tuple(table.alias_column_names) or columns
        return scope

    def _select(self, node: exp.Select, around: _Scope) -> Columns:
        scope = _Scope(around.common, outer=around if around.sources else around.outer)
        start = node.args.get("from_")
        items = [start.this] if start else []
        items += [join.this for join in node.args.get("joins") or []]
        for item in items:
            self._source(item, scope)
        for lateral in node.args.get("laterals") or []:
            scope.sources.append((lateral.alias.lower(), None))
        if node.args.get("pivots"):
            scope.sources.append(("", None))
        outputs = self._outputs(node, scope)
        for inner in _inside(node, {"with_", "from_", "hint"}):
            if isinstance(inner, exp.Column):
                self._column(inner, scope)
            else:
                self.query(inner, scope)
        return outputs

    def _source(self, item: exp.Expr, scope: _Scope) -> None:
        name = item.alias_or_name.lower()
        columns: Columns = None
        if isinstance(item, exp.Table) and isinstance(item.this, exp.Identifier) and not item.args.get("db"):
            known = scope.common if item.name.lower() in scope.common else self.tables
            columns = known.get(item.name.lower())
        elif isinstance(item, exp.Subquery):
            if isinstance(item.this, exp.Table):
                self._source(item.this, scope)  # FROM (a JOIN b …)
            else:
                columns = self.query(item, _Scope(scope.common, outer=scope.outer))
        elif isinstance(item, exp.Lateral):
            self.query(item.this, scope)
        for join in item.args.get("joins") or []:
            self._source(join.this, scope)
        if isinstance(item, exp.Subquery) and isinstance(item.this, exp.Table) and not item.alias:
            return
        columns = tuple(item.alias_column_names) or columns
        scope.sources.append((name, None if item.args.get("pivots") else columns))

    def _outputs(self, node: exp.Select, scope: _Scope) -> Columns:
        names: list[str] = []
        known = not any(node.args.get(a) for a in ("pivots", "kind", "operation_modifiers"))
        for item in node.expressions:
            if isinstance(item, exp.Aliases):
                names += [i.name for i in item.aliases]
            elif isinstance(item, exp.Star) or (isinstance(item, exp.Column) and isinstance(item.this, exp.Star)):
                star = item if isinstance(item, exp.Star) else item.this
                table = item.table.lower() if isinstance(item, exp.Column) else ""
                given = [columns for name, columns in scope.sources if not table or name == table]
                left = {e.name.lower() for e in star.args.get("except_") or []}
                known = known and bool(given) and None not in given and not star.args.get("rename")
                names += [c for columns in given for c in columns or () if c.lower() not in left]
            elif isinstance(item, exp.Alias | exp.Column):
                names.append(item.output_name)
            else:  # Spark makes up a name, such as sum(total)
                known = False
        given_names = [i.alias for i in node.expressions if isinstance(i, exp.Alias)]
        given_names += [n.name for i in node.expressions if isinstance(i, exp.Aliases) for n in i.aliases]
        scope.aliases = {n.lower() for n in given_names}
        return tuple(dict.fromkeys(names)) if known else None

    def _column(self, column: exp.Column, scope: _Scope) -> None:
        if column.args.get("db") or not isinstance(column.this, exp.Identifier | exp.Star):
            return
        name, table = column.name.lower(), column.table.lower()
        sources, aliases = scope.all_sources(), scope.all_aliases()
        is_open = any(columns is None for _, columns in sources)
        there = {c.lower(): c for _, columns in sources for c in columns or ()}
        if not table:
            if isinstance(column.this, exp.Star) or is_open or name in there or name in aliases or name in _WORDS:
                return
            self._say(column.this, f"no such column {column.name!r}", did_you_mean(column.name, there.values()))
        elif any(alias == table for alias, _ in sources):
            of = [columns for alias, columns in sources if alias == table]
            if isinstance(column.this, exp.Star) or None in of or table in there or name in _WORDS:
                return
            has = [c for columns in of for c in columns or ()]
            if name not in {c.lower() for c in has}:
                self._say(
                    column.this, f"{column.table!r} has no column {column.name!r}", did_you_mean(column.name, has)
                )
        elif not (is_open or table in there or table in aliases or table in _WORDS):
            named = [alias for alias, _ in sources if alias]
            qualifier = column.args["table"]
            self._say(
                qualifier, f"no table in this query is called {column.table!r}", did_you_mean(column.table, named)
            )

    def _say(self, node: exp.Expr, message: str, hint: str) -> None:
        start = node.meta.get("start")
        if start is not None:
            self.mistakes.append(Mistake(message, int(start), 0, hint))


def _inside(node: exp.Expr, without: set[str] = frozenset()) -> Iterator[exp.Expr]:  # type: ignore[assignment]
    """The columns and the queries in a SELECT's expressions; not what is inside of those queries."""
    for name, value in node.args.items():
        if name in without:
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, exp.Join):  # its table is a source; its condition is not
                yield from _inside(child, {"this"})
            elif isinstance(child, exp.Column | exp.Query):
                yield child
                if isinstance(child, exp.Column):
                    continue
            elif isinstance(child, _NODE):
                yield from _inside(child)
