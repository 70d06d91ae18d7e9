"""Whether the lake's store lets exactly one of several writers create a file: every commit of Delta rests on it."""

from __future__ import annotations

import re
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

from headrace.errors import HeadraceError
from headrace.project import Project

if TYPE_CHECKING:
    from obstore.store import S3Store

S3 = ("s3", "s3a")
WRITERS, ROUNDS = 8, 6


def kind(project: Project) -> str:
    """The scheme of the lake's address: s3, hdfs …; empty for a local folder."""
    scheme, found, _ = project.addresses.lake.partition("://")
    return scheme if found else ""


def check(project: Project) -> None:
    """Lets some writers create one object at once, a few times, when the lake is on S3; removes what they made.

    Raises HeadraceError when the store can't be written, or when not exactly one writer was told that it was first:
    two commits could then take the same version, and the rows of one would be gone. A store that fails now and then
    may pass; one that ignores the condition (`If-None-Match: *`) never does.
    """
    if kind(project) not in S3:
        return
    address = project.addresses.lake
    from obstore.exceptions import BaseError

    try:
        store = _open(address)
        with ThreadPoolExecutor(WRITERS) as pool:
            firsts = [_race(store, pool) for _ in range(ROUNDS)]
    except (BaseError, OSError) as error:
        hint = "AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY come from the environment"
        raise HeadraceError(f"the lake at {address} can't be written: {_said(error)}", hint=hint) from None
    if wrong := [n for n in firsts if n != 1]:
        message = f"{wrong[0]} of {WRITERS} writers at once were told that they had created one object in {address}"
        hint = "commits need a store that obeys `If-None-Match: *`, as Amazon S3 does since 2024: rows would be lost"
        raise HeadraceError(message, hint=hint)


def _open(address: str) -> S3Store:
    from obstore.store import S3Store

    bucket, _, prefix = address.partition("://")[2].partition("/")
    # What the environment says comes first, as for delta-rs; an address over http must be allowed by it too.
    return S3Store(bucket, prefix=prefix or None, retry_config={"max_retries": 2})


def _race(store: S3Store, pool: ThreadPoolExecutor) -> int:
    import obstore
    from obstore.exceptions import AlreadyExistsError, BaseError

    path = f"_headrace/first-{uuid.uuid4()}"

    def create(number: int) -> bool:
        try:
            obstore.put(store, path, str(number).encode(), mode="create")
        except AlreadyExistsError:
            return False
        return True

    firsts = sum(pool.map(create, range(WRITERS)))
    with suppress(BaseError, OSError):  # who may write need not be allowed to delete
        obstore.delete(store, path)
    return firsts


def _said(error: Exception) -> str:
    """What the store itself says, if it answered at all."""
    answer = re.search(r"<Message>(.*?)</Message>", str(error), re.DOTALL)
    return answer[1] if answer else str(error).strip().partition("\n")[0] or type(error).__name__
