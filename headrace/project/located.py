"""YAML whose every value remembers its line: so that a mistake in a user's file can be pointed at."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from headrace.errors import HeadraceError, Place, Problem, did_you_mean
from headrace.project.text import read_text

Keys = tuple[object, ...]


class Located:
    """A YAML document as plain values, plus the place of each key path such as ("tables", "orders", "from")."""

    def __init__(
        self, path: Path, value: dict[str, Any], places: dict[Keys, Place], problems: tuple[Problem, ...] = ()
    ) -> None:
        self.path = path
        self.value = value
        self.problems = problems  # mistakes of form that leave the rest readable: a name that stands twice
        self._places = places

    def place(self, *keys: object) -> Place:
        """Where the value at the key path stands; the nearest enclosing value when the path is absent."""
        for length in range(len(keys), 0, -1):
            if keys[:length] in self._places:
                return self._places[keys[:length]]
        return self._places.get((), Place(self.path))

    def get(self, *keys: Any) -> Any:
        """The value at the key path; None when it or what encloses it is absent or of another shape."""
        value: Any = self.value
        for key in keys:
            if isinstance(value, dict):
                value = value.get(key)
            elif isinstance(value, list) and isinstance(key, int) and key < len(value):
                value = value[key]
            else:
                return None
        return value

    def unknown(self, keys: Keys, allowed: Iterable[str], strict: bool = True) -> list[Problem]:
        """A problem for each name below the key path that is not allowed; not strict: only for misspelt ones."""
        names = [str(name) for name in (self.get(*keys) or {})]
        allowed = sorted(allowed)
        return [
            Problem(f"no such setting {name!r}", self.place(*keys, name), did_you_mean(name, allowed))
            for name in names
            if name not in allowed and (strict or get_close_matches(name, allowed, n=1, cutoff=0.8))
        ]

    def text(self, keys: Keys, problems: list[Problem], default: str = "") -> str:
        """The value at the key path as text; another shape than text or a number is added to the problems."""
        value = self.get(*keys)
        if value is None:
            return default
        if isinstance(value, bool | dict | list):
            problems.append(Problem(f"{keys[-1]} must be text, not {_shape(value)}", self.place(*keys)))
            return default
        return str(value)

    def flag(self, keys: Keys, problems: list[Problem], default: bool = False) -> bool:
        """The value at the key path as true or false; anything else is added to the problems."""
        value = self.get(*keys)
        if value is None or isinstance(value, bool):
            return default if value is None else value
        problems.append(Problem(f"{keys[-1]} must be true or false, not {value!r}", self.place(*keys)))
        return default

    def mapping(self, keys: Keys, problems: list[Problem]) -> dict[str, Any]:
        """The mapping at the key path, empty when absent; another shape is added to the problems."""
        value = self.get(*keys)
        if value is None or isinstance(value, dict):
            return value or {}
        problems.append(
            Problem(f"{keys[-1]} must be a mapping of names to values, not {_shape(value)}", self.place(*keys))
        )
        return {}


def read(path: Path) -> Located:
    """Reads one YAML file; raises HeadraceError with the line when it is not YAML or not a mapping."""
    text = read_text(path)
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        value = yaml.load(text, Loader=_Dates)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(path, mark.line + 1, mark.column + 1) if mark else Place(path)
        hint = "indent with spaces" if "\\t" in str(error.problem) else ""
        raise HeadraceError(Problem(f"this is not YAML: {error.problem or error.context}", place, hint)) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise HeadraceError(f"this is not YAML: {error.reason}", place=Place(path, line)) from None
    except RecursionError:
        raise HeadraceError("this is not YAML a person wrote: it is nested too deep", place=Place(path)) from None
    if value is None:
        raise HeadraceError("the file is empty", place=Place(path), hint="delete it, or copy one that works")
    if not isinstance(value, dict) or node is None:
        raise HeadraceError("the file must be a mapping of names to values", place=Place(path, 1), hint="name: value")
    walk = _Walk(path)
    walk.visit(node, ())
    return Located(path, value, walk.places, tuple(walk.problems))


class _Dates(yaml.SafeLoader):
    """Dates stay text: 2024-13-45 is a mistake to point at, not an exception of Python's calendar."""


_Dates.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class _Walk:
    """Collects the place of every value, and names that stand twice in one mapping (YAML keeps the last in silence)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.places: dict[Keys, Place] = {}
        self.problems: list[Problem] = []
        self._seen: set[int] = set()  # an alias is visited once: it may hold itself

    def visit(self, node: yaml.Node, keys: Keys) -> None:
        self.places.setdefault(keys, self._at(node))
        if id(node) in self._seen:
            return
        self._seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            lines: dict[str, int] = {}
            for key, value in node.value:
                name = str(key.value)
                if name in lines and name != "<<":
                    message = f"{name!r} stands twice, first in line {lines[name]}"
                    self.problems.append(Problem(message, self._at(key), "keep one of them"))
                lines.setdefault(name, self._at(key).line)
                self.places[(*keys, name)] = self._at(key)
                self.visit(value, (*keys, name))
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                self.visit(value, (*keys, index))

    def _at(self, node: yaml.Node) -> Place:
        return Place(self.path, node.start_mark.line + 1, node.start_mark.column + 1)


def _shape(value: object) -> str:
    if isinstance(value, bool):
        return f"{str(value).lower()} (put it into quotes if it is meant)"
    return "a list" if isinstance(value, list) else "a mapping" if isinstance(value, dict) else repr(value)
