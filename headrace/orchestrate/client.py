"""The few calls of Airflow's REST API that the pulse makes. Standard library only: the pulse must stay small."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from headrace.errors import HeadraceError
from headrace.orchestrate import names
from headrace.project import Project

USER = "admin"
TIMEOUT = 10.0  # seconds; Airflow runs at low priority and may be slow to answer
# A run is looked for from this much before an announcement: Airflow's clock may be another machine's.
CLOCKS = timedelta(seconds=5)


@dataclass(frozen=True)
class View:
    """What Airflow knows of one view: the asset that starts it, whether it is paused or busy, and its last run."""

    asset_id: int
    paused: bool
    busy: bool
    last_run: datetime | None
    took: timedelta = timedelta(0)  # from start to end, that last run


class Airflow:
    """One project's Airflow. Every method raises HeadraceError when it is away or refuses."""

    def __init__(self, project: Project, timeout: float = TIMEOUT) -> None:
        self.project = project
        self.timeout = timeout
        self._token = ""

    def views(self, wanted: Iterable[str], since: datetime) -> dict[str, View]:
        """The state of those wanted views that Airflow has a DAG for. `last_run` looks back to `since` only."""
        dag_ids = {names.batch_dag(view): view for view in wanted}
        dags = {d["dag_id"]: d for d in self._all("dags?tags=batch", "dags") if not d["is_stale"]}
        pattern = f"headrace://{self.project.settings.name}/new-data/"
        assets = {a["uri"]: a for a in self._all(f"assets?uri_pattern={pattern}", "assets")}
        here = [dag_id for dag_id in dag_ids if dag_id in dags]
        busy = {r["dag_id"] for r in self._runs(here, states=["queued", "running"])}
        last: dict[str, tuple[datetime, timedelta]] = {}
        for run in self._runs(here, run_after_gte=(since - CLOCKS).isoformat()):
            one = datetime.fromisoformat(run["run_after"]), _took(run)
            last[run["dag_id"]] = max(one, last.get(run["dag_id"], one))
        found = {}
        for dag_id in here:
            asset = assets.get(names.due_uri(self.project, dag_ids[dag_id]))
            if asset and any(d["dag_id"] == dag_id for d in asset["scheduled_dags"]):
                at, took = last.get(dag_id, (None, timedelta(0)))
                found[dag_ids[dag_id]] = View(asset["id"], dags[dag_id]["is_paused"], dag_id in busy, at, took)
        return found

    def announce(self, asset_id: int, reasons: dict[str, int]) -> None:
        """One event on a view's asset: Airflow starts one run of it. `reasons` is shown with the event."""
        self.call("POST", "assets/events", {"asset_id": asset_id, "extra": {"new positions": reasons}})

    def active(self, dag_ids: Iterable[str]) -> set[str]:
        """Those of the DAGs that have a queued or running run."""
        return {r["dag_id"] for r in self._runs(list(dag_ids), states=["queued", "running"])}

    def start(self, dag_id: str, note: str) -> bool:
        """Starts a run of a DAG; False when it is not there (yet) or paused."""
        try:
            if self.call("GET", f"dags/{dag_id}")["is_paused"]:
                return False
            self.call("POST", f"dags/{dag_id}/dagRuns", {"logical_date": None, "note": note})
        except HeadraceError as error:
            if "404" in str(error):
                return False
            raise
        return True

    def _runs(self, dag_ids: list[str], **filters: object) -> list[dict]:
        if not dag_ids:
            return []
        body = {"dag_ids": dag_ids, "page_limit": 1000, "order_by": "-run_after", **filters}
        return self.call("POST", "dags/~/dagRuns/list", body)["dag_runs"]

    def _all(self, path: str, key: str) -> list[dict]:
        found: list[dict] = []
        while True:
            page = self.call("GET", f"{path}&limit=100&offset={len(found)}")
            found += page[key]
            if not page[key] or len(found) >= page["total_entries"]:
                return found

    def call(self, method: str, path: str, body: object = None) -> dict:
        """One request below /api/v2, logged in; raises HeadraceError when Airflow is away or refuses."""
        self._token = self._token or self._log_in()
        try:
            return self._send(method, f"api/v2/{path}", body, self._token)
        except urllib.error.HTTPError as error:
            if error.code != 401:
                raise self._refused(method, path, error) from None
        self._token = self._log_in()
        try:
            return self._send(method, f"api/v2/{path}", body, self._token)
        except urllib.error.HTTPError as error:
            raise self._refused(method, path, error) from None

    def _log_in(self) -> str:
        secret = self.project.addresses.secret("HEADRACE_AIRFLOW_PASSWORD")
        try:
            return self._send("POST", "auth/token", {"username": USER, "password": secret})["access_token"]
        except urllib.error.HTTPError as error:
            raise self._refused("POST", "auth/token", error) from None

    def _send(self, method: str, path: str, body: object = None, token: str = "") -> dict:
        address = f"{self.project.addresses.airflow}/{path}"
        request = urllib.request.Request(address, method=method, headers={"Accept": "application/json"})
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        # Loopback or a cluster's own address: a proxy of the environment has nothing to do with it.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=self.timeout) as answer:
                text = answer.read()
        except urllib.error.HTTPError:
            raise
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise HeadraceError(f"Airflow at {self.project.addresses.airflow} does not answer: {reason}") from None
        return json.loads(text) if text else {}

    def _refused(self, method: str, path: str, error: urllib.error.HTTPError) -> HeadraceError:
        text = error.read().decode(errors="replace")[:300]
        return HeadraceError(f"Airflow refused {method} {path.partition('?')[0]} with {error.code}: {text}")


def _took(run: dict) -> timedelta:
    began, ended = run.get("start_date"), run.get("end_date")
    return datetime.fromisoformat(ended) - datetime.fromisoformat(began) if began and ended else timedelta(0)


def now() -> datetime:
    return datetime.now(UTC)
