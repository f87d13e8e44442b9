"""The state of a tenant inside the repository.

A snapshot holds what changed since its parent; its state is the replay of its chain. This package
knows the tables, what a manifest's payload says, how a snapshot is written and how it is replayed
from the repository alone. It never talks to Graph and needs no database.

Invariants: a link's source is an object of the state; an object is written only when its digest
changed (or when prune merged what had); a kind that could not be read keeps what was known and says
so in its coverage.

Read in this order: ``identifiers``, ``schema``, ``info``, ``writer``, ``columns``, ``replay``,
``merging``.
"""

from reentra.directory.state import Coverage, CoverageStatus
from reentra.snapshots.info import KindSummary, RelationshipSummary, SnapshotInfo, SnapshotStatus
from reentra.snapshots.merging import SnapshotMerger
from reentra.snapshots.replay import ReplayedSnapshot, written_links
from reentra.snapshots.writer import SnapshotWriter

__all__ = [
    "Coverage",
    "CoverageStatus",
    "KindSummary",
    "RelationshipSummary",
    "ReplayedSnapshot",
    "SnapshotInfo",
    "SnapshotMerger",
    "SnapshotStatus",
    "SnapshotWriter",
    "written_links",
]
