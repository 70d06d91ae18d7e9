"""`headrace work`: the parts of Headrace that run all the time. Supervisor starts them; by hand they end with Ctrl-C."""

from __future__ import annotations

import typer

from headrace.cli.context import project

HIDDEN = True
app = typer.Typer(help="Run one of Headrace's own workers in the foreground.", no_args_is_help=True)


@app.command()
def landing() -> None:
    """Land every topic: a member of the consumer group headrace-landing."""
    from headrace.ingest import worker

    worker.main(project())


@app.command()
def pulse() -> None:
    """Tell Airflow about new data and keep stream jobs running."""
    from headrace.orchestrate import pulse as orchestrate

    orchestrate.main(project())
