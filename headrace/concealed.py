"""Secrets that this process knows, taken out of every text that people or logs get to see."""

from __future__ import annotations

import base64
import html
import json
import logging
import re
import sys
import threading
import traceback
from types import TracebackType
from urllib.parse import quote, quote_plus

LEAST = 8  # characters; to take out a shorter one would make messages unreadable that only have a word like it
_IN_ADDRESS = re.compile(r"(://[^:/@\s'\"]*):(?!\$\{)[^@/\s'\"]+@")
_forms: dict[str, str] = {}  # what must not be shown → what is shown instead


def conceal(secret: str, name: str) -> None:
    """From now on `masked` shows ${name} in its place, also where an address, HTML, JSON or base64 writes it."""
    if len(secret) < LEAST:
        return
    forms = {secret, quote(secret, ""), quote(secret), quote_plus(secret), html.escape(secret), repr(secret)[1:-1]}
    forms |= {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    forms |= {base64.b64encode(secret.encode()).decode().rstrip("=")}
    _forms.update(dict.fromkeys(forms, f"${{{name}}}"))


def masked(text: str) -> str:
    """The text without any concealed secret, and without the password of any address in it, known or not."""
    for form in sorted(_forms, key=len, reverse=True):
        text = text.replace(form, _forms[form])
    return _IN_ADDRESS.sub(r"\1:***@", text)


def mask_output() -> None:
    """From now on whatever this process logs is masked, and so is the traceback that it may end with, or a thread's."""
    if getattr(logging.Formatter.format, "masks", False):
        return
    plain = logging.Formatter.format

    def format(self: logging.Formatter, record: logging.LogRecord) -> str:
        return masked(plain(self, record))

    format.masks = True  # type: ignore[attr-defined]
    logging.Formatter.format = format  # type: ignore[method-assign] - formatters of libraries call it, too
    sys.excepthook = _tell
    threading.excepthook = lambda given: _tell(given.exc_type, given.exc_value, given.exc_traceback)


def _tell(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if not issubclass(kind, SystemExit):
        print(masked("".join(traceback.format_exception(kind, error, trace))), file=sys.stderr, end="")
