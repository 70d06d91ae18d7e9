"""One shape for everything that can be wrong: what, where, and what to do next.

Source of every message a user reads: a `Problem` is raised or collected as `HeadraceError`, and `render` prints it as
file:line, the line, a caret, the message and a hint.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from headrace.concealed import masked

_LISTED = 12  # names that a hint lists before it says "and 30 more"


@dataclass(frozen=True)
class Place:
    """A point in a user's file. `line` and `column` count from 1; 0 means the whole file."""

    path: Path
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.path}:{self.line}" if self.line else str(self.path)


@dataclass(frozen=True)
class Problem:
    """One mistake: the message says what is wrong, the hint what is allowed or probably meant, or the next command.

    One that `follows` is no mistake itself but what another file's mistake leads to; it goes away with that. No secret
    that this process looked up stands in it, whoever's text the message repeats (headrace.concealed).
    """

    message: str
    place: Place | None = None
    hint: str = ""
    follows: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", masked(self.message))
        object.__setattr__(self, "hint", masked(self.hint))

    def render(self, root: Path | None = None) -> str:
        """The problem as text for a terminal, with paths relative to `root` where they lie below it."""
        lines = []
        if self.place:
            path = self.place.path
            shown = path.relative_to(root) if root and path.is_relative_to(root) else path
            lines.append(f"{shown}:{self.place.line}" if self.place.line else f"{shown}")
            lines += _excerpt(self.place)
        lines.append(f"  {self.message}")
        lines += [f"  hint: {line}" if first else f"        {line}" for first, line in _numbered(self.hint)]
        return "\n".join(lines)


class HeadraceError(Exception):
    """Raised with one or more problems; the command line prints each and exits with 1."""

    def __init__(self, *problems: Problem | str, place: Place | None = None, hint: str = "") -> None:
        self.problems = tuple(p if isinstance(p, Problem) else Problem(p, place, hint) for p in problems)
        super().__init__("\n".join(p.render() for p in self.problems))


def did_you_mean(word: str, allowed: Iterable[object]) -> str:
    """A hint that names the nearest allowed word, or lists them (the first dozen) when none is near."""
    words = sorted(str(a) for a in allowed)
    near = get_close_matches(word, words, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    more = f" and {len(words) - _LISTED} more" if len(words) > _LISTED else ""
    return f"there is: {', '.join(words[:_LISTED])}{more}" if words else "there are none yet"


def _excerpt(place: Place) -> list[str]:
    if not place.line:
        return []
    try:
        # Lines as an editor counts them: str.splitlines would also split at form feeds and other rare characters.
        text = place.path.read_text(encoding="utf-8-sig", errors="replace").split("\n")
    except OSError:
        return []
    if place.line > len(text):
        return []
    number = f"{place.line:>5} | "
    line = "".join(c if c.isprintable() or c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in text[place.line - 1])
    lines = [(number + line).rstrip()]
    if place.column:
        lines.append(" " * len(number) + "".join(_blank(c) for c in line[: place.column - 1]) + "^")
    return lines


def _blank(character: str) -> str:
    """Space as wide as the character, so that the caret stands below its column."""
    if character == "\t":
        return "\t"
    if unicodedata.combining(character):
        return ""
    return "  " if unicodedata.east_asian_width(character) in "WF" else " "


def _numbered(hint: str) -> list[tuple[bool, str]]:
    return [(index == 0, line) for index, line in enumerate(hint.splitlines())]
