"""The second person: what is approved is a digest, and what has that digest is what is done."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from reentra import clock as clocks
from reentra import errors
from reentra.access import audit
from reentra.access.audit import Actor, Entry
from reentra.access.locks import Lock, hold
from reentra.access.moments import stored_time
from reentra.access.people import load_person
from reentra.access.roles import EVERY_TENANT, is_allowed
from reentra.access.rules import needed_for
from reentra.database import Database
from reentra.database.tables_access import APPROVAL, AUDIT, PERSON

GOOD_FOR_HOURS = 24
# How long before the question a way in that the asker gave somebody still counts against them.
BEHOLDEN_HOURS = 24
# What gives somebody a way in, or leave to use it.
_WAYS_IN = ("people.add", "people.link", "people.role", "people.enable", "people.totp")


@dataclass(frozen=True, slots=True)
class Approval:
    """One request for a second person's word, and that word. ``asked_by`` is a person's id."""

    id: str
    action: str
    tenant: str
    subject: str
    digest: str
    asked_by: str
    asked_at: str
    expires_at: str
    decided_by: str | None
    decided_at: str | None
    is_granted: bool | None
    used_at: str | None

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "action": self.action,
            "tenant": self.tenant,
            "subject": self.subject,
            "digest": self.digest,
            "asked_by": self.asked_by,
            "asked_at": self.asked_at,
            "expires_at": self.expires_at,
            "decided_by": self.decided_by,
            "decided_at": self.decided_at,
            "granted": self.is_granted,
            "used_at": self.used_at,
        }


class Approvals:
    """Asks for approvals, decides them, and uses each one up once."""

    __slots__ = ("_clock", "_database")

    def __init__(self, database: Database, clock: clocks.Clock) -> None:
        self._database = database
        self._clock = clock

    def ask(self, actor: Actor, action: str, tenant: str, subject: str, digest: str) -> Approval:
        """Ask for a second person's word on exactly what has this digest.

        The same person asking for the same thing again gets the request that is still open.
        """
        now = self._clock.now()
        with self._database.writing() as connection:
            hold(connection, Lock.APPROVALS)
            query = sa.select(APPROVAL).where(
                APPROVAL.c.action == action,
                APPROVAL.c.tenant == tenant,
                APPROVAL.c.digest == digest,
                APPROVAL.c.asked_by == actor.id,
                APPROVAL.c.decided_at.is_(None),
                APPROVAL.c.expires_at > stored_time(now),
            )
            known = connection.execute(query).mappings().first()
            if known is not None:
                return _approval(known)
            row = {
                "id": clocks.new_id(),
                "action": action,
                "tenant": tenant,
                "subject": subject,
                "digest": digest,
                "asked_by": actor.id,
                "asked_at": stored_time(now),
                "expires_at": stored_time(now + dt.timedelta(hours=GOOD_FOR_HOURS)),
                "decided_by": None,
                "decided_at": None,
                "is_granted": None,
                "used_at": None,
            }
            connection.execute(sa.insert(APPROVAL), row)
            entry = Entry("approval.ask", tenant, subject, detail={"digest": digest, "for": action})
            audit.append(connection, now, actor, entry)
            return _approval(row)

    def load(self, approval_id: str, tenant: str) -> Approval:
        """Return one request of a tenant.

        Raises: ``NotFound``.
        """
        with self._database.reading() as connection:
            return _approval(_load(connection, approval_id, tenant))

    def decide(self, actor: Actor, approval_id: str, tenant: str, *, is_granted: bool) -> Approval:
        """Say yes or no to what somebody else asked for.

        Raises: ``NotFound``; ``Refused`` to who asked for it, to whom they gave a way in lately or
        who gave them theirs, and when it is decided or too old.
        """
        now = self._clock.now()
        with self._database.writing() as connection:
            row = _load(connection, approval_id, tenant)
            if not actor.id or row["asked_by"] == actor.id:
                raise errors.Refused(
                    "Nobody approves what they asked for themselves.",
                    hint="Another person with the role must decide.",
                )
            if actor.id in _beholden(connection, row["asked_by"], row["asked_at"]):
                raise errors.Refused(
                    f"{actor.name} has given a way in or a role to who asks for this in the last"
                    f" {BEHOLDEN_HOURS} hours, or has one from the same hand, and cannot decide.",
                    hint="Somebody else with the role decides; or ask again a day later.",
                )
            if row["decided_at"] is not None or row["expires_at"] <= stored_time(now):
                raise errors.Refused(
                    "This request was decided already, or is too old.", hint="Ask again."
                )
            decided = connection.execute(
                sa.update(APPROVAL)
                .where(APPROVAL.c.id == approval_id, APPROVAL.c.decided_at.is_(None))
                .values(
                    decided_by=actor.id, decided_at=stored_time(now), is_granted=int(is_granted)
                )
            )
            if decided.rowcount != 1:
                raise errors.Refused("Somebody else was faster to decide this.", hint="Look again.")
            result = "granted" if is_granted else "denied"
            detail = {"digest": row["digest"], "for": row["action"]}
            entry = Entry("approval.decide", tenant, row["subject"], result, detail)
            audit.append(connection, now, actor, entry)
            return _approval(_load(connection, approval_id, tenant))

    def use(self, actor: Actor, action: str, tenant: str, digest: str) -> None:
        """Use up the approval that fits, so that it serves once.

        Whoever granted it may not be who uses it, and must still be allowed what they granted.
        Raises: ``errors.ApprovalNeeded``.
        """
        with self._database.writing() as connection:
            self.use_within(connection, actor, action, tenant, digest)

    def use_within(
        self, connection: sa.Connection, actor: Actor, action: str, tenant: str, digest: str
    ) -> None:
        """Use up the approval that fits, in the caller's transaction.

        Raises: ``errors.ApprovalNeeded``.
        """
        now = self._clock.now()
        rows = connection.execute(
            sa.select(APPROVAL)
            .where(APPROVAL.c.action == action, APPROVAL.c.tenant == tenant)
            .where(APPROVAL.c.digest == digest, APPROVAL.c.is_granted == 1)
            .where(APPROVAL.c.used_at.is_(None), APPROVAL.c.decided_by != actor.id)
            .where(APPROVAL.c.expires_at > stored_time(now))
        ).mappings().all()  # fmt: skip
        row = next((one for one in rows if _stands(connection, one)), None)
        used = 0
        if row is not None:
            # By a condition: of two at the same moment, one finds it used.
            used = connection.execute(
                sa.update(APPROVAL)
                .where(APPROVAL.c.id == row["id"], APPROVAL.c.used_at.is_(None))
                .values(used_at=stored_time(now))
            ).rowcount
        if row is None or used != 1:
            raise errors.ApprovalNeeded(
                "A second person must approve exactly this first; nothing was done.",
                hint="Ask for it, let somebody else approve it, and do it then.",
            )
        detail = {"digest": digest, "for": action}
        entry = Entry("approval.use", tenant, row["subject"], detail=detail)
        audit.append(connection, now, actor, entry)

    def list_approvals(self, tenant: str, limit: int = 100) -> list[Approval]:
        """Return the requests of a tenant, or (``""``) of the installation, newest first."""
        query = sa.select(APPROVAL).where(APPROVAL.c.tenant == tenant)
        query = query.order_by(APPROVAL.c.asked_at.desc()).limit(limit)
        with self._database.reading() as connection:
            return [_approval(row) for row in connection.execute(query).mappings()]


def _load(connection: sa.Connection, approval_id: str, tenant: str) -> sa.RowMapping:
    query = sa.select(APPROVAL).where(APPROVAL.c.id == approval_id, APPROVAL.c.tenant == tenant)
    row = connection.execute(query).mappings().first()
    if row is None:
        raise errors.NotFound(
            f"There is no request {approval_id!r} for approval.", hint="List those of the tenant."
        )
    return row


def _stands(connection: sa.Connection, row: sa.RowMapping) -> bool:
    """Tell whether who granted a request would be allowed to do so now."""
    granter = load_person(connection, row["decided_by"])
    if granter is None or granter.is_disabled:
        return False
    return is_allowed(granter.grants, needed_for(row["action"]), row["tenant"] or EVERY_TENANT)


def _beholden(connection: sa.Connection, asker_id: str, asked_at: str) -> set[str]:
    """Return the ids of all whom one hand lately gave a way in, as it did the asker, and that hand.

    Those from whom the asker has a way in count as the asker does: else they would have somebody
    of their own ask. The trail tells: it holds every such gift, in order, and nobody takes one out.
    """
    since = clocks.parse_iso(asked_at) - dt.timedelta(hours=BEHOLDEN_HOURS)
    rows = connection.execute(
        sa.select(AUDIT.c.who_id, AUDIT.c.action, AUDIT.c.target)
        .where(AUDIT.c.at >= stored_time(since))
        .where(AUDIT.c.action.in_((*_WAYS_IN, "settings.change")))
        .order_by(AUDIT.c.number)
    ).all()
    people: dict[str, set[str]] = {}
    outside: set[str] = set()
    for person in connection.execute(sa.select(PERSON.c.id, PERSON.c.name, PERSON.c.external)):
        people.setdefault(audit.line(person.name), set()).add(person.id)
        if person.external is not None:
            outside.add(person.id)
    gifts: list[tuple[str, set[str]]] = []
    for row in rows:
        # Whoever says which groups have which role makes everybody from there.
        is_provider = row.action == "settings.change" and row.target == "oidc"
        gifts.append((row.who_id, outside if is_provider else people.get(row.target, set())))
    found = {asker_id}
    for giver, receivers in reversed(gifts):
        if giver and not found.isdisjoint(receivers):
            found.add(giver)
    for giver, receivers in gifts:
        if giver in found:
            found |= receivers
    return found - {asker_id}


def _approval(row: Any) -> Approval:
    values = dict(row)
    granted = values["is_granted"]
    return Approval(**{**values, "is_granted": None if granted is None else bool(granted)})
