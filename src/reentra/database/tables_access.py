"""The tables of what people decided: accounts, roles, sessions, tokens, settings, schedules, trail.

Times are ISO 8601 in UTC with microseconds, so that text sorts as time. What lets somebody in (a
session, a token, a set-up link, a recovery code) is there as its SHA-256 alone; a password as
Argon2id; what must be read again (the seed of one-time codes, a client secret) sealed with a key of
the repository.
``access_audit`` refuses every update and delete: triggers see to it.
"""

from __future__ import annotations

import sqlalchemy as sa

ACCESS = sa.MetaData()

PERSON = sa.Table(
    "access_person",
    ACCESS,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),  # lower case
    sa.Column("password", sa.Text, nullable=False),  # Argon2id in PHC form; empty: none yet
    sa.Column("totp", sa.Text, nullable=False),  # sealed; empty: no second factor
    sa.Column("totp_pending", sa.Text, nullable=False),  # sealed; shown, and not confirmed yet
    sa.Column("totp_step", sa.BigInteger, nullable=False),  # the last one that was used
    sa.Column("is_disabled", sa.Integer, nullable=False),
    sa.Column("external", sa.Text, unique=True),  # issuer|subject; null: a local account
    sa.Column("created_at", sa.Text, nullable=False),
)

PERSON_ROLE = sa.Table(
    "access_person_role",
    ACCESS,
    sa.Column(
        "person_id",
        sa.Text,
        sa.ForeignKey("access_person.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    sa.Column("tenant", sa.Text, primary_key=True),  # its name, or * for all of them
    sa.Column("role", sa.Text, nullable=False),
)

SETUP_LINK = sa.Table(
    "access_setup_link",
    ACCESS,
    sa.Column("hash", sa.Text, primary_key=True),
    sa.Column(
        "person_id",
        sa.Text,
        sa.ForeignKey("access_person.id", ondelete="CASCADE"),
        nullable=False,
    ),
    sa.Column("expires_at", sa.Text, nullable=False),
)

RECOVERY_CODE = sa.Table(
    "access_recovery_code",
    ACCESS,
    sa.Column("hash", sa.Text, primary_key=True),
    sa.Column(
        "person_id",
        sa.Text,
        sa.ForeignKey("access_person.id", ondelete="CASCADE"),
        nullable=False,
    ),
    sa.Column("used_at", sa.Text),
    sa.Index("access_recovery_code_person", "person_id"),
)

SESSION = sa.Table(
    "access_session",
    ACCESS,
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
    sa.Column(
        "proved_at", sa.Text, nullable=False, server_default=""
    ),  # who they are; empty: long ago
    sa.Index("access_session_person", "person_id"),
)

TOKEN = sa.Table(
    "access_token",
    ACCESS,
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

ATTEMPT = sa.Table(
    "access_attempt",
    ACCESS,
    sa.Column("subject", sa.Text, primary_key=True),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("last_at", sa.Text, nullable=False),
)

APPROVAL = sa.Table(
    "access_approval",
    ACCESS,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("tenant", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),  # the plan's id
    sa.Column("digest", sa.Text, nullable=False),  # SHA-256 of exactly what is approved
    sa.Column("asked_by", sa.Text, nullable=False),
    sa.Column("asked_at", sa.Text, nullable=False),
    sa.Column("expires_at", sa.Text, nullable=False),
    sa.Column("decided_by", sa.Text),
    sa.Column("decided_at", sa.Text),
    sa.Column("is_granted", sa.Integer),
    sa.Column("used_at", sa.Text),
    sa.Index("access_approval_digest", "digest"),
)

SETTING = sa.Table(
    "access_setting",
    ACCESS,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),  # JSON
)

SCHEDULE = sa.Table(
    "access_schedule",
    ACCESS,
    sa.Column("tenant", sa.Text, primary_key=True),
    sa.Column("rule", sa.Text, nullable=False),
    sa.Column("zone", sa.Text, nullable=False),  # IANA name
    sa.Column("after", sa.Text, nullable=False),  # the next run is the first one after this
)

AUDIT = sa.Table(
    "access_audit",
    ACCESS,
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
    sa.Column("detail", sa.Text, nullable=False),  # canonical JSON
    sa.Column("hash", sa.Text, nullable=False),  # over the record and the hash before it
    sa.Index("access_audit_at", "at"),
)
