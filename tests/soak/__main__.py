"""`make soak`: the example company with every part, under load for MINUTES, looked at each minute.

    make soak MINUTES=30                  first finds the highest rate that the machine holds, then works at it
    make soak MINUTES=30 ORDERS=12        at this many orders a second; one is some 20 changes

A rate is held when everything is in every view, batch views too, within HELD seconds after the load ends. Memory, open
files, threads, what databases keep for us, folders and how far everything is behind must stay bounded: the median of
the last third of the run is compared with that of the middle third. What is forgotten by age, Flink's state and the
speed layer, may grow as much from the middle third to the last as it did before. The lake and the topics grow by
design: of those it says the bytes per change. Exit status 1 when something grew that must not, when something is behind
in the end, or when a view differs from its SQL over a copy of the sources.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path

from headrace.local import ports
from tests.e2e import oracle
from tests.e2e.company import Company
from tests.soak.look import BOUNDED, FORGOTTEN, STATE, look

ROOT = Path(__file__).parents[2]
STEPS = (6, 10, 16, 25, 40)  # orders a second that are tried
TRY = 90.0  # seconds at each
HELD = 60.0  # seconds until everything is in every view after a step
SHARE = 0.8  # of the highest rate that was held: a machine that is never late has something left
GROWTH, SLACK = 0.10, {"files": 40, "threads": 40}  # a third may have so much more than the one before it


def main() -> None:
    """Up, the highest rate, the run, the verdict, down."""
    parser = argparse.ArgumentParser("python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--orders", type=float, default=None, help="orders a second (default: found out)")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    company = Company(ROOT, Path(tempfile.mkdtemp(prefix="headrace-soak-")), ports.suggestion(30000))
    try:
        company.up()
        company.wait()
        rate = given.orders or highest(company) * SHARE
        samples, written = run(company, rate, given.minutes * 60)
        company.wait()
        wrong = {**grown(samples), **oracle.differences(company.project)}
        print(table(samples, written))
        for name, said in wrong.items():
            print(f"✗ {name}: {said}")
        print("bounded, and every view equals its SQL over a copy of the sources" if not wrong else "")
    finally:
        company.down()
    sys.exit(bool(wrong))


def highest(company: Company) -> float:
    """The last of STEPS that was held."""
    held = STEPS[0]
    for rate in STEPS:
        with company.busy(rate) as generator:
            time.sleep(TRY)
            generator.send_signal(signal.SIGINT)
            done = company.finish(generator)
        began = time.monotonic()
        company.wait()
        seconds = time.monotonic() - began
        said = f"everything in every view {seconds:.0f} s later"
        print(f"{rate:3} orders/s: {done['changes_per_second']:.0f} changes/s, {said}", flush=True)
        if seconds > HELD:
            break
        held = rate
    return held


def run(company: Company, rate: float, seconds: float) -> tuple[list[dict[str, float]], dict[str, float]]:
    """One look a minute while orders come in; and what the generator says it wrote."""
    samples, began = [], time.monotonic()
    with company.busy(rate) as generator:
        while (at := time.monotonic()) < began + seconds:
            samples.append(look(company))
            print(json.dumps({"minute": round((at - began) / 60, 1), **samples[-1]}), flush=True)
            time.sleep(max(0.0, 60 - (time.monotonic() - at)))
        generator.send_signal(signal.SIGINT)
        written = company.finish(generator)
    return samples, written


def thirds(samples: list[dict[str, float]], name: str) -> list[float]:
    """The median in each third of the run."""
    values, size = [s[name] for s in samples], max(1, len(samples) // 3)
    return [statistics.median(part) for part in (values[:size], values[size : 2 * size], values[-size:])]


def grown(samples: list[dict[str, float]]) -> dict[str, str]:
    """What must be bounded and is more in the last third than in the middle one."""
    found = {}
    for name, least in BOUNDED.items():
        _, middle, last = thirds(samples, name)
        if last > middle * (1 + GROWTH) + SLACK.get(name, 0) and last > least:
            found[name] = f"{middle:,.0f} in the middle third, {last:,.0f} in the last"
    for name in FORGOTTEN:
        first, middle, last = thirds(samples, name)  # each a third of the run after the one before: so much was added
        if last - middle > (middle - first) * (1 + GROWTH) + 1:
            found[name] = (
                f"grew by {middle - first:,.0f} from the first to the middle third, then by {last - middle:,.0f}"
            )
    return found


def table(samples: list[dict[str, float]], written: dict[str, float]) -> str:
    """Median per third, and the most, of everything that was looked at."""
    lines = [f"{written['changes']:,} changes, {written['changes_per_second']:,.0f} a second", ""]
    lines += ["| | first third | middle | last | most |", "|---|---|---|---|---|"]
    for name in samples[0]:
        shown = [*thirds(samples, name), max(s[name] for s in samples)]
        lines.append(f"| {name} | {' | '.join(f'{v:,.0f}' for v in shown)} |")
    first, last = samples[0], samples[-1]
    many = written["changes"] * (len(samples) - 1) / len(samples)
    grew = {n: 1e6 * (last[n] - first[n]) / many for n in ("lake MB", "topics MB", STATE)}
    lines.append(f"\nbytes per change: {', '.join(f'{n[:-3]} {v:,.0f}' for n, v in grew.items())}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
