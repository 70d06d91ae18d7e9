"""A run of a live view: the cut moves on, batch rows and cut change in one transaction, the speed layer goes on."""

from __future__ import annotations

import time
import uuid
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace.batch import run as batch
from headrace.batch.current import refresh
from headrace.batch.joined import Joined, joined
from headrace.batch.live import Between, Everything, Late, partials
from headrace.batch.recorded import Run, code_version, recorded
from headrace.batch.session import session
from headrace.errors import HeadraceError
from headrace.lake import paths
from headrace.lake.arrivals import Offsets
from headrace.lake.stretch import Stretch, glance
from headrace.live import cut as cuts
from headrace.live import reconcile
from headrace.project import Job, Project
from headrace.project.live import live_view
from headrace.project.personal import personal
from headrace.quality import gate
from headrace.serve import live as serve
from headrace.serve import ops
from headrace.serve.database import connect
from headrace.sql.live import tables
from headrace.sql.live.tree import APPENDED
from headrace.stream import speed
from headrace.stream.speed import Begin

if TYPE_CHECKING:
    import psycopg

GRACE_SECONDS = 120  # how long partials below the cut stay, for whoever asks what a reconciliation compared
CATCH_UP_SECONDS = 120.0  # what a new speed job is given to reach the markers
PROOF_SECONDS = 30.0  # what a running one is given before the stretch stays unproven
TRIES = 5  # of a full run, when rows of a snapshot come between its markers


def run(project: Project, job: Job, full: bool = False) -> Run:
    """Runs a batch job now, live or not; returns when readers see the result.

    Of a live view: batch rows cover the log below the new cut, speed rows from it on, and one transaction moves both.
    The first run, one after a change of the SQL or a contract, and one after a truncate or a new snapshot is a full
    one; any other reads only what came since the last cut. When both layers disagree on what they share, the old pair
    stays, ops.reconciliation says why, and HeadraceError is raised.
    """
    if not job.live:
        done = batch.run(project, job, full)
        _retire(project, job)
        return done
    began = time.monotonic()
    with recorded(project, job, full) as (lock, run_id), closing(connect(project)) as connection:
        known = serve.published(lock, job.name)
        one = _Run(project, job, connection, run_id, known)
        state = one.run(full)
        return Run(run_id, job.name, state, one.rows, time.monotonic() - began, one.positions, one.note)


@dataclass
class _Part:
    """What a run computes: from which rows, up to which cut."""

    part: Between | Everything
    until: Offsets
    cut: int
    seen: Stretch
    marks: cuts.Marks


