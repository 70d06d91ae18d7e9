"""`headrace check` knows the columns that came since the contract was written, from the copy of their record."""

from __future__ import annotations

from pathlib import Path

from headrace.project import Column, inspect
from headrace.project.observed import Added, Observed, keep, kept

CONTRACT = """schema:
  - name: visits
    properties:
      - {name: id, logicalType: integer, primaryKey: true}
"""
SEEN = Observed(("id", "tip"), (1, "2"), {"tip": Added(Column("tip", "integer"), "visits/0/1", "2026-01-01", 1)})


def test_check_knows_observed_columns_in_batch_views(tmp_path: Path) -> None:
    for name, text in {
        "headrace.yml": "name: seen\n",
        "schemas/visits.yaml": CONTRACT,
        "lake/sources/shop.yml": "kind: postgresql\nconnection: {local: true}\ntables: {visits: public.visits}\n",
        "jobs/batch/tips.sql": "SELECT SUM(tip) AS tips FROM visits\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    def wrong() -> list[str]:
        project, problems = inspect(tmp_path)
        assert kept(project.state, "visits") in (SEEN, Observed())
        return [p.place.path.name for p in problems if p.place]

    assert wrong() == ["tips.sql"]
    keep(tmp_path / ".headrace", "visits", SEEN)
    assert wrong() == []
    (tmp_path / "schemas/visits.yaml").write_text(
        CONTRACT + "customProperties:\n  - {property: schemaChange, value: freeze}\n"
    )
    assert wrong() == ["tips.sql"]
    (tmp_path / ".headrace/observed/visits.json").write_text("{")
    assert wrong() == ["tips.sql"]
