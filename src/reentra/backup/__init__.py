"""Graph -> snapshot: full the first time, only what changed afterwards.

A backup reads unit by unit: a kind with its relationships and with what is listed once for each of
its objects. It never changes a tenant, never takes a failed read for a deletion, and commits one
manifest at its end or nothing. A killed backup leaves a checkpoint from which the next one goes on.

Invariants: only differences to the parent are written; a kind that was not read whole keeps what
was known, keeps its old delta link, and says so.

Read in this order: ``engine``, ``units``, ``delta_reading`` with ``delta``, ``reading``,
``findings``, ``changes``, ``base``, ``checkpoint``.
"""

from reentra.backup.base import Base, EmptyBase
from reentra.backup.engine import BackupOptions, BackupResult, run_backup

__all__ = ["BackupOptions", "BackupResult", "Base", "EmptyBase", "run_backup"]
