"""YAML whose every value remembers its line: so that a mistake in a user's file can be pointed at."""

from __future__ import annotations

from pathlib import Path

import yaml

from headrace.errors import HeadraceError, Place, Problem


class Located:
    """A YAML document as plain values, plus the place of each key path such as ("tables", "orders", "from")."""

    def __init__(self, path: Path, value: object, places: dict[tuple[object, ...], Place]) -> None:
        self.path = path
        self.value = value
        self._places = places

    def place(self, *keys: object) -> Place:
        """Where the value at the key path stands; the nearest enclosing value when the path is absent."""
        for length in range(len(keys), -1, -1):
            if keys[:length] in self._places:
                return self._places[keys[:length]]
        return Place(self.path)


def read(path: Path) -> Located:
    """Reads one YAML file; raises HeadraceError with the line when it is not YAML or not a mapping."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise HeadraceError(f"{path.name} does not exist", place=Place(path)) from None
    except UnicodeDecodeError as error:
        raise HeadraceError(f"not UTF-8 at byte {error.start}", place=Place(path), hint="save it as UTF-8") from None
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        value = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = Place(path, mark.line + 1, mark.column + 1) if mark else Place(path)
        raise HeadraceError(Problem(f"this is not YAML: {error.problem}", place)) from None
    if not isinstance(value, dict):
        raise HeadraceError("the file must be a mapping of names to values", place=Place(path, 1))
    places: dict[tuple[object, ...], Place] = {}
    _walk(path, node, (), places)
    return Located(path, value, places)


def _walk(path: Path, node: yaml.Node, keys: tuple[object, ...], places: dict[tuple[object, ...], Place]) -> None:
    places.setdefault(keys, Place(path, node.start_mark.line + 1, node.start_mark.column + 1))
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*keys, key.value)
            places[inner] = Place(path, key.start_mark.line + 1, key.start_mark.column + 1)
            _walk(path, value, inner, places)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _walk(path, value, (*keys, index), places)
