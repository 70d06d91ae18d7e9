"""What a source has, asked of the source itself: tables and columns, to write its files from (`headrace add source`).

A kind that can be asked has its function in ASKERS; a new one is one line there, and one in SCHEMES if an address
names it. Each gives a FoundSource and changes nothing at the source.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from headrace.errors import HeadraceError, did_you_mean
from headrace.project import Project
from headrace.project.connection import TELLING
from headrace.project.found import FoundSource
from headrace.project.source import KINDS
from headrace.sources import ask_database, ask_files, ask_rest
from headrace.sources.asked import Asked


def _cassandra(asked: Asked) -> FoundSource:
    from headrace.sources import ask_cassandra  # with its driver, which takes a moment

    return ask_cassandra.tables(asked)


def _neo4j(asked: Asked) -> FoundSource:
    from headrace.sources import ask_neo4j  # as above

    return ask_neo4j.graph(asked)


def _files(asked: Asked) -> FoundSource:
    if "://" not in asked.url:
        return ask_files.folder(asked)
    from headrace.sources import ask_objects  # as above

    return ask_objects.bucket(asked)


# kind → the function that asks a source of that kind
ASKERS: dict[str, Callable[[Asked], FoundSource]] = {
    "postgresql": ask_database.captured,
    "mariadb": ask_database.captured,
    "jdbc": ask_database.pulled,
    "files": _files,
    "rest": ask_rest.service,
    "cassandra": _cassandra,
    "neo4j": _neo4j,
}
# beginning of an address → kind
SCHEMES = {
    "postgresql": "postgresql",
    "postgres": "postgresql",
    "mariadb": "mariadb",
    "mysql": "mariadb",
    "https": "rest",
    "http": "rest",
    "cassandra": "cassandra",
    "s3": "files",
    **dict.fromkeys(("neo4j", "neo4j+s", "neo4j+ssc", "bolt", "bolt+s", "bolt+ssc"), "neo4j"),
}
_EXAMPLES = {
    "postgresql": "'postgresql://reader:${{{0}_PASSWORD}}@host:5432/database'",
    "mariadb": "'mariadb://reader:${{{0}_PASSWORD}}@host:3306/database'",
    "jdbc": "--pull 'postgresql://reader:${{{0}_PASSWORD}}@host:5432/database'",
    "files": "./folder, or 's3://KEY:${{{0}_SECRET}}@bucket/folder'",
    "rest": "https://host/api/meals",
    "cassandra": "'cassandra://reader:${{{0}_PASSWORD}}@host:9042/keyspace'",
    "neo4j": "'neo4j://reader:${{{0}_PASSWORD}}@host:7687/neo4j'",
}
_ALWAYS_PULLED = {"files", "rest", "cassandra", "neo4j"}
_NAMED = re.compile(r"\$\{\w+\}")


def ask(
    project: Project,
    name: str,
    where: str,
    *,
    tables: tuple[str, ...] = (),
    pull: bool = False,
    headers: tuple[str, ...] = (),
    endpoint: str = "",
) -> FoundSource:
    """What is at `where`: an address, a folder, or a kind whose embedded server runs already.

    Raises HeadraceError, without a secret in it, when that is nothing to be asked, can't be reached, refuses us, or has
    no table that `tables` (patterns such as sales.*) match.
    """
    asked = replace(_whom(project, name, where, pull), tables=tables)
    if headers and asked.kind != "rest":
        raise HeadraceError(f"a source of kind {asked.kind} has no headers", hint="leave --header out")
    if endpoint and not asked.url.startswith("s3://"):
        raise HeadraceError("only a bucket (s3://…) has an endpoint", hint="leave --endpoint out")
    asked = replace(asked, endpoint=endpoint, headers=tuple(_header(text) for text in headers))
    try:
        found = ASKERS[asked.kind](asked)
    except HeadraceError as error:  # its file, at which others point, is not there
        raise HeadraceError(*(replace(p, place=None) for p in error.problems)) from None
    matching = tuple(t for t in found.tables if asked.wants(t.name, t.origin))
    if not matching:
        message = f"no table matches {', '.join(tables)}" if tables and found.tables else "there is no table to take"
        there = [t.origin for t in found.tables]
        raise HeadraceError(message, hint=did_you_mean(tables[0], there) if tables and there else found.about)
    if all(t.skip for t in matching):
        raise HeadraceError(*(f"{t.origin} can't be taken: {t.skip}" for t in matching))
    return replace(found, tables=matching)


def _whom(project: Project, name: str, where: str, pull: bool) -> Asked:
    scheme, separator, _ = where.partition("://")
    if separator:
        kind = SCHEMES.get(scheme.lower(), "")
        if pull and kind in _ALWAYS_PULLED:
            raise HeadraceError(f"a source of kind {kind} is pulled anyway", hint="leave --pull out")
        kind = "jdbc" if pull else kind
        if not kind:
            hint = f"{did_you_mean(scheme, SCHEMES)}\nfor another database write lake/sources/{name}.yml, kind: jdbc"
            raise HeadraceError(f"no kind of source is reached at {scheme}://", hint=hint)
        return Asked(project, name, kind, _open(name, where))
    path = Path(where).expanduser()
    if path.exists() or where.startswith((".", "/", "~")):
        return Asked(project, name, "files", where)
    if where not in KINDS:
        hint = f"{did_you_mean(where, KINDS)}\nor an address, such as {_example('postgresql', name)}, or a folder"
        shown = "that" if "@" in where else repr(where)  # it may hold a password
        raise HeadraceError(f"{shown} is no kind of source, no address and no folder", hint=hint)
    if where not in ASKERS:
        hint = f"write lake/sources/{name}.yml and a contract for each table"
        raise HeadraceError(f"a source of kind {where} can't be asked for its tables", hint=hint)
    known = next((s for s in project.sources if s.name == name and s.kind == where and s.local), None)
    known = None if where == "rest" else known  # its file does not say which path is meant
    if known:
        return Asked(project, name, where, local=True)
    hint = f"headrace add source {name} {_example(where, name)}"
    raise HeadraceError(f"where is the {where} source {name!r}? Its address is needed to ask it", hint=hint)


def _open(name: str, url: str) -> str:
    """The address, in the words of a source's file; raises HeadraceError when a secret stands in it, not its name."""
    scheme, _, rest = url.partition("://")
    url = f"{ {'postgres': 'postgresql'}.get(scheme, scheme) }://{rest}"
    example = _example(SCHEMES.get(scheme, "rest"), name)
    try:
        parts = urlsplit(url)
    except ValueError:  # its text may hold the password
        raise HeadraceError("this is not an address", hint=example) from None
    plain = rest.partition("?")[0]  # a password may hold a / that should have been quoted; a path of a service an @
    before, at, _ = (parts.netloc if parts.scheme in ("http", "https") else plain).rpartition("@")
    user, colon, password = before.partition(":")
    secret = f"{name.upper()}_PASSWORD"
    if at and colon and not _NAMED.fullmatch(password):
        hint = (
            "put it into the environment, and name it in single quotes, so that the shell leaves the name:\n"
            f"export {secret}=…\nheadrace add source {name} '{scheme}://{user}:${{{secret}}}@{rest[len(before) + 1 :]}'"
        )
        raise HeadraceError("a password must not stand in an address: it would be written to a file", hint=hint)
    for word, value in parse_qsl(parts.query):
        if TELLING.search(word) and not _NAMED.search(value):
            raise HeadraceError(
                f"{word} in the address looks like a secret",
                hint=f"put it into the environment and say {word}=${{NAME}}",
            )
    try:
        _ = parts.port
    except ValueError:
        raise HeadraceError("this is not an address: its port is no number", hint=example) from None
    return url


def _example(kind: str, name: str) -> str:
    return _EXAMPLES.get(kind, "'ADDRESS'").format(name.upper())


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise HeadraceError("a header is NAME: VALUE", hint="--header 'Authorization: Bearer ${TOKEN}'")
    if TELLING.search(name) and not _NAMED.search(value):
        hint = f"put it into the environment: --header '{name.strip()}: Bearer ${{TOKEN}}', in single quotes"
        raise HeadraceError(f"the value of {name.strip()} must not stand in a file", hint=hint)
    return name.strip(), value.strip()
