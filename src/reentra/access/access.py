"""``Access``: everything of this package over one database, and the settings that people make."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson
import sqlalchemy as sa

from reentra import clock as clocks
from reentra import errors
from reentra.access import audit
from reentra.access.approvals import Approvals
from reentra.access.attempts import Attempts
from reentra.access.audit import Actor, AuditTrail, Entry, Via
from reentra.access.locks import Lock, hold
from reentra.access.moments import stored_time
from reentra.access.people import People
from reentra.access.rules import LOOSEN, ApprovalRules
from reentra.access.sessions import Sessions
from reentra.access.signin import SignIn
from reentra.access.tokens import Tokens
from reentra.access.vault import Vault
from reentra.database import Database
from reentra.database.tables_access import APPROVAL, PERSON_ROLE, SETTING, TOKEN

if TYPE_CHECKING:
    from reentra.access.oidc import OidcFlow, Provider

OIDC = "oidc"
APPROVAL_RULES = "approval"


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
            database,
            self.people,
            self.sessions,
            self.tokens,
            self.attempts,
            self.trail,
            lambda: bool(self.load_setting(OIDC).get("enabled")),
            clock,
        )
        self._flow: tuple[Provider, OidcFlow] | None = None

    def load_provider(self) -> Provider | None:
        """Return the identity provider, believed or not; ``None`` where nobody set one."""
        from reentra.access.oidc import Provider

        value = self.load_setting(OIDC)
        return Provider.from_json(value) if value else None

    def save_provider(self, actor: Actor, provider: Provider) -> None:
        """Set the identity provider.

        People of one that is not believed are out at once; so are those who came by other rules, or
        from another directory, whose roles they lose until they sign in again.
        """
        known = self.load_provider()
        self.save_setting(actor, OIDC, provider.to_json())
        is_other = known is not None and (known.authority, known.directory, known.rules) != (
            provider.authority, provider.directory, provider.rules,
        )  # fmt: skip
        if is_other:
            self.people.forget_external_roles(actor)
        if is_other or not provider.is_enabled:
            self.sessions.end_external()

    def forget_tenant(self, actor: Actor, tenant: str, retired: str) -> None:
        """Take back what was granted for a tenant's name: whatever has it next inherits nothing.

        Roles and rules go, tokens are revoked, and what was approved is void; requests stand under
        the name ``retired``.
        """
        provider = self.load_provider()
        if provider is not None and any(rule.tenant == tenant for rule in provider.rules):
            rules = tuple(rule for rule in provider.rules if rule.tenant != tenant)
            self.save_setting(actor, OIDC, dataclasses.replace(provider, rules=rules).to_json())
        now = self.clock.now()
        with self.database.writing() as connection:
            hold(connection, Lock.PEOPLE)
            hold(connection, Lock.APPROVALS)
            roles = connection.execute(
                sa.delete(PERSON_ROLE).where(PERSON_ROLE.c.tenant == tenant)
            ).rowcount
            tokens = connection.execute(
                sa.update(TOKEN)
                .where(TOKEN.c.tenant == tenant, TOKEN.c.revoked_at.is_(None))
                .values(revoked_at=stored_time(now))
            ).rowcount
            approvals = connection.execute(
                sa.update(APPROVAL)
                .where(APPROVAL.c.tenant == tenant, APPROVAL.c.used_at.is_(None))
                .where(APPROVAL.c.expires_at > stored_time(now))
                .values(expires_at=stored_time(now))
            ).rowcount
            connection.execute(
                sa.update(APPROVAL).where(APPROVAL.c.tenant == tenant).values(tenant=retired)
            )
            detail = {"roles": roles, "tokens": tokens, "approvals": approvals}
            audit.append(connection, now, actor, Entry("tenant.forget", tenant, detail=detail))

    def set_provider_believed(self, actor: Actor, *, is_believed: bool) -> None:
        """Switch signing in with the provider off in an emergency, or on again.

        Raises: ``NotFound`` where there is none.
        """
        provider = self.load_provider()
        if provider is None:
            raise _no_provider()
        self.save_provider(actor, dataclasses.replace(provider, is_enabled=is_believed))

    def oidc(self) -> OidcFlow:
        """Return the way to sign in with the identity provider.

        Raises: ``NotFound`` where there is none, or it is switched off.
        """
        from reentra.access.oidc import OidcFlow

        provider = self.load_provider()
        if provider is None or not provider.is_enabled:
            raise _no_provider()
        if self._flow is None or self._flow[0] != provider:
            self._flow = (provider, OidcFlow(provider, self.vault, self.people, self.clock))
        return self._flow[1]

    def load_rules(self) -> ApprovalRules:
        """Return what needs a second person."""
        return ApprovalRules.from_json(self.load_setting(APPROVAL_RULES))

    def change_rules(self, actor: Actor, wanted: ApprovalRules) -> None:
        """Change what needs a second person.

        What loosens the rules needs one itself, but on the command line; what tightens them does
        not. The rules are looked at and changed in one transaction: of two changes at once the
        second is measured by the first.
        Raises: ``errors.ApprovalNeeded``, after having asked for it.
        """
        now = self.clock.now()
        try:
            with self.database.writing() as connection:
                hold(connection, Lock.SETTINGS)
                known = ApprovalRules.from_json(_stored(connection, APPROVAL_RULES))
                if known.is_loosened_by(wanted) and actor.via is not Via.COMMAND:
                    digest = known.digest_of_change(wanted)
                    self.approvals.use_within(connection, actor, LOOSEN, "", digest)
                _store(connection, APPROVAL_RULES, wanted.to_json())
                detail = {"before": known.to_json(), "after": wanted.to_json()}
                entry = Entry("settings.change", target=APPROVAL_RULES, detail=detail)
                audit.append(connection, now, actor, entry)
        except errors.ApprovalNeeded:
            change = f"{known.described()} → {wanted.described()}"
            self.approvals.ask(actor, LOOSEN, "", change, known.digest_of_change(wanted))
            raise

    def load_setting(self, name: str) -> dict[str, Any]:
        """Return a setting; an empty one where nobody set it."""
        with self.database.reading() as connection:
            return _stored(connection, name)

    def save_setting(self, actor: Actor, name: str, value: Mapping[str, Any]) -> None:
        """Change a setting. Secrets in it must be sealed; its keys stand in the trail."""
        with self.database.writing() as connection:
            hold(connection, Lock.SETTINGS)
            _store(connection, name, value)
            entry = Entry("settings.change", target=name, detail={"fields": sorted(value)})
            audit.append(connection, self.clock.now(), actor, entry)


def _stored(connection: sa.Connection, name: str) -> dict[str, Any]:
    query = sa.select(SETTING.c.value).where(SETTING.c.name == name)
    value = connection.execute(query).scalar()
    return {} if value is None else dict(orjson.loads(value))


def _store(connection: sa.Connection, name: str, value: Mapping[str, Any]) -> None:
    connection.execute(sa.delete(SETTING).where(SETTING.c.name == name))
    connection.execute(
        sa.insert(SETTING), {"name": name, "value": orjson.dumps(dict(value)).decode()}
    )


def _no_provider() -> errors.NotFound:
    return errors.NotFound(
        "Nobody signs in with an identity provider here.",
        hint="Sign in with a local account, or set a provider.",
        typed="reentra oidc set",
    )
