"""The partner's promotions: a database of its own, and the service through which others read it, page by page.

python -m demo --serve      listens at the port that the platform keeps for the source `partner`
"""

from __future__ import annotations

import json
import signal
import sqlite3
import threading
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from demo.counts import Counts
from demo.schema import PARTNER

PAGE = 100  # rows, where a request does not say how many
# Writers come one after the other, so a greater revision is never there before a smaller one.
_WRITE = """INSERT INTO promotions (id, restaurant_id, percent, share, starts_on, ends_on, updated_at, revision)
  VALUES (?, ?, ?, ?, ?, ?, ?, (SELECT COALESCE(MAX(revision), 0) + 1 FROM promotions))
  ON CONFLICT (id) DO UPDATE SET ends_on = excluded.ends_on, updated_at = excluded.updated_at,
  revision = excluded.revision"""
_END = """UPDATE promotions SET ends_on = ?, updated_at = ?, revision = (SELECT MAX(revision) + 1 FROM promotions)
  WHERE id = ?"""
# In order of revision: a row that changes while somebody walks the pages comes once more at the end, none is left out.
_READ = "SELECT * FROM promotions WHERE revision >= ? AND revision > ? ORDER BY revision LIMIT ?"


class Promotion(NamedTuple):
    """`share` is the part of the discount that the partner pays, in the currency of the orders per order."""

    id: str
    restaurant_id: int
    percent: int
    share: str
    starts_on: date
    ends_on: date
    updated_at: datetime


class Partner:
    """Writes promotions into the partner's database, as the partner's own people do."""

    def __init__(self, file: Path, counts: Counts) -> None:
        self.file, self.counts = file, counts

    def prepare(self) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with closing(_open(self.file)) as database:
            database.execute("PRAGMA journal_mode = WAL")  # readers and a writer don't wait for each other
            database.execute(PARTNER)

    def promote(self, promotion_id: str, restaurant_id: int, percent: int, share: str, ends_on: date) -> None:
        now = datetime.now(UTC)
        self.load([Promotion(promotion_id, restaurant_id, percent, share, now.date(), ends_on, now)])

    def end(self, promotion_id: str, on: date) -> None:
        """The promotion ends earlier than was said."""
        with closing(_open(self.file)) as database:
            database.execute(_END, (on.isoformat(), _text(datetime.now(UTC)), promotion_id))
        self.counts.add("promotions", "updated")

    def load(self, promotions: Iterable[Promotion]) -> None:
        rows = list(promotions)
        with closing(_open(self.file)) as database:
            database.execute("BEGIN IMMEDIATE")
            for one in rows:
                days = (one.starts_on.isoformat(), one.ends_on.isoformat(), _text(one.updated_at))
                database.execute(_WRITE, (*one[:4], *days))
            database.execute("COMMIT")
        self.counts.add("promotions", "upserted", len(rows))

    def close(self) -> None:
        """Nothing is open between two statements."""


class Server(ThreadingHTTPServer):
    """GET /v1/promotions?since=REVISION&after=REVISION&limit=ROWS → {"data": [row], "meta": {"next": REVISION}}."""

    daemon_threads = True

    def __init__(self, file: Path, port: int) -> None:
        self.file = file
        super().__init__(("127.0.0.1", port), _Request)


def serve(file: Path, port: int) -> None:
    """Answers until SIGTERM or SIGINT."""
    with Server(file, port) as server:
        for number in (signal.SIGINT, signal.SIGTERM):
            # In a thread: `shutdown` waits for the loop that the signal interrupts.
            signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
        server.serve_forever()


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        given = dict(parse_qsl(parts.query))
        if parts.path != "/v1/promotions":
            self._say(404, {"error": f"nothing is at {parts.path}"})
            return
        try:
            since, after, limit = (int(given.get(n, d)) for n, d in (("since", 0), ("after", 0), ("limit", PAGE)))
        except ValueError as error:
            self._say(400, {"error": str(error)})
            return
        limit = max(1, min(limit, PAGE))
        try:
            with closing(_open(self.server.file)) as database:
                rows = [dict(row) for row in database.execute(_READ, (since, after, limit))]
        except sqlite3.OperationalError as error:  # nobody has prepared it yet
            self._say(503, {"error": str(error)})
            return
        following = rows[-1]["revision"] if len(rows) == limit else None
        self._say(200, {"data": rows, "meta": {"next": following}})

    def _say(self, status: int, value: dict[str, Any]) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: who reads and how often is no news."""


def _open(file: Path) -> sqlite3.Connection:
    database = sqlite3.connect(file, timeout=60, isolation_level=None)
    database.row_factory = sqlite3.Row
    return database


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
