"""The `connection` of a source: what each kind needs, and that no secret and no way out of the project stands in it."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any

from headrace.errors import Problem
from headrace.project.located import Located

# kind → the settings that its connection may have
_ALLOWED = {
    "postgresql": {"local", "url", "database"},
    "mariadb": {"local", "url", "database"},
    "jdbc": {"url", "source", "database"},
    "files": {"path"},
    "events": set(),
}
_DATABASE_HINT = (
    "connection: {{url: '{0}://user:${{PASSWORD}}@host:{1}/database'}}\nor, to try it out: connection: {{local: true}}"
)
_JDBC_HINT = (
    "connection: {url: 'an address that SQLAlchemy takes'}\n"
    "or, on the server of another source: connection: {source: payments, database: loyalty}"
)
_SECRET = re.compile(r"://[^:/@\s]*:([^@/\s]*)@")


def connection_problems(doc: Located, kind: str) -> list[Problem]:
    """Every mistake in the connection of a source of this kind."""
    problems: list[Problem] = []
    connection = doc.mapping(("connection",), problems)
    if problems:
        return problems
    problems += doc.unknown(("connection",), _ALLOWED[kind])
    before = len(problems)
    local = doc.flag(("connection", "local"), problems)
    texts = {
        name: doc.text(("connection", name), problems)
        for name in ("url", "source", "database", "path")
        if name in connection
    }
    problems += _needed(doc, kind, texts, local) if len(problems) == before else []
    problems += _url(doc, kind, texts.get("url", ""))
    path = PurePosixPath(texts.get("path", ""))
    if kind == "files" and ".." in path.parts:
        hint = "a folder below the project, or an absolute path"
        problems.append(Problem(f"{str(path)!r} leads out of the project", doc.place("connection", "path"), hint))
    return problems


def _needed(doc: Located, kind: str, texts: dict[str, Any], local: bool) -> list[Problem]:
    at = doc.place("connection")
    if kind == "files" and not texts.get("path"):
        return [Problem("a source of files needs connection.path", at, "connection: {path: data/price-lists}")]
    if kind in {"postgresql", "mariadb"} and bool(texts.get("url")) == local:
        needs = "either connection.url or connection.local, not both" if local else "connection.url or connection.local"
        hint = _DATABASE_HINT.format(kind, 5432 if kind == "postgresql" else 3306)
        return [Problem(f"a {kind} source needs {needs}", at, hint)]
    if kind == "jdbc" and bool(texts.get("url")) == bool(texts.get("source")):
        both = bool(texts.get("url"))
        needs = (
            "either connection.url or connection.source, not both" if both else "connection.url or connection.source"
        )
        return [Problem(f"a jdbc source needs {needs}", at, _JDBC_HINT)]
    return []


def _url(doc: Located, kind: str, url: str) -> list[Problem]:
    at = doc.place("connection", "url")
    if not url:
        return []
    if "://" not in url:
        return [Problem(f"{url!r} is not an address", at, f"such as {kind}://user:${{PASSWORD}}@host/database")]
    schemes = {"postgresql": {"postgresql", "postgres"}, "mariadb": {"mariadb", "mysql"}}.get(kind)
    scheme = url.partition("://")[0]
    if schemes and scheme not in schemes:
        return [Problem(f"a {kind} source can't be reached at {scheme}://", at, f"{kind}://…")]
    secret = _SECRET.search(url)
    if secret and secret[1] and not re.fullmatch(r"\$\{\w+\}", secret[1]):
        hint = "put it into the environment and say ${NAME} here"
        return [Problem("a password must not stand in a project file", at, hint)]
    return []
