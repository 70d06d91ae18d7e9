"""`python -m demo --orders N --rate R --seed S`: orders are placed, paid, cooked, delivered, rated; it says so."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from pathlib import Path

from headrace.errors import HeadraceError
from headrace.project import find_root, load


def main() -> None:
    """Runs the services; a HeadraceError becomes its message on stderr and exit status 1."""
    options = _parser().parse_args()
    try:
        _run(options)
    except HeadraceError as error:
        sys.exit("\n".join(problem.render(Path.cwd()) for problem in error.problems))


def _run(options: argparse.Namespace) -> None:
    project = load(find_root(options.directory))
    if options.serve:
        from demo.partner import serve

        serve(project.state / "demo" / "partner.sqlite", project.addresses.source_port("partner"))
        return
    from demo import history
    from demo.live import Live
    from demo.services import Services

    services = Services(project)
    began = time.monotonic()
    loaded = False
    for late in services.there() if options.prepare else (False,):  # a generator's late services prepare themselves
        services.prepare(late)
        if options.prepare:
            loaded = history.load(services, options.seed, options.history, late) or loaded
    spent = {"history": round(time.monotonic() - began, 1)} if loaded else {}
    if options.prepare and options.format == "text":
        print(
            f"history: {options.history:,} orders in {spent['history']} s" if loaded else "history: there already",
            flush=True,
        )
    past, orders = services.counts.changes, 0
    if options.orders or options.forever:
        live = Live(services, options.seed, options.rate)
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, live.stop)
        live.run(None if options.forever else options.orders)
        orders, changes = live.placed, services.counts.changes - past
        spent |= {
            "orders": orders,
            "on_the_road": live.on_the_road,
            "seconds": round(live.seconds, 1),
            "placing_seconds": round(live.placing, 1),
        }
        spent |= {"changes": changes, "changes_per_second": round(live.steady, 1)}
    services.close()
    _say(options.format, spent, services.counts)


def _say(format: str, spent: dict[str, float], counts) -> None:
    if format == "json":
        print(json.dumps({**spent, "tables": counts.rows()}))
        return
    if "orders" in spent:
        print(
            f"{spent['orders']:,} orders placed in {spent['placing_seconds']} s, "
            f"the last step after {spent['seconds']} s, {spent['on_the_road']} still on the road; "
            f"{spent['changes']:,} changes, {spent['changes_per_second']:,} a second"
        )
    for line in counts.lines():
        print(f"  {line}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m demo", description="The services of a food-delivery company: they write, then say what they wrote."
    )
    parser.add_argument(
        "--orders", type=int, default=0, metavar="N", help="place so many orders, one by one, in real time"
    )
    parser.add_argument(
        "--rate",
        type=float,
        default=5.0,
        metavar="R",
        help="orders per second; one order is some 20 changes (rows and events) (default 5)",
    )
    parser.add_argument(
        "--seed", type=int, default=1, metavar="S", help="what happens to an order follows from it (default 1)"
    )
    parser.add_argument("--forever", action="store_true", help="place orders until interrupted")
    parser.add_argument(
        "--prepare", action="store_true", help="first load the history of the last 14 days, if there is none"
    )
    parser.add_argument("--serve", action="store_true", help="answer who asks the partner for promotions, and no more")
    parser.add_argument("--history", type=int, default=2000, metavar="N", help="orders of the history (default 2000)")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="how to say what was written")
    parser.add_argument(
        "-C", dest="directory", type=Path, default=Path(), metavar="DIR", help="the project, if not the current folder"
    )
    return parser


if __name__ == "__main__":
    main()
