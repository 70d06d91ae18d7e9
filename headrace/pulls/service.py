"""A REST service that is asked politely: again after what passes by itself, and never for ever."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx

from headrace.errors import HeadraceError
from headrace.project import Addresses, Source, Table
from headrace.pulls import exact
from headrace.pulls.secrets import Secrets

TRIES = 6
_FIRST = 0.5  # seconds of the first pause; each one after it is twice as long
_LONGEST = 60.0  # seconds; a service that asks for more is left in peace until the next pull
_BUSY = frozenset({408, 425, 429})  # beside 5xx: what passes by itself
_BEGINNING = 300  # characters of a body that an error shows
_MESSAGE = 1500  # characters of an error: a service can put anything into an address or a name
_TIMEOUT = httpx.Timeout(60.0, connect=10.0)  # seconds; of each read, not of a whole answer


@dataclass(frozen=True)
class Answer:
    """One answer: its body as parsed (numbers keep their digits), and the address that its Link header calls next."""

    url: str  # as it may be shown
    body: Any
    next: str


class Service:
    """A source's service. No text that leaves it (errors, Answer.url) holds a secret."""

    def __init__(
        self,
        addresses: Addresses,
        source: Source,
        table: Table,
        *,
        tries: int = TRIES,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        # httpx tells every address it asks, with its parameters, to whoever turns logging on.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        self._source, self._table, self._tries, self._sleep = source, table, tries, sleep
        self._secrets = Secrets(addresses)
        self._base = addresses.source(source) if source.local else self.fill(source.url, address=True)
        headers = {name: self.fill(value) for name, value in source.headers}
        headers = {"Accept": "application/json", "User-Agent": "headrace"} | headers
        sent = [(name.encode(), value.encode()) for name, value in headers.items()]
        self._client = httpx.Client(headers=sent, timeout=_TIMEOUT, follow_redirects=False)

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *ignored: object) -> None:
        self._client.close()

    def fill(self, text: str, *, address: bool = False) -> str:
        """`text` with its secrets. Raises HeadraceError at the table when one is not set."""
        try:
            return self._secrets.fill(text, address=address)
        except HeadraceError as error:
            raise HeadraceError(*(replace(p, place=self._table.place) for p in error.problems)) from None

    def address(self, path: str) -> str:
        """The address of a path below the source's url."""
        path = self.fill(path, address=True)
        return f"{self._base.rstrip('/')}/{path.lstrip('/')}" if path.strip("/") else self._base

    def within(self, url: str, given: str) -> str:
        """An address that the service gave, made absolute. Raises HeadraceError when it leads to another server.

        There the headers with the source's secrets have no business.
        """
        try:
            there = urlsplit(urljoin(url, given))
            same = _server(there.geturl()) == _server(url)
        except ValueError:
            raise self.error(f"the address of the next page is none: {given}") from None
        if not same:
            raise self.error(f"the next page would be at another server: {given}", "nothing is sent there")
        base = urlsplit(self._base)  # its user and password; and its https, which services behind a proxy don't know of
        return there._replace(scheme=base.scheme, netloc=base.netloc).geturl()

    def get(self, url: str, parameters: Mapping[str, str], *, may_lack: bool = False) -> Answer | None:
        """The answer to one request; None for a 404 that `may_lack` allows (in JSON: the service's, not a proxy's).

        Connection errors, time-outs, answers cut short, 429, 408 and 5xx are tried again after growing pauses with
        jitter, or after what Retry-After says; TRIES times in all. Raises HeadraceError with address, status and the
        body's beginning.
        """
        try:
            asked = httpx.URL(url).copy_merge_params(parameters) if parameters else httpx.URL(url)
        except httpx.InvalidURL as error:
            raise self.error(f"GET {url} can't be asked: {error}") from None
        shown = self._shown(asked)
        for attempt in range(1, self._tries + 1):
            pause = _FIRST * 2 ** (attempt - 1)
            try:
                answer = self._client.get(asked)
            except (httpx.LocalProtocolError, httpx.UnsupportedProtocol):
                hint = "a header or the address holds characters that can't be sent"
                raise self.error(f"GET {shown} can't be asked", hint) from None
            except httpx.HTTPError as error:
                trouble = f"GET {shown} fails: {error or type(error).__name__}"
            else:
                if answer.is_success:
                    return self._read(answer, shown)
                if may_lack and answer.status_code == 404 and "json" in answer.headers.get("content-type", ""):
                    return None
                trouble = f"GET {shown} is answered with {answer.status_code} {answer.reason_phrase}"
                trouble += self._said(answer)
                if answer.status_code not in _BUSY and not answer.is_server_error:
                    raise self.error(trouble, _hint(answer))
                wait = _retry_after(answer)
                if wait > _LONGEST:
                    raise self.error(trouble, f"it asks to be left alone for {wait:.0f} s")
                pause = max(pause, wait)
            if attempt < self._tries:
                self._sleep(min(_LONGEST, pause) * random.uniform(1, 1.25))  # many clients shall not come all at once
        raise self.error(f"{trouble} ({self._tries} tries)", f"headrace source check {self._source.name}")

    def error(self, message: str, hint: str = "") -> HeadraceError:
        """An error at the table's place in the source's file; secrets in it are masked."""
        said = f"source {self._source.name!r}, table {self._table.name!r}: {self._clean(message, _MESSAGE)}"
        return HeadraceError(said, place=self._table.place, hint=self._clean(hint, _MESSAGE))

    def _clean(self, text: str, most: int) -> str:
        """Text of others as it may be shown: without secrets (before it is cut), on one line unless it is ours."""
        text = "".join(c if c.isprintable() or c == "\n" else " " for c in self._secrets.mask(text))
        return f"{text[:most]}{'…' if len(text) > most else ''}"

    def _shown(self, url: httpx.URL) -> str:
        """An address without its user, with parameters as they were before they were quoted."""
        place = f"{url.scheme}://{url.host}{f':{url.port}' if url.port else ''}{url.path}"
        parameters = "&".join(f"{name}={value}" for name, value in url.params.multi_items())
        return self._clean(f"{place}{'?' if parameters else ''}{parameters}", _MESSAGE)

    def _said(self, answer: httpx.Response) -> str:
        text = " ".join(self._secrets.mask(answer.text).split())
        return f": {self._clean(text, _BEGINNING)}" if text else ""

    def _read(self, answer: httpx.Response, shown: str) -> Answer:
        try:
            # What is no UTF-8 costs its row: half characters can't be carried, and go to quarantine as their bytes.
            body = exact.parse(answer.content.decode("utf-8-sig", "surrogateescape"))
        except ValueError as error:
            raise self.error(f"the answer to GET {shown} is {error}{self._said(answer)}") from None
        return Answer(shown, body, answer.links.get("next", {}).get("url", ""))


def _server(url: str) -> tuple[str, int | None]:
    """Host and port; those of http and https without a port are the same server."""
    parts = urlsplit(url)
    usual = parts.port == {"http": 80, "https": 443}.get(parts.scheme.lower())
    return (parts.hostname or "").lower(), None if usual else parts.port


def _hint(answer: httpx.Response) -> str:
    if answer.is_redirect:
        return f"it sends to {answer.headers.get('location')}: if that is right, put it into connection.url"
    credentials = "are the connection's credentials right? headers: {Authorization: 'Bearer ${TOKEN}'}"
    known = {401: credentials, 403: credentials, 404: "connection.url and the table's path"}
    return known.get(answer.status_code, "")


def _retry_after(answer: httpx.Response) -> float:
    """Seconds that the service asks to wait: given as such, or as a date."""
    given = answer.headers.get("retry-after", "").strip()
    if given.isascii() and given.isdigit():
        return float(given[:9])
    try:
        moment = parsedate_to_datetime(given)
    except ValueError:
        return 0.0
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
