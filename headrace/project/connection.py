"""The `connection` of a source: what each kind needs, and that no secret and no way out of the project stands in it."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any

from headrace.errors import Problem
from headrace.project import tls
from headrace.project.located import Keys, Located

Pairs = tuple[tuple[str, str], ...]

# kind → the settings that its connection may have
_ALLOWED = {
    "postgresql": {"local", "url", "database"},
    "mariadb": {"local", "url", "database"},
    "jdbc": {"url", "source", "database"},
    "files": {"path", "url", "endpoint", "region"},
    "rest": {"local", "url", "headers"},
    "cassandra": {"local", "url", "database"},
    "neo4j": {"local", "url"},  # its community edition has one database, `neo4j`
    "events": set(),
}
_DATABASE_HINT = (
    "connection: {{url: '{0}://user:${{PASSWORD}}@host:{1}/database'}}\nor, to try it out: connection: {{local: true}}"
)
_JDBC_HINT = (
    "connection: {url: 'an address that SQLAlchemy takes'}\n"
    "or, on the server of another source: connection: {source: payments, database: loyalty}"
)
_SCHEMES = {
    "postgresql": ("postgresql", "postgres"),
    "mariadb": ("mariadb", "mysql"),
    "files": ("s3",),
    "rest": ("https", "http"),
    "cassandra": ("cassandra",),
    "neo4j": ("neo4j", "neo4j+s", "neo4j+ssc", "bolt", "bolt+s", "bolt+ssc"),
}
_PORTS = {"postgresql": 5432, "mariadb": 3306, "cassandra": 9042, "neo4j": 7687}
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
TELLING = re.compile(r"authorization|cookie|token|secret|passw|signature|api.?key|access.?key", re.IGNORECASE)
_SECRET = re.compile(r"://[^:/@\s]*:([^@/\s]*)@")


def connection_problems(doc: Located, kind: str, within: tuple[Path, ...]) -> list[Problem]:
    """Every mistake in the connection of a source of this kind; files may lie `within` the project, which is the first
    of these folders, or one of the others."""
    problems: list[Problem] = []
    connection = doc.mapping(("connection",), problems)
    if problems:
        return problems
    problems += doc.unknown(("connection",), _ALLOWED[kind])
    before = len(problems)
    local = doc.flag(("connection", "local"), problems)
    texts = {
        name: doc.text(("connection", name), problems)
        for name in ("url", "source", "database", "path", "endpoint", "region")
        if name in connection
    }
    problems += _needed(doc, kind, texts, local) if len(problems) == before else []
    problems += _url(doc, kind, texts.get("url", ""))
    pairs(doc, ("connection", "headers"), problems, _HEADER)
    if kind == "files" and texts.get("path"):
        problems += _reached(doc, texts["path"], within)
    return problems


def _reached(doc: Located, path: str, within: tuple[Path, ...]) -> list[Problem]:
    """Also through a link: what counts is where the folder really is."""
    root, at = within[0].resolve(), doc.place("connection", "path")
    try:
        real = (root / path).resolve()
    except (OSError, RuntimeError, ValueError):  # a circle of links, a NUL in the name
        return [Problem(f"{path!r} can't be followed to a folder", at, "a folder below the project")]
    if ".." in PurePosixPath(path).parts or not any(real.is_relative_to(folder.resolve()) for folder in within):
        whole = "/its/whole/path" if ".." in PurePosixPath(path).parts else real
        hint = f"a folder below the project; or allow it in headrace.yml:   folders: [{whole}]"
        return [Problem(f"{path!r} leads out of the project", at, hint)]
    state = root / ".headrace"
    if real in (root, state) or real.is_relative_to(state / "run"):
        return [Problem(f"{path!r} holds what is not data", at, "a folder of its own below the project")]
    return []


def _needed(doc: Located, kind: str, texts: dict[str, Any], local: bool) -> list[Problem]:
    at = doc.place("connection")
    if kind == "files":
        return _files_needed(doc, texts)
    if kind == "rest" and bool(texts.get("url")) == local:
        needs = "either connection.url or connection.local, not both" if local else "connection.url"
        return [Problem(f"a rest source needs {needs}", at, "connection: {url: 'https://shop.example/api/v1'}")]
    if kind in _PORTS and bool(texts.get("url")) == local:
        needs = "either connection.url or connection.local, not both" if local else "connection.url or connection.local"
        hint = _DATABASE_HINT.format(kind, _PORTS[kind])
        return [Problem(f"a {kind} source needs {needs}", at, hint)]
    if kind == "jdbc" and bool(texts.get("url")) == bool(texts.get("source")):
        both = bool(texts.get("url"))
        needs = (
            "either connection.url or connection.source, not both" if both else "connection.url or connection.source"
        )
        return [Problem(f"a jdbc source needs {needs}", at, _JDBC_HINT)]
    return []


def _files_needed(doc: Located, texts: dict[str, Any]) -> list[Problem]:
    at = doc.place("connection")
    if bool(texts.get("path")) == bool(texts.get("url")):
        needs = "either connection.path or connection.url, not both" if texts.get("path") else "connection.path"
        hint = "connection: {path: data/price-lists}\nor, in a bucket: connection: {url: 's3://bucket/price-lists'}"
        return [Problem(f"a source of files needs {needs}", at, hint)]
    for name in ("endpoint", "region"):
        if texts.get(name) and not texts.get("url"):
            return [Problem(f"connection.{name} belongs to a bucket", doc.place("connection", name), "leave it out")]
    endpoint = texts.get("endpoint", "")
    if endpoint and not re.fullmatch(r"https?://[^/@\s]+/?", endpoint):
        hint = "such as https://storage.example:9000; the bucket stands in connection.url"
        return [Problem(f"{endpoint!r} is no address of a store", doc.place("connection", "endpoint"), hint)]
    return []


def _url(doc: Located, kind: str, url: str) -> list[Problem]:
    at = doc.place("connection", "url")
    if not url:
        return []
    if "://" not in url:
        examples = {"rest": "https://host/api", "files": "s3://bucket/folder"}
        example = examples.get(kind, f"{kind}://user:${{PASSWORD}}@host/database")
        return [Problem(f"{url!r} is not an address", at, f"such as {example}")]
    schemes = _SCHEMES.get(kind, ())
    scheme = url.partition("://")[0]
    if schemes and scheme not in schemes:
        return [Problem(f"a {kind} source can't be reached at {scheme}://", at, f"{schemes[0]}://…")]
    if kind == "rest" and ("?" in url or "#" in url):
        hint = "name them at each table: parameters: {status: paid}"
        return [Problem("parameters don't belong into connection.url", at, hint)]
    secret = _SECRET.search(url)
    if secret and secret[1] and not re.fullmatch(r"\$\{\w+\}", secret[1]):
        hint = "put it into the environment and say ${NAME} here"
        return [Problem("a password must not stand in a project file", at, hint)]
    wrong = tls.problem(kind, url) if kind in ("postgresql", "mariadb") else None
    return [Problem(wrong[0], at, wrong[1])] if wrong else []


def pairs(doc: Located, keys: Keys, problems: list[Problem], names: re.Pattern[str] | None = None) -> Pairs:
    """A mapping of names to texts, such as headers; what looks like a secret must be ${NAME}, or it is a problem."""
    found = []
    for name in doc.mapping(keys, problems):
        at = doc.place(*keys, str(name))
        value = doc.text((*keys, name), problems)
        if names and not names.fullmatch(str(name)):
            problems.append(Problem(f"{str(name)!r} can't name a header", at, "letters, digits and -"))
        if not value.isprintable():
            problems.append(Problem(f"{name} holds characters that can't be sent", at, "keep it on one line"))
        if value and TELLING.search(str(name)) and not re.search(r"\$\{\w+\}", value):
            hint = "put it into the environment and say ${NAME} here"
            problems.append(Problem("a secret must not stand in a project file", at, hint))
        found.append((str(name), value))
    return tuple(found)
