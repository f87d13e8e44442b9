"""Who may do what: people, roles, sessions, tokens, approvals, and the trail of what they did.

``roles.is_allowed`` alone decides, and says no by default. Whoever changes something here hands an
``Actor`` over, and the record of the change is written in the same transaction as the change.
This package knows no routes, no Graph and no snapshot; faces ask it before they do anything.

Invariants: what lets somebody in is stored as a hash alone; a name that nobody has costs a caller
as much time as a wrong password; the trail is only ever appended to, each record over the hash of
the one before; nobody approves what they asked for.

Read in this order: ``roles``, ``locks``, ``audit``, ``vault``, ``passwords``, ``totp``,
``recovery``, ``people``, ``sessions``, ``tokens``, ``attempts``, ``signin``, ``rules``,
``approvals``, ``oidc``, ``access``.
"""

from reentra.access.access import Access
from reentra.access.audit import Actor, AuditRecord, Entry, Via
from reentra.access.people import Person
from reentra.access.roles import EVERY_TENANT, Grants, Permission, Role, is_allowed
from reentra.access.rules import ApprovalRules
from reentra.access.signin import Identity

__all__ = [
    "EVERY_TENANT", "Access", "Actor", "ApprovalRules", "AuditRecord", "Entry", "Grants",
    "Identity", "Permission", "Person", "Role", "Via", "is_allowed",
]  # fmt: skip
