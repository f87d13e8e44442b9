"""Accounts, roles, sessions, tokens, approvals, settings, schedules, and the audit trail."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "access_1"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "access_person",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("password", sa.Text, nullable=False),
        sa.Column("totp", sa.Text, nullable=False),
        sa.Column("totp_pending", sa.Text, nullable=False),
        sa.Column("totp_step", sa.BigInteger, nullable=False),
        sa.Column("is_disabled", sa.Integer, nullable=False),
        sa.Column("external", sa.Text, unique=True),
        sa.Column("created_at", sa.Text, nullable=False),
    )
    op.create_table(
        "access_person_role",
        sa.Column(
            "person_id",
            sa.Text,
            sa.ForeignKey("access_person.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("role", sa.Text, nullable=False),
    )
    op.create_table(
        "access_setup_link",
        sa.Column("hash", sa.Text, primary_key=True),
        sa.Column(
            "person_id",
            sa.Text,
            sa.ForeignKey("access_person.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("expires_at", sa.Text, nullable=False),
    )
    op.create_table(
        "access_session",
        sa.Column("hash", sa.Text, primary_key=True),
        sa.Column(
            "person_id",
            sa.Text,
            sa.ForeignKey("access_person.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("seen_at", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
    )
    op.create_index("access_session_person", "access_session", ["person_id"])
    op.create_table(
        "access_token",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("hash", sa.Text, nullable=False, unique=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column(
            "person_id",
            sa.Text,
            sa.ForeignKey("access_person.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("expires_at", sa.Text, nullable=False),
        sa.Column("revoked_at", sa.Text),
        sa.Column("used_at", sa.Text),
    )
    op.create_table(
        "access_attempt",
        sa.Column("subject", sa.Text, primary_key=True),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("last_at", sa.Text, nullable=False),
    )
    op.create_table(
        "access_approval",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("asked_by", sa.Text, nullable=False),
        sa.Column("asked_at", sa.Text, nullable=False),
        sa.Column("expires_at", sa.Text, nullable=False),
        sa.Column("decided_by", sa.Text),
        sa.Column("decided_at", sa.Text),
        sa.Column("is_granted", sa.Integer),
        sa.Column("used_at", sa.Text),
    )
    op.create_index("access_approval_digest", "access_approval", ["digest"])
    op.create_table(
        "access_setting",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_table(
        "access_schedule",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("zone", sa.Text, nullable=False),
        sa.Column("after", sa.Text, nullable=False),
    )
    op.create_table(
        "access_audit",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("via", sa.Text, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("who_id", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("result", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
    )
    for statement in _append_only(op.get_bind().dialect.name):
        op.execute(sa.text(statement))


def _append_only(dialect: str) -> tuple[str, ...]:
    """Return what makes the database itself refuse to change or remove a record."""
    if dialect == "sqlite":
        return tuple(
            f"CREATE TRIGGER access_audit_no_{event} BEFORE {event} ON access_audit"
            " BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END"
            for event in ("update", "delete")
        )
    refuse = (
        "CREATE OR REPLACE FUNCTION access_audit_refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'the audit trail is append-only'; END $$"
    )
    call = (
        "CREATE TRIGGER access_audit_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON access_audit"
        " FOR EACH STATEMENT EXECUTE FUNCTION access_audit_refuse()"
    )
    return (refuse, call)
