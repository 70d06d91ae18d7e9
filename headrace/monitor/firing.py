"""The alerts that are open, for whoever looks at a terminal."""

from __future__ import annotations

from typing import Any

import httpx

from headrace.project import Project

_ABOUT = ("table", "view", "name", "source", "server", "look")


def firing(project: Project) -> list[dict[str, Any]] | None:
    """Alertmanager's open alerts, those that page first: alert, severity, about, since, summary, runbook. None where
    there is no Alertmanager on this machine."""
    address = f"http://127.0.0.1:{project.addresses.port('alertmanager')}/api/v2/alerts?silenced=false&inhibited=false"
    try:
        with httpx.Client(trust_env=False, timeout=5) as client:  # loopback never goes through a proxy
            found = client.get(address).raise_for_status().json()
    except httpx.HTTPError:
        return None
    rows = [
        {
            "alert": alert["labels"]["alertname"],
            "severity": alert["labels"].get("severity", ""),
            "about": next((alert["labels"][n] for n in _ABOUT if alert["labels"].get(n)), ""),
            "since": alert["startsAt"][:19].replace("T", " "),
            "summary": alert["annotations"].get("summary", ""),
            "runbook": alert["annotations"].get("runbook_url", ""),
        }
        for alert in found
    ]
    return sorted(rows, key=lambda row: (row["severity"] != "page", row["severity"] != "ticket", row["since"]))
