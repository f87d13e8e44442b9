"""Recovery codes; and the trail is found by its time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "access_3"
down_revision = "access_2"


def upgrade() -> None:
    op.create_table(
        "access_recovery_code",
        sa.Column("hash", sa.Text, primary_key=True),
        sa.Column(
            "person_id",
            sa.Text,
            sa.ForeignKey("access_person.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("used_at", sa.Text),
    )
    op.create_index("access_recovery_code_person", "access_recovery_code", ["person_id"])
    op.create_index("access_audit_at", "access_audit", ["at"])
