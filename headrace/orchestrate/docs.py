"""What a newcomer reads on a DAG's page: what it is, who owns it, what it reads, its text, and how to try it."""

from __future__ import annotations

from headrace.project import Job, Project, Source

_MODES = {
    "cdc": "each change is read from the database's log (Debezium)",
    "cron": "pulled on a schedule",
    "events": "services write events to the bus",
}


def source(source: Source) -> str:
    """Markdown about a source and its tables."""
    rows = [f"| `{t.name}` | `{t.origin}` | `{t.topic}` | {', '.join(t.contract.key)} |" for t in source.tables]
    head = ["| table | comes from | topic | key |", "|---|---|---|---|"]
    try_it = [
        f"headrace source check {source.name}",
        f'headrace query --lake "SELECT * FROM {source.tables[0].name} LIMIT 10"',
    ]
    how = _MODES[source.mode] + (f", `{source.schedule}`" if source.mode == "cron" else "")
    return "\n".join([f"## Source {source.name}", "", f"{source.kind}: {how}.", "", *head, *rows, "", *_shell(try_it)])


def job(project: Project, job: Job) -> str:
    """Markdown about a batch view or a stream job, with the text of its file."""
    path = job.path.relative_to(project.root) if job.path.is_relative_to(project.root) else job.path
    batch = job.kind == "batch"
    facts = {
        "owner": job.options.get("owner", "nobody yet (add `owner:` to the header)"),
        "reads": ", ".join(f"`{i.name}`" for i in job.inputs),
        "runs": _runs(job) if batch else "all the time, on Flink",
        "result": f"`batch.{job.name}`" if batch else f"`alerts.{job.name}`, topic `{job.topic}`",
        "file": f"`{path}`",
    }
    if job.key:
        facts["key"] = ", ".join(job.key)
    if "severity" in job.options:
        facts["severity"] = job.options["severity"]
    schema = "batch" if batch else "alerts"
    fence = "````" if "```" in job.text else "```"
    language = "python" if job.language == "py" else "sql"
    lines = [f"## {job.name}", "", job.description, "", f"{fence}{language}", job.text.rstrip(), fence, ""]
    lines += ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in facts.items()), ""]
    verb = f"headrace run {job.name}"
    return "\n".join([*lines, *_shell([verb, f'headrace query "SELECT * FROM {schema}.{job.name} LIMIT 10"'])])


def _runs(job: Job) -> str:
    return "on new data, at most once a minute" if job.schedule == "on new data" else f"`{job.schedule}`"


def _shell(commands: list[str]) -> list[str]:
    return ["Try it:", "", "```sh", *commands, "```"]
