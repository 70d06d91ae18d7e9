"""docs/runbooks.md as a page, to which each alert has a link."""

from __future__ import annotations

import re
from pathlib import Path

FILE = Path(__file__).parents[2] / "docs" / "runbooks.md"
_HEADING = re.compile(r"<h2>(\w+)</h2>")
_STYLE = (
    "body{font:16px/1.5 sans-serif;max-width:50em;margin:2em auto;padding:0 1em}"
    "code{background:#eee;padding:0 .2em}:target{background:#fe9}"
)


def page() -> str:
    """The page as HTML; each alert's section has the alert's name, in lower case, as its anchor."""
    from markdown_it import MarkdownIt

    body = MarkdownIt().render(FILE.read_text(encoding="utf-8"))
    body = _HEADING.sub(lambda m: f'<h2 id="{m[1].lower()}">{m[1]}</h2>', body)
    head = f'<meta charset="utf-8"><title>Headrace: runbooks</title><style>{_STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{body}</body></html>'
