"""The files of monitoring: each alert has a runbook, the dashboard is one that Grafana's schema knows."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from headrace.monitor import rules, runbooks

ROOT = Path(__file__).parents[3]


def test_each_alert_has_a_runbook_of_its_own():
    page = runbooks.page()
    anchors = re.findall(r'<h2 id="(\w+)">', page)
    assert sorted(anchors) == sorted(rule["alert"].lower() for rule in rules.alerts())


def test_each_rule_says_what_it_is_about_and_links_to_its_runbook():
    for group in yaml.safe_load(rules.rules("http://here/runbooks"))["groups"]:
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in rules.SEVERITIES
            assert rule["annotations"]["summary"]
            assert rule["annotations"]["runbook_url"] == f"http://here/runbooks#{rule['alert'].lower()}"


def test_a_webhook_is_told_of_each_severity():
    told = yaml.safe_load(rules.alertmanager("https://chat.example/hooks/data"))
    assert {r["name"]: r["webhook_configs"][0]["url"] for r in told["receivers"]} == dict.fromkeys(
        rules.SEVERITIES, "https://chat.example/hooks/data"
    )
    assert "webhook_configs" not in rules.alertmanager(None)


def test_grafana_knows_every_field_of_the_dashboard():
    """Read into the types that Grafana makes from its schema and written again, nothing is lost or changed."""
    register_default_plugins()
    text = json.loads((ROOT / "docker" / "grafana" / "headrace.json").read_text(encoding="utf-8"))
    assert json.loads(JSONEncoder().encode(Dashboard.from_json(text))) == text
