"""Events as a buggy service sends them: each of these must end in quarantine with its reason."""

from __future__ import annotations

import json
from random import Random
from typing import Any


def broken(value: dict[str, Any], random: Random) -> bytes:
    """The event with one thing wrong: not JSON, not an object, a wrong type, or without a required column."""
    wrong = {**value, "event_id": f"broken-{value['event_id']}"}
    kind = random.choice(("cut off", "not text", "a list", "wrong type", "bad time", "missing"))
    if kind == "cut off":
        return json.dumps(wrong).encode()[:-20]
    if kind == "not text":
        return b"\xff\xfe\x00" + json.dumps(wrong).encode()
    if kind == "a list":
        return json.dumps([wrong]).encode()
    if kind == "wrong type":
        wrong["courier_id" if "courier_id" in wrong else "stars"] = "many"
    elif kind == "bad time":
        wrong["occurred_at"] = "yesterday"
    else:
        del wrong["event_id"]
    return json.dumps(wrong, ensure_ascii=False).encode()
