"""Tags of a contract: which columns are personal. What only looks like such a tag is a mistake, not an open column."""

from __future__ import annotations

import re
from difflib import get_close_matches

from headrace.errors import Problem
from headrace.project.located import Located

PERSONAL = ("personal", "pii")  # said in `tags` or as `classification`; ODCS leaves the words to its users
_NOT = re.compile(r"(?:non|not|im|un)[\s_-]*personal", re.IGNORECASE)
_WORDS = re.compile(r"[a-z]+")
_NEAR = 0.87  # finds persnal and presonal, lets person and personnel be


def is_personal(doc: Located, keys: tuple[object, ...], name: str, problems: list[Problem]) -> bool:
    """Whether a column is tagged as personal, itself or a part of it (`properties`, `items`)."""
    said = [_means(doc.get(*keys, "classification"), doc, (*keys, "classification"), name, problems)]
    tags = doc.get(*keys, "tags")
    if tags is not None and not isinstance(tags, list):
        problems.append(Problem(f"column {name!r}: tags must be a list", doc.place(*keys, "tags"), "tags: [personal]"))
    for index, tag in enumerate(tags if isinstance(tags, list) else []):
        said.append(_means(tag, doc, (*keys, "tags", index), name, problems))
    parts = doc.get(*keys, "properties")
    for index, part in enumerate(parts if isinstance(parts, list) else []):
        if isinstance(part, dict):
            said.append(is_personal(doc, (*keys, "properties", index), f"{name}.{part.get('name')}", problems))
    if isinstance(doc.get(*keys, "items"), dict):
        said.append(is_personal(doc, (*keys, "items"), name, problems))
    return any(said)


def astray(doc: Located) -> list[Problem]:
    """A problem where the whole contract or the whole table is tagged: it would mask nothing."""
    found = []
    for keys in (("tags",), ("schema", 0, "tags"), ("schema", 0, "classification")):
        value = doc.get(*keys)
        listed = value if isinstance(value, list) else [value]
        for index, tag in enumerate(listed):
            if isinstance(tag, str) and tag.strip().lower() in PERSONAL:
                place = doc.place(*keys, index) if isinstance(value, list) else doc.place(*keys)
                message = f"{tag!r} belongs to a column: of a whole table it masks nothing"
                found.append(Problem(message, place, "- {name: email, logicalType: string, tags: [personal]}"))
    return found


def _means(value: object, doc: Located, keys: tuple[object, ...], name: str, problems: list[Problem]) -> bool:
    if not isinstance(value, str):
        return False
    word = value.strip().lower()
    if word in PERSONAL:
        return True
    near = bool(get_close_matches(word, PERSONAL, n=1, cutoff=_NEAR)) or set(_WORDS.findall(word)) & set(PERSONAL)
    if near and not _NOT.search(word):
        message = f"column {name!r}: {value!r} does not say that it is personal"
        problems.append(
            Problem(message, doc.place(*keys), f"did you mean {PERSONAL[0]!r}? Nothing else masks a column.")
        )
    return False
