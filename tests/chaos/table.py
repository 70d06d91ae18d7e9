"""The cells of a run as a table, and how long the next right alert took."""

from __future__ import annotations

from typing import Any

from tests.chaos.cells import FAULTS, ROAD


def markdown(results: list[dict[str, Any]]) -> str:
    """Component × fault: the longest recovery in seconds, ✗ where something was not exact; then the quantiles."""
    components = list(dict.fromkeys(r["cell"][0] for r in results))
    lines = [f"| | {' | '.join(FAULTS)} |", f"|---|{'---|' * len(FAULTS)}"]
    for component in sorted(components):
        row = []
        for fault in FAULTS:
            here = [r for r in results if r["cell"][:2] == [component, fault]]
            worst = f"{max(r['seconds'] for r in here):.1f}" if here else ""
            row.append(f"✗ {worst}" if any(r["wrong"] for r in here) else worst)
        lines.append(f"| {component} | {' | '.join(row)} |")
    wrong = sum(bool(r["wrong"]) for r in results)
    missed = sum(not r["hit"] for r in results)
    lines.append(f"\n{len(results)} cells, {wrong} not exact, in {missed} the moment did not come. The longest that an")
    lines.append("alert took, from the COMMIT of its row, of components that alerts depend on:\n")
    road = [r for r in results if r["cell"][0] in ROAD]
    for name, chosen in (
        ("kill of the TaskManager", [r for r in road if r["cell"][:2] == ["flink-taskmanager", "kill"]]),
        ("all other kills", [r for r in road if r["cell"][1] == "kill" and r["cell"][0] != "flink-taskmanager"]),
        ("faults of 12 s", [r for r in road if r["cell"][1] != "kill"]),
    ):
        if chosen:
            seconds = sorted(r["seconds"] for r in chosen)
            lines.append(f"* {name}: p50 {_quantile(seconds, 0.5):.1f} s, p99 {_quantile(seconds, 0.99):.1f} s")
    return "\n".join(lines)


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
