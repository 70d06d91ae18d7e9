"""A small client of Flink's SQL Gateway (REST): one session per use, one statement at a time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType

import httpx

from headrace.errors import HeadraceError

_PAUSE = 0.05  # seconds between two looks at a statement that is still running


class StatementFailed(Exception):
    """The gateway refused a statement; `trace` is Flink's Java stack trace (headrace.stream.mistakes reads it)."""

    def __init__(self, statement: str, trace: str) -> None:
        self.statement, self.trace = statement, trace
        super().__init__(trace.splitlines()[0] if trace else "the SQL Gateway gave no reason")


@dataclass(frozen=True)
class Result:
    """What a statement returned: the id of the Flink job it started (if it did), column names and rows."""

    job_id: str = ""
    columns: tuple[str, ...] = ()
    rows: list[list[object]] = field(default_factory=list)


class Gateway:
    """A session at the gateway, as a context manager. Jobs it submitted go on when it closes."""

    def __init__(self, address: str, options: Mapping[str, str] | None = None, timeout: float = 120.0) -> None:
        self.address, self.options, self.timeout = address.rstrip("/"), dict(options or {}), timeout
        self.client = httpx.Client(timeout=60.0, trust_env=False)
        self.session = ""

    def __enter__(self) -> Gateway:
        body = self._call("POST", "/v2/sessions", json={"properties": self.options})
        self.session = str(body["sessionHandle"])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.client.delete(f"{self.address}/v2/sessions/{self.session}")
        except httpx.HTTPError:
            pass  # the gateway forgets idle sessions by itself
        self.client.close()

    def run(self, statement: str) -> Result:
        """Runs one statement and returns all of its rows.

        Raises StatementFailed when Flink refuses it, HeadraceError when the gateway does not answer in time.
        """
        path = f"/v2/sessions/{self.session}"
        operation = self._call("POST", f"{path}/statements", statement, json={"statement": statement})[
            "operationHandle"
        ]
        end = time.monotonic() + self.timeout
        rows: list[list[object]] = []
        columns: tuple[str, ...] = ()
        job_id, token = "", 0
        while time.monotonic() < end:
            body = self._call("GET", f"{path}/operations/{operation}/result/{token}?rowFormat=JSON", statement)
            if body["resultType"] == "NOT_READY":
                time.sleep(_PAUSE)
                continue
            job_id = str(body.get("jobID") or job_id)
            results = body.get("results") or {}
            columns = columns or tuple(c["name"] for c in results.get("columns", ()))  # type: ignore[union-attr]
            rows += [row["fields"] for row in results.get("data", ())]  # type: ignore[union-attr]
            if body["resultType"] == "EOS":
                return Result(job_id, columns, rows)
            token += 1
        raise HeadraceError(
            f"the SQL Gateway did not finish a statement within {self.timeout:.0f} s",
            hint="headrace logs flink-gateway",
        )

    def _call(self, method: str, path: str, statement: str = "", **arguments: object) -> dict[str, object]:
        try:
            answer = self.client.request(method, self.address + path, **arguments)  # type: ignore[arg-type]
        except httpx.HTTPError as error:
            hint = "headrace status   shows whether it runs, headrace logs flink-gateway   why not"
            raise HeadraceError(f"Flink's SQL Gateway does not answer at {self.address}: {error}", hint=hint) from error
        body = answer.json()
        if answer.is_error or "errors" in body:
            raise StatementFailed(statement, "\n".join(str(e) for e in body.get("errors", ())))
        return body
