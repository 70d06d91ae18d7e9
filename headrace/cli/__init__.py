"""The command line: one small file per verb; `main` is what `headrace` runs."""

from headrace.cli.app import main

__all__ = ["main"]