class _Run:
    def __init__(
        self,
        project: Project,
        job: Job,
        connection: psycopg.Connection,
        run_id: uuid.UUID,
        known: serve.Cut | None,
    ) -> None:
        self.project, self.job, self.connection, self.run_id, self.known = project, job, connection, run_id, known
        self.view = live_view(project, job, known.generation if known else 0)
        self.version = tables.version(self.view)
        self.table = project.table(self.view.table.name)
        self.landing = paths.landing(project, self.table.name)
        self.same = known is not None and known.version == self.version
        self.origins = personal(project, job)
        self.rows, self.note = 0, ""
        self.positions: ops.Positions = {}

    def run(self, full: bool) -> str:
        serve.prepare(self.connection, self.view)
        if self.known and self.same:
            speed.ensure(self.project, self.view, Begin(self.known.cut, self.known.begins))
        self._gate()
        part = None if full or not self.same else self._since()
        if part is None:
            part = self._whole()
        elif self.known and part.cut <= self.known.cut:
            return self._unmoved(part)
        self._stage(part)
        joins = self._joined()
        begins = self._begins(part, joins)
        add = None
        if not self.same:
            serve.fill(self.connection, self.view)
            self._start(part, begins)
            self._prove(part, "a new version has nothing to be compared with")
        elif isinstance(part.part, Between):
            add = True
            self._prove(part)
        else:
            add = False
            self._prove(part, "a full run takes up what has no sign, so there is no stretch that both layers have")
        self._switch(part, joins, begins, add)
        self._tidy()
        return "succeeded"

    def _gate(self) -> None:
        """Blocking checks of the inputs, on their current tables. Costs nothing where there are none."""
        versions = {}
        for name in {i.name for i in self.job.inputs}:
            if any(c.blocking and not c.implied for c in self.project.table(name).contract.checks):
                current = refresh(self.project, self.project.table(name), lambda: session(self.project))
                versions[name] = f"{current.path}@{current.version}"
        if versions:
            gate.inputs(self.project, self.job, versions)

    def _since(self) -> _Part | None:
        """What came since the published cut; None when only a full run gives the right sums."""
        assert self.known
        marks = cuts.mark(self.project, self.table)
        until = cuts.landed(self.project, self.table, marks)
        new = max(marks.cut(self.view.seconds), self.known.cut)
        begins = self.known.begins.get(self.table.name, {})
        old = self.known.landed, self._moment(self.known.cut)
        seen = glance(self.landing, begins, until, self._moment(new), old)
        if seen.late:
            self._late(seen, until)
            return None
        self._refuse_bare(seen)
        if self.view.table.mode != APPENDED and any(o >= self.known.landed.get(p, 0) for p, o in seen.unsigned.items()):
            self.note = "there was a truncate, a new snapshot or a replay: computed in full"
            return None
        return _Part(Between(self.known.cut, begins), until, new, seen, marks)

    def _refuse_bare(self, seen: Stretch) -> None:
        """A change without its before-image has no sign: counted as if nothing went, sums would be wrong for good."""
        if seen.bare and self.view.table.mode != APPENDED:
            partition, offset = seen.bare[0]
            raise HeadraceError(
                f"{len(seen.bare)} changes of {self.table.name!r} came without the row before, such as at partition"
                f" {partition} offset {offset}: its database does not send it",
                place=self.table.place,
                hint="PostgreSQL: ALTER TABLE … REPLICA IDENTITY FULL; MariaDB: binlog_row_image=FULL; then:"
                f" headrace run {self.job.name} --full",
            )

    def _late(self, seen: Stretch, until: Offsets) -> None:
        """Records which of the view's keys lack something: a full run takes it up."""
        assert self.known
        places = ", ".join(f"partition {p} offset {offset}" for p, offset in seen.late[:5])
        where = f"{places}{' and more' if len(seen.late) > 5 else ''}, below chunk {self.known.cut}"
        self.note = f"{len(seen.late)} records came below the cut ({where}): computed in full"
        rows = partials(self.project, self.view, Late(self.known.landed), until, self.known.cut)
        serve.stage(self.connection, self.view, rows)
        verdict = reconcile.late(self.connection, self.view, tables.STAGED, where, self.origins)
        reconcile.record(self.connection, self.view, self.run_id, self.known.cut, self.known.cut, verdict)

    def _whole(self) -> _Part:
        """Everything below a cut behind whatever carries no sign."""
        marks = cuts.mark(self.project, self.table)
        least = self.known.cut if self.known and self.same else 0
        for _ in range(TRIES):
            base = marks
            until = cuts.landed(self.project, self.table, marks)
            cut = marks.cut(self.view.seconds)
            seen = glance(self.landing, {}, until, self._moment(cut), None)
            if (self.view.table.mode == APPENDED or not seen.unsigned) and cut >= least:
                return _Part(Everything({}), until, cut, seen, marks)
            chunk = max(int(base.last // self.view.seconds), least - 1)
            marks = cuts.mark_past(self.project, self.table, chunk, self.view.seconds)
            until = cuts.landed(self.project, self.table, marks)
            cut = marks.cut(self.view.seconds)
            seen = glance(self.landing, {}, until, self._moment(cut), None)
            behind = any(offset >= base.offsets.get(p, 0) for p, offset in seen.unsigned.items())
            before = any(offset < base.offsets.get(p, 0) for p, offset in seen.begins.items())
            if not behind and not before and base.offsets.keys() == marks.offsets.keys():
                return _Part(Everything(base.offsets), until, cut, seen, marks)
        raise HeadraceError(
            f"a snapshot of {self.table.name!r} is under way: {self.job.name} can't be computed before its end",
            hint=f"headrace source check {self.table.source}",
        )

    def _stage(self, part: _Part) -> None:
        empty = isinstance(part.part, Between) and not part.seen.data
        rows = None if empty else partials(self.project, self.view, part.part, part.until, part.cut)
        serve.stage(self.connection, self.view, rows)

    def _joined(self) -> list[Joined]:
        known = self.known if self.same else None
        return [
            joined(
                self.project,
                d,
                known.begins.get(d.table.name, {}) if known else {},
                known.joined.get(d.table.name) if known else None,
            )
            for d in self.view.dimensions
        ]

    def _begins(self, part: _Part, joins: list[Joined]) -> ops.Positions:
        """Where the speed layer of this cut begins: at the first record of a chunk that counts (CORRECTNESS 12)."""
        driving = {p: part.seen.begins.get(p, end) for p, end in part.until.items()}
        if self.view.table.mode == APPENDED:
            driving = self._earlier(part, driving)
        return {self.table.name: driving, **{j.dimension.table.name: j.positions for j in joins}}

    def _earlier(self, part: _Part, driving: Offsets) -> Offsets:
        """An event may repeat one from before the cut: the job must have seen a horizon of them."""
        horizon = self.table.contract.horizon or 0.0
        start = self._moment(part.cut).timestamp() - horizon
        # The last cut's begin lies a horizon before that cut, so nothing wanted lies before it.
        since = part.part.begins if isinstance(part.part, Between) else {}
        found = glance(self.landing, since, part.until, cuts.moment(int(start), 1), None)
        return {p: min(offset, found.begins.get(p, offset)) for p, offset in driving.items()}

    def _start(self, part: _Part, begins: ops.Positions) -> None:
        """The speed job of a version that nobody sees yet, until it has caught up."""
        speed.ensure(self.project, self.view, Begin(part.cut, begins))
        if not speed.wait_until(self.project, self.view, self._goal(part), CATCH_UP_SECONDS):
            raise HeadraceError(
                f"the speed layer of {self.job.name} did not catch up within {CATCH_UP_SECONDS:.0f} s",
                hint="headrace status; then: headrace run " + self.job.name,
            )

    def _goal(self, part: _Part) -> ops.Positions:
        return {self.table.name: {p: offset + 1 for p, offset in part.marks.offsets.items()}}

    def _prove(self, part: _Part, reason: str = "") -> None:
        """Compares both layers over the stretch that both have. Raises HeadraceError when they differ."""
        since = self.known.cut if self.known and self.same else part.cut
        if not reason and not speed.wait_until(self.project, self.view, self._goal(part), PROOF_SECONDS):
            reason = f"the speed layer had not reached the markers after {PROOF_SECONDS:.0f} s"
        verdict = (
            reconcile.unproven(reason)
            if reason
            else reconcile.compare(self.connection, self.view, tables.STAGED, since, part.cut, self.origins)
        )
        reconcile.record(self.connection, self.view, self.run_id, since, part.cut, verdict)
        if wrong := reconcile.problem(self.view, since, part.cut, verdict):
            raise wrong

    def _switch(self, part: _Part, joins: list[Joined], begins: ops.Positions, add: bool | None) -> None:
        new = serve.Cut(
            self.version,
            part.cut,
            self.run_id,
            self._moment(part.cut),
            begins,
            part.until,
            {j.dimension.table.name: j.floors for j in joins},
            self.view.generation,
            part.part.base if isinstance(part.part, Everything) else self.known.folded if self.known else {},
        )
        self.positions = {self.table.name: part.until, **{j.dimension.table.name: j.positions for j in joins}}
        masked = self.origins.among(self.view.columns)
        with self.connection.transaction():
            for j in joins:
                serve.join(self.connection, self.view, j.dimension, j.rows, j.whole)
            serve.switch(self.connection, self.view, new, self.known, add, masked)
            self._publish()

    def _publish(self) -> None:
        self.rows = serve.count(self.connection, self.view)
        ops.publish(self.connection, self.job.name, self.run_id, self.positions, code_version(self.project, self.job))
        self.connection.execute("UPDATE ops.views SET rows = %s WHERE view = %s", (self.rows, self.job.name))
        ops.finish(self.connection, self.run_id, "succeeded", self.note, self.rows, self.positions)

    def _unmoved(self, part: _Part) -> str:
        """No chunk has ended since the cut: the speed layer has what came."""
        self.positions = {self.table.name: part.until}
        self.rows = serve.count(self.connection, self.view)
        ops.finish(self.connection, self.run_id, "unchanged", "", self.rows, self.positions)
        return "unchanged"

    def _tidy(self) -> None:
        for name, version in speed.running(self.project):
            if name == self.job.name and version != self.version:
                speed.stop(self.project, name, version)
        serve.sweep(self.connection, self.job.name, self.version)
        if self.known and self.same:
            serve.clear(self.connection, self.view, self.known.cut - GRACE_SECONDS // self.view.seconds)

    def _moment(self, chunk: int):
        return cuts.moment(chunk, self.view.seconds)


def _retire(project: Project, job: Job) -> None:
    """A view that was live and no longer is: readers have the batch rows, nothing else is kept."""
    with closing(connect(project)) as connection:
        if serve.published(connection, job.name) is None:
            return
        for name, version in speed.running(project):
            if name == job.name:
                speed.stop(project, name, version)
        serve.retire(connection, job.name)
