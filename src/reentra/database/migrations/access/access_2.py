"""When a session's person last showed who they are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "access_2"
down_revision = "access_1"


def upgrade() -> None:
    op.add_column(
        "access_session", sa.Column("proved_at", sa.Text, nullable=False, server_default="")
    )
