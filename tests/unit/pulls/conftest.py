"""What pulls produce is landed by the same code as captured changes: its tables and messages made by hand."""

from tests.unit.ingest.conftest import land, record, visits

__all__ = ["land", "record", "visits"]
