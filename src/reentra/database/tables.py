"""The tables, as SQLAlchemy sees them. The migrations make them; a test holds the two together.

Why the catalog looks as it does. It may weigh twelve per cent of the tenant's JSON and sixty bytes
a link, so identifiers are stored once (``identity``) and everything else holds small integers;
integers 0 and 1 cost SQLite no byte. ``kind`` and ``relationship`` rows belong to one tenant, so
that their number implies the tenant. ``began`` and ``ended`` are ordinals of the tenant's
snapshots: a row holds from ``began`` until before ``ended``. The first snapshot has ordinal 0 and
is left out of the indexes by ``began``: a question about changes never asks for it.
"""

from __future__ import annotations

import sqlalchemy as sa

from reentra.database.tables_access import ACCESS

JOBS = sa.MetaData()

JOB = sa.Table(
    "job",
    JOBS,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("tenant", sa.Text, nullable=False),  # its name; empty for the whole installation
    sa.Column("task", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),  # ISO 8601, UTC
    sa.Column("started_at", sa.Text),
    sa.Column("finished_at", sa.Text),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("parameters", sa.Text, nullable=False),  # JSON, as the three below
    sa.Column("progress", sa.Text, nullable=False),
    sa.Column("summary", sa.Text, nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    sa.Index("job_created_at", "created_at"),
)

JOB_STEP = sa.Table(
    "job_step",
    JOBS,
    sa.Column("job_id", sa.Text, sa.ForeignKey("job.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("step_id", sa.Text, primary_key=True),
    sa.Column("ordinal", sa.Integer, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("intended_at", sa.Text),
    sa.Column("finished_at", sa.Text),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Index("job_step_ordinal", "job_id", "ordinal", unique=True),
)

CATALOG = sa.MetaData()

TENANT = sa.Table(
    "tenant",
    CATALOG,
    sa.Column("no", sa.Integer, primary_key=True),
    sa.Column("tenant_id", sa.Text, nullable=False, unique=True),
)

SNAPSHOT = sa.Table(
    "snapshot",
    CATALOG,
    sa.Column("tenant_no", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("ordinal", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),  # the manifest's stamp, to know it again
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("parent", sa.Text),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("info", sa.Text, nullable=False),  # JSON of SnapshotInfo without delta links
    sa.Column("counts", sa.Text, nullable=False),  # JSON: kind -> objects
    sa.Index("snapshot_id", "tenant_no", "id", unique=True),
)

KIND = sa.Table(
    "kind",
    CATALOG,
    sa.Column("no", sa.Integer, primary_key=True),
    sa.Column("tenant_no", sa.Integer, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Index("kind_name", "tenant_no", "name", unique=True),
)

RELATIONSHIP = sa.Table(
    "relationship",
    CATALOG,
    sa.Column("no", sa.Integer, primary_key=True),
    sa.Column("tenant_no", sa.Integer, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Index("relationship_name", "tenant_no", "name", unique=True),
)

SEGMENT = sa.Table(
    "segment",
    CATALOG,
    sa.Column("no", sa.Integer, primary_key=True),
    sa.Column("tenant_no", sa.Integer, nullable=False),
    sa.Column("ordinal", sa.Integer, nullable=False),
    sa.Column("info", sa.Text, nullable=False),  # JSON of SegmentInfo
    sa.Index("segment_ordinal", "tenant_no", "ordinal"),
)

IDENTITY = sa.Table(
    "identity",
    CATALOG,
    sa.Column("no", sa.Integer, primary_key=True),
    sa.Column("tenant_no", sa.Integer, nullable=False),
    sa.Column("id", sa.LargeBinary, nullable=False),  # see snapshots.identifiers
    sa.Index("identity_id", "tenant_no", "id", unique=True),
)

OBJECT_VERSION = sa.Table(
    "object_version",
    CATALOG,
    sa.Column("no", sa.Integer, primary_key=True),  # also the row of the full-text index
    sa.Column("kind_no", sa.Integer, nullable=False),
    sa.Column("object_no", sa.Integer, nullable=False),
    sa.Column("began", sa.Integer, nullable=False),
    sa.Column("ended", sa.Integer),
    sa.Column("was_deleted", sa.Integer, nullable=False),  # 1: it ended by the object's deletion
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.Column("name", sa.Text),  # null: the same as the id
    sa.Column("extra", sa.Text, nullable=False),  # searched beside the name, lower case
    sa.Column("segment_no", sa.Integer, nullable=False),
    sa.Column("row_no", sa.Integer, nullable=False),
    sa.Index("object_version_key", "kind_no", "object_no", "began", unique=True),
)
sa.Index(
    "object_version_began",
    OBJECT_VERSION.c.kind_no,
    OBJECT_VERSION.c.began,
    sqlite_where=OBJECT_VERSION.c.began > 0,
    postgresql_where=OBJECT_VERSION.c.began > 0,
)
sa.Index(
    "object_version_ended",
    OBJECT_VERSION.c.kind_no,
    OBJECT_VERSION.c.ended,
    sqlite_where=OBJECT_VERSION.c.ended.is_not(None),
    postgresql_where=OBJECT_VERSION.c.ended.is_not(None),
)
sa.Index(
    "object_version_deleted",
    OBJECT_VERSION.c.no,
    sqlite_where=OBJECT_VERSION.c.was_deleted == 1,
    postgresql_where=OBJECT_VERSION.c.was_deleted == 1,
)

LINK_VERSION = sa.Table(
    "link_version",
    CATALOG,
    sa.Column("relationship_no", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("source_no", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("target_no", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("qualifier", sa.Text, primary_key=True),
    sa.Column("began", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("ended", sa.Integer),
    sa.Column("target_kind_no", sa.Integer, nullable=False),  # 0: not known
    sqlite_with_rowid=False,
)
sa.Index("link_version_target", LINK_VERSION.c.relationship_no, LINK_VERSION.c.target_no)
sa.Index(
    "link_version_began",
    LINK_VERSION.c.relationship_no,
    LINK_VERSION.c.began,
    sqlite_where=LINK_VERSION.c.began > 0,
    postgresql_where=LINK_VERSION.c.began > 0,
)
sa.Index(
    "link_version_ended",
    LINK_VERSION.c.relationship_no,
    LINK_VERSION.c.ended,
    sqlite_where=LINK_VERSION.c.ended.is_not(None),
    postgresql_where=LINK_VERSION.c.ended.is_not(None),
)

OF_PART: dict[str, sa.MetaData] = {"catalog": CATALOG, "jobs": JOBS, "access": ACCESS}
