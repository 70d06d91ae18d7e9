"""`headrace work`: the parts of Headrace that run all the time, started by supervisor; by hand, Ctrl-C ends them."""

from __future__ import annotations

from typing import Annotated

import typer

from headrace.cli.context import project

HIDDEN = True
app = typer.Typer(help="Run one of Headrace's own workers in the foreground.", no_args_is_help=True)


@app.command()
def landing() -> None:
    """Land every topic: a member of the project's consumer group."""
    from headrace.ingest import worker

    worker.main(project())


@app.command()
def pulse() -> None:
    """Tell Airflow about new data and keep stream jobs running."""
    from headrace.orchestrate import pulse as orchestrate

    orchestrate.main(project())


@app.command()
def metrics() -> None:
    """Tell Prometheus how the platform is: http://127.0.0.1:PORT/metrics."""
    from headrace.local import platform
    from headrace.monitor import exporter

    here = project()
    exporter.serve(here, here.addresses.port("metrics"), platform.status)


@app.command("dead-job")
def dead_job(
    job: Annotated[str, typer.Argument(help="The batch view, or the source that is pulled.")],
    kind: Annotated[str, typer.Option(help="batch or source")],
    error: Annotated[str, typer.Option(help="What the last try said.")],
) -> None:
    """Record that a job failed for good. Airflow calls this once, after the last try."""
    from headrace.serve import ops

    ops.dead(project(), job, kind, error)
