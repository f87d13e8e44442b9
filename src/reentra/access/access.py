"""``Access``: everything of this package over one database, and the settings that people make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
import sqlalchemy as sa

from reentra import clock as clocks
from reentra.access import audit
from reentra.access.approvals import Approvals
from reentra.access.attempts import Attempts
from reentra.access.audit import Actor, AuditTrail, Entry
from reentra.access.people import People
from reentra.access.sessions import Sessions
from reentra.access.signin import SignIn
from reentra.access.tokens import Tokens
from reentra.access.vault import Vault
from reentra.database import Database
from reentra.database.tables_access import SETTING


class Access:
    """Who may do what in one installation. Safe for use by many threads."""

    def __init__(
        self, database: Database, vault: Vault, clock: clocks.Clock = clocks.SYSTEM
    ) -> None:
        self.database = database
        self.vault = vault
        self.clock = clock
        self.trail = AuditTrail(database, clock)
        self.people = People(database, vault, clock)
        self.sessions = Sessions(database, clock)
        self.tokens = Tokens(database, clock)
        self.attempts = Attempts(database, clock)
        self.approvals = Approvals(database, clock)
        self.sign_in = SignIn(
            database, self.people, self.sessions, self.tokens, self.attempts, self.trail
        )

    def load_setting(self, name: str) -> dict[str, Any]:
        """Return a setting; an empty one where nobody set it."""
        query = sa.select(SETTING.c.value).where(SETTING.c.name == name)
        with self.database.reading() as connection:
            value = connection.execute(query).scalar()
        return {} if value is None else dict(orjson.loads(value))

    def save_setting(self, actor: Actor, name: str, value: Mapping[str, Any]) -> None:
        """Change a setting. Secrets in it must be sealed; its keys stand in the trail."""
        with self.database.writing() as connection:
            connection.execute(sa.delete(SETTING).where(SETTING.c.name == name))
            connection.execute(
                sa.insert(SETTING), {"name": name, "value": orjson.dumps(dict(value)).decode()}
            )
            entry = Entry("settings.change", target=name, detail={"fields": sorted(value)})
            audit.append(connection, self.clock.now(), actor, entry)
