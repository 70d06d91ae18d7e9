"""What Prometheus alerts on and whom Alertmanager tells, as the files that they read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

RULES = Path(__file__).with_name("rules.yml")
EVERY = "5s"  # between two questions of Prometheus, and two looks at its rules
SEVERITIES = ("page", "ticket", "info")


def alerts() -> list[dict[str, Any]]:
    """The rules, in the order of the file."""
    return [rule for group in _groups() for rule in group["rules"]]


def rules(runbooks: str) -> str:
    """The rules with a link to each one's runbook; `runbooks` is the address of the page that has all of them."""
    groups = _groups()
    for group in groups:
        for rule in group["rules"]:
            rule["annotations"]["runbook_url"] = f"{runbooks}#{rule['alert'].lower()}"
    return yaml.safe_dump({"groups": groups}, sort_keys=False, width=200)


def prometheus(metrics: str, alertmanager: str, files: list[str]) -> str:
    """Prometheus' own file: asks the platform at `metrics` (host:port), and tells `alertmanager`."""
    return yaml.safe_dump(
        {
            "global": {"scrape_interval": EVERY, "scrape_timeout": EVERY, "evaluation_interval": EVERY},
            "rule_files": files,
            "scrape_configs": [{"job_name": "headrace", "static_configs": [{"targets": [metrics]}]}],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]},
        },
        sort_keys=False,
    )


def alertmanager(webhook: str | None) -> str:
    """Alertmanager's file: alerts of a kind and an owner come together, a page soonest; all of them to `webhook`.

    Without one nobody is told, and alerts are seen in Alertmanager's page and in `headrace status`.
    """
    receivers = [{"name": s} | ({"webhook_configs": [{"url": webhook}]} if webhook else {}) for s in SEVERITIES]
    waits = {"page": ("5s", "1m", "4h"), "ticket": ("30s", "10m", "1d"), "info": ("5m", "1h", "7d")}
    routes = [
        {
            "receiver": severity,
            "matchers": [f'severity="{severity}"'],
            "group_wait": wait,
            "group_interval": interval,
            "repeat_interval": repeat,
        }
        for severity, (wait, interval, repeat) in waits.items()
    ]
    silent = {  # a part that is away makes others fail: one alert says enough
        "source_matchers": ['alertname="ServerDown"', 'server=~"bus|connect|postgres|flink-.*"'],
        "target_matchers": ['alertname=~"SourceDown|StreamJobDown|PartAway"'],
    }
    top = {"receiver": "ticket", "group_by": ["alertname", "owner"], "routes": routes}
    return yaml.safe_dump({"route": top, "receivers": receivers, "inhibit_rules": [silent]}, sort_keys=False)


def _groups() -> list[dict[str, Any]]:
    return yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
