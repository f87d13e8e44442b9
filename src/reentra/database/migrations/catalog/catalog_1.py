"""Snapshots, object versions, link versions and the full-text index."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "catalog_1"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "tenant",
        sa.Column("no", sa.Integer, primary_key=True),
        sa.Column("tenant_id", sa.Text, nullable=False, unique=True),
    )
    op.create_table(
        "snapshot",
        sa.Column("tenant_no", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("ordinal", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("parent", sa.Text),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("info", sa.Text, nullable=False),
        sa.Column("counts", sa.Text, nullable=False),
    )
    op.create_index("snapshot_id", "snapshot", ["tenant_no", "id"], unique=True)
    for table in ("kind", "relationship"):
        op.create_table(
            table,
            sa.Column("no", sa.Integer, primary_key=True),
            sa.Column("tenant_no", sa.Integer, nullable=False),
            sa.Column("name", sa.Text, nullable=False),
        )
        op.create_index(f"{table}_name", table, ["tenant_no", "name"], unique=True)
    op.create_table(
        "segment",
        sa.Column("no", sa.Integer, primary_key=True),
        sa.Column("tenant_no", sa.Integer, nullable=False),
        sa.Column("ordinal", sa.Integer, nullable=False),
        sa.Column("info", sa.Text, nullable=False),
    )
    op.create_index("segment_ordinal", "segment", ["tenant_no", "ordinal"])
    op.create_table(
        "identity",
        sa.Column("no", sa.Integer, primary_key=True),
        sa.Column("tenant_no", sa.Integer, nullable=False),
        sa.Column("id", sa.LargeBinary, nullable=False),
    )
    op.create_index("identity_id", "identity", ["tenant_no", "id"], unique=True)
    op.create_table(
        "object_version",
        sa.Column("no", sa.Integer, primary_key=True),
        sa.Column("kind_no", sa.Integer, nullable=False),
        sa.Column("object_no", sa.Integer, nullable=False),
        sa.Column("began", sa.Integer, nullable=False),
        sa.Column("ended", sa.Integer),
        sa.Column("was_deleted", sa.Integer, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("name", sa.Text),
        sa.Column("extra", sa.Text, nullable=False),
        sa.Column("segment_no", sa.Integer, nullable=False),
        sa.Column("row_no", sa.Integer, nullable=False),
    )
    op.create_index(
        "object_version_key", "object_version", ["kind_no", "object_no", "began"], unique=True
    )
    _partial_indexes("object_version", "kind_no")
    op.create_index(
        "object_version_deleted",
        "object_version",
        ["no"],
        sqlite_where=sa.text("was_deleted = 1"),
        postgresql_where=sa.text("was_deleted = 1"),
    )
    op.create_table(
        "link_version",
        sa.Column("relationship_no", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("source_no", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("target_no", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("qualifier", sa.Text, primary_key=True),
        sa.Column("began", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("ended", sa.Integer),
        sa.Column("target_kind_no", sa.Integer, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("link_version_target", "link_version", ["relationship_no", "target_no"])
    _partial_indexes("link_version", "relationship_no")
    if op.get_bind().dialect.name == "sqlite":
        # Trigrams find any part of a word. Neither the text nor positions are kept, which makes
        # the index a third as large; whoever asks looks at the rows' own text once more.
        op.execute(
            "CREATE VIRTUAL TABLE object_text USING fts5("
            "text, content='', columnsize=0, detail=none, tokenize='trigram')"
        )
        op.execute(
            "CREATE INDEX object_version_name ON object_version"
            " (kind_no, name COLLATE NOCASE, began, ended)"
        )
    else:
        op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        op.execute(
            "CREATE INDEX object_version_text ON object_version"
            " USING gin (lower(coalesce(name, '') || ' ' || extra) gin_trgm_ops)"
        )
        op.execute(
            "CREATE INDEX object_version_name ON object_version"
            ' (kind_no, lower(name) COLLATE "C", began, ended)'
        )


def _partial_indexes(table: str, first_column: str) -> None:
    for column, condition in (("began", "began > 0"), ("ended", "ended IS NOT NULL")):
        op.create_index(
            f"{table}_{column}",
            table,
            [first_column, column],
            sqlite_where=sa.text(condition),
            postgresql_where=sa.text(condition),
        )
