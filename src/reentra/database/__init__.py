"""SQL databases: the tables of the catalog, of jobs and of access, and how they are opened.

SQLite (three files below the home, in WAL mode) or PostgreSQL (one database, by URL). The catalog
is derived and may be lost; the jobs' journal and the audit trail are not, so their commits reach
the disk before they return.
This package knows no tenant and no repository, and answers no question about their content.

Invariants: the schema is what the migrations made, never more; a database of a newer version is
refused; nothing is written outside ``Database.writing``.

Read in this order: ``tables``, ``tables_access``, ``engine``, ``journal``, ``migrations``.
"""

from reentra.database.engine import Database, Part, database_url, is_corruption, open_database
from reentra.database.journal import (
    Job,
    JobStatus,
    JobStep,
    JobStore,
    StepOutcome,
    StepStatus,
)

__all__ = [
    "Database", "Job", "JobStatus", "JobStep", "JobStore", "Part", "StepOutcome", "StepStatus",
    "database_url", "is_corruption", "open_database",
]  # fmt: skip
