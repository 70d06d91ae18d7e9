"""`headrace rebuild`: the serving database filled anew from the lake and the bus."""

from __future__ import annotations

import sys

from headrace.cli.context import project


def command() -> None:
    """Fill the serving database anew: every view from the lake, every alert from the bus.

    For a serving database that was lost (`headrace up` makes an empty one) or that was restored from an old copy. What
    readers see is replaced view by view; alert views are emptied and fill again, in the order of their topics. The
    record of earlier runs, certificates and quality checks is kept where it is still there, and gone where it was lost.
    """
    from headrace.audit.rebuild import rebuild

    done = rebuild(project(), lambda text: print(text, file=sys.stderr, flush=True))
    print(f"{done} views are there again")
