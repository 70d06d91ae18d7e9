"""What can't be kept exact, or not in every engine: an expression, the reason, and what is allowed."""

from __future__ import annotations

from bisect import bisect_left

from sqlglot import exp

from headrace.sql.mistake import Mistake
from headrace.sql.tokens import Word

# Words that stand before the first operand of an expression that they belong to.
_OPENING = set(
    "( CAST TRY_CAST CASE WHEN EXTRACT TRIM SUBSTRING SUBSTR NOT - DATE TIMESTAMP YEAR MONTH DAY HOUR".split()
)


class Refused(Exception):
    """An expression that no live view can have. The reason says which engine or history would make it wrong."""

    def __init__(self, node: exp.Expr, reason: str, hint: str = "", word: str = "") -> None:
        """`word`: the keyword of a clause that can't be there, whatever it holds. Without a reason it is no mistake of
        its own, but what another one leads to."""
        super().__init__(reason)
        self.node, self.reason, self.hint, self.word = node, reason, hint, word


def mistake(refused: Refused, words: list[Word]) -> Mistake:
    """The mistake with its place: where the expression begins."""
    node = refused.node
    shown = refused.word or node.sql("spark", comments=False).replace("TUMBLE(", "window(")
    shown = shown if len(shown) <= 60 else shown[:57] + "…"
    message = f"no live view can have {shown}: {refused.reason}"
    word = _named(refused.word or shown, words) if refused.word or not _starts(node) else _first(node, words)
    return Mistake(message, word.line if word else 1, word.column if word else 1, refused.hint)


def _starts(node: exp.Expr) -> list[int]:
    return [int(n.meta["start"]) for n in node.walk() if n.meta.get("start") is not None]


def _named(text: str, words: list[Word]) -> Word | None:
    """The last place of a keyword."""
    wanted = text.upper().split()[0]
    return next((w for w in reversed(words) if w.word == wanted), None)


def _first(node: exp.Expr, words: list[Word]) -> Word:
    """The word with which an expression begins."""
    starts = _starts(node)
    at = min(bisect_left(words, min(starts), key=lambda w: w.start), len(words) - 1)
    if isinstance(node, exp.Column | exp.Identifier | exp.Literal | exp.Table):
        return words[at]
    opening = _OPENING | {"SELECT"} if isinstance(node, exp.Query) else _OPENING
    while at and words[at - 1].word in opening and not _is_call(words, at - 1):
        at -= 1
    while words[at].word == "(" and at + 1 < len(words):
        at += 1
    return words[at]


def _is_call(words: list[Word], at: int) -> bool:
    """Whether a parenthesis belongs to a name that is none of ours: then the expression stands inside of it."""
    return words[at].word == "(" and at > 0 and words[at - 1].is_name and words[at - 1].word not in _OPENING
