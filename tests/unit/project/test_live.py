"""Live views as the project knows them: what is refused when one is run."""

from __future__ import annotations

import pytest

from headrace.errors import HeadraceError
from headrace.project import load
from headrace.project.live import live_view

FREEZE = "customProperties:\n  - {property: schemaChange, value: freeze}\n"


def test_a_frozen_contract_is_refused_by_a_run_too(folder):
    folder.write("jobs/batch/visits_per_page.sql", "-- live: true\nSELECT COUNT(*) AS n FROM visits\n")
    project = load(folder.root)
    assert live_view(project, project.job("visits_per_page")).table.name == "visits"
    contract = (folder.root / "schemas/visits.yaml").read_text()
    folder.write("schemas/visits.yaml", contract.replace("customProperties:\n", FREEZE))
    project = load(folder.root)
    with pytest.raises(HeadraceError, match="schemaChange freeze"):
        live_view(project, project.job("visits_per_page"))


def test_a_job_that_reads_a_live_view_is_left_out(folder):
    folder.write("jobs/batch/visits_per_page.sql", "-- live: true\nSELECT COUNT(*) AS n FROM visits\n")
    folder.write("jobs/batch/more.sql", "SELECT n FROM visits_per_page\n")
    assert [job.name for job in load(folder.root).jobs] == ["visits_per_page", "long_visit"]
