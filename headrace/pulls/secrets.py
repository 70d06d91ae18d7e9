"""Secrets of one source while they are in use: put in where ${NAME} stands, and never in anything that is said."""

from __future__ import annotations

import base64
import html
import json
import re
from urllib.parse import quote, quote_plus, unquote, urlsplit

from headrace.errors import HeadraceError
from headrace.project import Addresses

_SECRET = re.compile(r"\$\{(\w+)\}")


class Secrets:
    """Fills in secrets and remembers them, so that `mask` can take them out of texts of others."""

    def __init__(self, addresses: Addresses) -> None:
        self._addresses = addresses
        self._masks: dict[str, str] = {}  # what must not be shown → what is shown instead

    def fill(self, text: str, *, address: bool = False) -> str:
        """`text` with its secrets; in an address they are quoted. Raises HeadraceError when one is not set."""

        def value(match: re.Match[str]) -> str:
            secret = self._addresses.secret(match[1])
            if not secret.isprintable() or secret != secret.strip():
                message = f"the secret {match[1]} can't be sent: spaces around it, or a line's end in it"
                raise HeadraceError(message, hint=f'export {match[1]}="$(cat FILE)"   leaves out the last line\'s end')
            self._hide(secret, match[0])
            return quote(secret, "") if address else secret

        filled = _SECRET.sub(value, text)
        if address and (user := urlsplit(filled).username) is not None:
            # As it travels: a service that repeats the request's headers would show the password to whoever can decode.
            pair = f"{unquote(user)}:{unquote(urlsplit(filled).password or '')}"
            self._hide(base64.b64encode(pair.encode()).decode(), "(user and password)")
        return filled

    def mask(self, text: str) -> str:
        """`text` with ${NAME} for every secret that was filled in, also where a service or a library repeats it."""
        for form in sorted(self._masks, key=len, reverse=True):
            text = text.replace(form, self._masks[form])
        return text

    def _hide(self, secret: str, shown: str) -> None:
        forms = (secret, quote(secret, ""), quote(secret), quote_plus(secret), html.escape(secret))
        inside = (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1])
        for form in (*forms, *inside):
            if form:
                self._masks[form] = shown
