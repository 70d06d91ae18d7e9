"""Which statements of MariaDB's log Debezium need not read, so that it can't stumble over them.

Its parser does not know all of MariaDB's language (a column of type inet6, a trigger that uses a sequence), and one
statement that it can't read stops the whole source for good. So it is given only those that can change a captured
table: they name one, or a database (whose character set new columns inherit). Names are looked for as parts of words,
since tools that change tables online work on copies called like `_orders_new` and swap them in the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# Internal to Debezium, not in its manual: tests/engine/ingest/test_schema_changes.py fails should it go away.
OPTION = "internal.schema.history.internal.ddl.filter"

_START = r"(?si)(?>\s*(?:/\*.*?\*/\s*)*(?:SET\s+STATEMENT\b.*?\bFOR\s+)?)"  # never given up for a match: (?>
_DATABASE = r"(?:CREATE|ALTER|DROP)\s+(?:OR\s+REPLACE\s+)?(?:DATABASE|SCHEMA)\b"
_OTHER = r"(?:CREATE|ALTER|DROP)\b(?:(?!\bTABLE\b|\().)*?\b(?:VIEW|TRIGGER|PROCEDURE|FUNCTION|EVENT|PACKAGE|SEQUENCE)\b"
_TEMPORARY = r"(?:CREATE|DROP)\s+(?:OR\s+REPLACE\s+)?TEMPORARY\b"
_SERVICE = r"(?:GRANT|REVOKE|ANALYZE|OPTIMIZE|REPAIR|FLUSH|SAVEPOINT)\b"


def ignored(tables: Iterable[str]) -> str:
    """Debezium's list of patterns (each for a whole statement) of what it passes over; `tables` are the captured ones,
    as schema.table."""
    names = "|".join(re.escape(t.rpartition(".")[2]).replace(",", ".") for t in sorted(tables))
    elsewhere = rf"(?!ROLLBACK\b)(?!{_DATABASE})(?!.*(?:{names})).*"
    return ",".join(_START + part for part in (elsewhere, f"{_OTHER}.*", f"{_TEMPORARY}.*", f"{_SERVICE}.*"))
