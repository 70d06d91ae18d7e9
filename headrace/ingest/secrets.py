"""Secrets of one source while they are in use: put in where ${NAME} stands, and never in anything that is said."""

from __future__ import annotations

import re
from urllib.parse import quote, quote_plus

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
            if not secret.isprintable():
                raise HeadraceError(f"the secret {match[1]} holds characters that can't be sent, such as a line's end")
            for form in (secret, quote(secret, ""), quote(secret), quote_plus(secret)):
                if form:
                    self._masks[form] = match[0]
            return quote(secret, "") if address else secret

        return _SECRET.sub(value, text)

    def mask(self, text: str) -> str:
        """`text` with ${NAME} for every secret that was filled in, also where a service or a library repeats it."""
        for form in sorted(self._masks, key=len, reverse=True):
            text = text.replace(form, self._masks[form])
        return text
