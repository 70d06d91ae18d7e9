"""Headrace: every change of every service, landed once, computed twice (exactly and at once), served and proven."""

from headrace.jobs import alert_view, batch_view, process_manager

__all__ = ["alert_view", "batch_view", "process_manager"]
