"""Looks into a bucket for tables: the first objects of each format are fetched and looked at as files of a folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from obstore.exceptions import BaseError

from headrace.errors import HeadraceError
from headrace.project.found import FoundSource
from headrace.pulls import objects
from headrace.sources import ask_files
from headrace.sources.asked import Asked


def bucket(asked: Asked) -> FoundSource:
    """The tables of the objects right below an address s3://bucket/folder. Raises HeadraceError when there is none."""
    source = asked.source
    store = objects.opened(asked.project.addresses.source(source), source)
    there = [
        one for one in objects.listing(store, source, "*") if PurePosixPath(one["path"]).suffix in ask_files.FORMATS
    ]
    if not there:
        hint = f"it needs an object to look at, ending in {', '.join(ask_files.FORMATS)}"
        raise HeadraceError("nothing right below this address can be read", hint=hint)
    with TemporaryDirectory() as folder:
        for path in ask_files.first_of(Path(folder) / one["path"] for one in there):
            try:
                path.write_bytes(_content(store, path))
            except BaseError as error:
                raise objects.refused(source, error) from None
        found = ask_files.folder(replace(asked, url=folder))
    connection = {"url": asked.url} | ({"endpoint": asked.endpoint} if asked.endpoint else {})
    return replace(found, connection=connection, about=f"Objects of {asked.name}: each new or changed one is pulled.")


def _content(store: objects.S3Store, path: Path) -> bytes:
    """All of an object that has to be read whole, the beginning of another."""
    if path.suffix in ask_files.LINES:
        got = store.get(path.name, options={"range": (0, ask_files.BYTES)})
    else:
        got = store.get(path.name)
    return bytes(got.bytes())
