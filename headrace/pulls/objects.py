"""Objects of a bucket (S3's API): each new or changed one is pulled once, in order of names.

A store shows an object when it is whole, so nothing has to settle; and it names each content by a tag, so what was
pulled is not fetched again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from obstore.exceptions import BaseError, NotFoundError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

from headrace.errors import HeadraceError
from headrace.project import Source, Table
from headrace.pulls.files import READERS, unfinished
from headrace.pulls.pulled import Line, Report, State

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

_CLIENT: ClientConfig = {"timeout": "60s", "connect_timeout": "10s"}
_RETRIES: RetryConfig = {
    "max_retries": 4,
    "retry_timeout": timedelta(seconds=60),
    "backoff": {"init_backoff": timedelta(milliseconds=200), "max_backoff": timedelta(seconds=5), "base": 2},
}
_REFUSED = re.compile(r"status code: 40[13]")  # of a listing the library has no error of its own for this
_WILD = frozenset("*?[")


def opened(url: str, source: Source) -> S3Store:
    """The store at s3://KEY:SECRET@bucket/prefix; without a key, as the environment of the process says (AWS_…)."""
    parts = urlsplit(url)
    settings: dict[str, Any] = {"region": source.region} if source.region else {}
    if source.endpoint:
        settings |= {"endpoint": source.endpoint, "virtual_hosted_style_request": False}
    if parts.username:
        settings |= {
            "access_key_id": unquote(parts.username),
            "secret_access_key": unquote(parts.password or ""),
        }
    client: ClientConfig = {**_CLIENT, "allow_http": source.endpoint.startswith("http://")}
    prefix = parts.path.strip("/") or None
    return S3Store(
        parts.netloc.rpartition("@")[2], prefix=prefix, client_options=client, retry_config=_RETRIES, **settings
    )  # type: ignore[arg-type]


def listing(store: S3Store, source: Source, pattern: str = "**") -> list[dict[str, Any]]:
    """Name (`path`), `size` and tag (`e_tag`) of each object that a glob below the prefix matches, in order of names.

    Raises HeadraceError with what the store said when it does not answer, or refuses.
    """
    fixed = pattern.split("/")[:-1]
    fixed = fixed[: next((i for i, part in enumerate(fixed) if _WILD & set(part)), len(fixed))]
    try:
        found = [one for batch in store.list("/".join(fixed) or None) for one in batch]
    except BaseError as error:
        raise refused(source, error) from None
    there = [dict(one) for one in found if matches(one["path"], pattern) and not unfinished(one["path"].split("/")[-1])]
    return sorted(there, key=lambda one: one["path"])


def matches(name: str, pattern: str) -> bool:
    """Whether a glob matches a name as it does in a folder: * within one level, ** any number of levels."""
    return _matches(name.split("/"), pattern.split("/"))


def _matches(names: list[str], patterns: list[str]) -> bool:
    if not patterns or not names:
        return not patterns and not names
    first, *others = patterns
    if first == "**":
        return any(_matches(names[skipped:], others or ["*"]) for skipped in range(len(names)))
    return fnmatchcase(names[0], first) and _matches(names[1:], others)


def steps(
    url: str, source: Source, table: Table, state: State, report: Report
) -> Iterator[tuple[Iterator[Line], State]]:
    """One step per new or changed object. What can't be read now is named in `report` and stays to be pulled.

    An object is known by name and tag; a changed one is pulled whole. Raises HeadraceError when the store does not
    answer.
    """
    store = opened(url, source)
    for one in listing(store, source, table.origin):
        name = one["path"]
        if state.files.get(name) == _tag(one):
            continue
        shown = "/".join(filter(None, [store.config.get("bucket"), store.prefix, name]))
        try:
            got = store.get(name)
            content, tag = bytes(got.bytes()), _tag(dict(got.meta))
            lines = READERS[table.format](content, table.contract, name)
        except NotFoundError:
            report.skipped.append(f"{shown}: it went away")
            continue
        except PermissionDeniedError:
            report.skipped.append(f"{shown}: the store refuses to give it (s3:GetObject)")
            continue
        except BaseError as error:
            raise refused(source, error) from None
        except ValueError as error:
            report.skipped.append(f"{shown}: {error}")
            continue
        state = state.next(files=state.files | {name: tag})
        yield lines, state


def probe(url: str, source: Source) -> None:
    """Raises HeadraceError when the bucket can't be listed."""
    try:
        next(iter(opened(url, source).list(chunk_size=1)), None)
    except BaseError as error:
        raise refused(source, error) from None


def refused(source: Source, error: Exception) -> HeadraceError:
    """What a store said, without the address or a secret in it."""
    bucket = urlsplit(source.url).netloc.rpartition("@")[2]
    said, hint = _said(error)
    return HeadraceError(f"source {source.name!r}: bucket {bucket!r} {said}", place=source.place, hint=hint)


def _said(error: Exception) -> tuple[str, str]:
    text = str(error)
    if isinstance(error, NotFoundError) or "NoSuchBucket" in text:
        return "is not there", "look at connection.url, and at connection.endpoint and region"
    if isinstance(error, PermissionDeniedError | UnauthenticatedError) or _REFUSED.search(text):
        return "refuses us", "the key needs s3:ListBucket on the bucket and s3:GetObject on what is in it"
    return "can't be reached", "look at connection.endpoint; is the store running?"


def _tag(one: dict[str, Any]) -> str:
    return str(one.get("e_tag") or f"{one['size']} {one['last_modified']}")
