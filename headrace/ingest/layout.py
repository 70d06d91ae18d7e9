"""Which topics a landing worker reads: those of the project's tables, and strangers on the names of our sources."""

from __future__ import annotations

from headrace.errors import HeadraceError
from headrace.ingest import bus, controls, topics
from headrace.ingest.lane import Lane
from headrace.ingest.paused import Pauses
from headrace.project import Project


class Layout:
    """The lanes of a project by topic, kept in step with the bus and the project's files."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.admin = bus.admin(project)
        self.lanes: dict[str, Lane] = {}
        self.paused: frozenset[str] = frozenset()  # topics that are ours and not read at the moment
        self._controls = controls.Watched(project, self.admin)
        self._ids: dict[str, str] = {}
        self._partitions: dict[str, int] = {}

    def look(self) -> tuple[bool, bool]:
        """Compares with the bus: (topics came or went, a topic was made anew, paused or resumed).

        Raises HeadraceError without a bus.
        """
        there = bus.partitions(self.project, self.admin)
        wanted = {t.topic: t for t in self.project.tables.values() if t.topic in there}
        names = sorted([*wanted, *self._strangers(there)])
        ids = bus.topic_ids(self.project, self.admin, names) if names else {}
        anew = any(self._ids.get(name, id) != id for name, id in ids.items())
        # One may be assigned before it is seen here: its table must know of it, or nobody asks for its position.
        anew |= any(self._partitions.get(name, there[name]) != there[name] for name in names)
        paused = Pauses.of(self._controls.now()).topics(self.project)
        anew |= paused != self.paused
        self._ids, self._partitions, self.paused = ids, there, paused
        before = set(self.lanes)
        for topic in before - set(names):
            del self.lanes[topic]
        for topic in names:
            if topic not in self.lanes:
                self.lanes[topic] = Lane(self.project, topic, wanted.get(topic))
        return before != set(self.lanes), anew

    def reload(self, project: Project) -> tuple[bool, bool]:
        """Takes a changed project; lanes whose table changed are made anew, so nothing may be pending in them."""
        if project.addresses.bus_client() != self.project.addresses.bus_client():
            self.admin = bus.admin(project)
            self._controls = controls.Watched(project, self.admin)
        self.project = project
        tables = {table.topic: table for table in project.tables.values()}
        before = {topic: lane.table for topic, lane in self.lanes.items()}
        self.lanes = {t: lane for t, lane in self.lanes.items() if lane.table and lane.table == tables.get(t)}
        _, anew = self.look()
        after = {topic: lane.table for topic, lane in self.lanes.items()}
        return set(before) != set(after), anew or before != after

    def open(self, lane: Lane) -> None:
        """Opens a lane's tables. Raises HeadraceError when its topic is gone or is not the one landed before."""
        if lane.topic not in self._ids:
            raise HeadraceError(f"topic {lane.topic} is not on the bus")
        lane.open(self._ids[lane.topic], self._partitions[lane.topic])

    def has_append_time(self, topic: str) -> bool:
        """Whether the broker gives records of the topic its append time now."""
        return topics.configurations(self.admin, [topic])[topic].get("message.timestamp.type") == "LogAppendTime"

    def _strangers(self, there: dict[str, int]) -> list[str]:
        """Topics that are named like those of our sources, and that no table declares.

        While files of the project have mistakes nobody can say which topics are strange: then there are none.
        """
        if self.project.problems:
            return []
        own = set(topics.wanted(self.project))
        starts = {f"{s.name}." for s in self.project.sources if s.mode != "events"}
        events = [t.topic for s in self.project.sources if s.mode == "events" for t in s.tables]
        starts |= {topic.split(".")[0] + "." for topic in events if "." in topic}
        known = ("alerts.", "headrace.", "__")
        return [t for t in there if t.startswith(tuple(starts)) and t not in own and not t.startswith(known)]
