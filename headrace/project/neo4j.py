"""What a table of a Neo4j source says about its nodes or relationships (neo4j_file.py reads it)."""

from __future__ import annotations

from dataclasses import dataclass

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Pattern:
    """Nodes that have all the labels, or relationships of one type between such nodes. Names are as the database has
    them, without quotes.
    """

    labels: tuple[str, ...]  # of a relationship: those of the node where it starts; there they may be none
    type: str = ""  # of the relationships; empty: the table is nodes
    end_labels: tuple[str, ...] = ()
    start: Pairs = ()  # column → property of the node where a relationship starts
    end: Pairs = ()  # column → property of the node where it ends
