"""What is restorable, declared from the tables: the generated part of ``docs/restore.md``. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from reentra.directory.kinds import KINDS, ObjectKind
from reentra.directory.relationships import RELATIONSHIPS, Adding, RelationshipKind
from reentra.restore import bodies

BEGIN = "<!-- generated: make docs -->"
END = "<!-- end of the generated part -->"

# What a new object never has of the old one, whatever is written.
_LOST_WHEN_CREATED: dict[str, tuple[tuple[str, str], ...]] = {
    "user": (
        ("the object id", "the new one is in the report and in the identity map"),
        ("the password", "the default password is set, to be changed at the next sign-in"),
        ("authentication methods", "the user registers them again"),
        ("a guest's userPrincipalName and redemption", "the guest is invited again"),
    ),
    "group": (
        ("the object id", "the new one is in the report and in the identity map"),
        ("mailbox, site and team of a Microsoft 365 group", "only the recycle bin keeps them"),
    ),
    "application": (
        ("object id and client id", "clients have to be configured with the new client id"),
        ("client secrets and private keys", "add new ones"),
    ),
    "servicePrincipal": (
        ("the object id", "the new one is in the report and in the identity map"),
        ("client secrets and private keys", "add new ones"),
    ),
    "administrativeUnit": (("the object id", "the new one is in the report"),),
    "conditionalAccessPolicy": (
        ("the id", "the new one is in the report"),
        (
            "the state `enabled`",
            "created in report-only state, and left in it later, unless asked otherwise",
        ),
    ),
    "namedLocation": (("the id", "policies that name it are rewritten"),),
    "unifiedRoleDefinition": (("the id, where the tenant gives another", "it is rewritten"),),
}
_NEVER: dict[str, tuple[bodies.AbsentReason, ...]] = {
    "user": (bodies.AbsentReason.SYNCED,),
    "group": (bodies.AbsentReason.SYNCED, bodies.AbsentReason.MAIL_ENABLED),
    "device": (bodies.AbsentReason.SYNCED,),
    "servicePrincipal": (bodies.AbsentReason.MANAGED_IDENTITY,),
    "unifiedRoleDefinition": (bodies.AbsentReason.BUILT_IN,),
}
_CONDITIONS: dict[bodies.AbsentReason, str] = {
    bodies.AbsentReason.SYNCED: "synchronised from on-premises",
    bodies.AbsentReason.MAIL_ENABLED: "mail-enabled security and distribution groups",
    bodies.AbsentReason.MANAGED_IDENTITY: "managed identities",
    bodies.AbsentReason.BUILT_IN: "built-in roles",
}


def declared_markdown() -> str:
    """Return the tables of what a restore puts back, per kind and relationship, as Markdown."""
    parts = [BEGIN, ""]
    for row in sorted(KINDS.values(), key=lambda row: (row.is_settings, row.phase)):
        parts += [*_kind(row), ""]
    parts += ["## Relationships", "", "| relationship | restored | why not, and what to do |"]
    parts.append("|---|---|---|")
    parts += [_relationship(row) for row in RELATIONSHIPS.values()]
    parts += ["", END, ""]
    return "\n".join(parts)


def with_generated(document: str) -> str:
    """Return ``document`` with its generated part brought up to date; appended when absent."""
    head, begin, rest = document.partition(BEGIN)
    if not begin:
        return f"{document.rstrip()}\n\n{declared_markdown()}" if document else declared_markdown()
    _old, _end, tail = rest.partition(END)
    return head + declared_markdown().rstrip("\n") + (tail if tail.startswith("\n") else "\n")


def _kind(row: ObjectKind) -> list[str]:
    lines = [f"## {row.title} (`{row.name}`)", ""]
    lines.append(f"- Exists, and differs: {_update(row)}")
    if row.has_recycle_bin:
        lines.append("- In the recycle bin: restored from there with its id, then put right.")
    lines.append(f"- Gone: {_create(row)}")
    if row.create_only - row.writable and row.can_create and not row.is_link:
        lines.append(f"- Only at creation: {_names(row.create_only)}.")
    if row.synced_writable:
        lines.append(f"- On synchronised objects only: {_names(row.synced_writable)}.")
    for reason in _NEVER.get(row.name, ()):
        why, instead = bodies.REASONS[reason]
        lines.append(f"- Never: {_CONDITIONS[reason]}. {why} {instead}".rstrip())
    lost = _LOST_WHEN_CREATED.get(row.name)
    if lost:
        lines.append("- Not the same when created anew:")
        lines += [f"  - {what}: {instead}." for what, instead in lost]
    return lines


def _update(row: ObjectKind) -> str:
    names = row.writable | row.update_only
    if not row.can_update or not names:
        reason = "it has nothing of its own to change." if row.is_link else row.reason
        return f"not written: {reason}"
    return f"{_names(names)}. Everything else is read-only."


def _create(row: ObjectKind) -> str:
    if not row.can_create:
        return f"not created. {row.reason}"
    if row.is_link:
        keys = _names(row.natural_key)
        return f"created again; the same {keys} is the same thing."
    return "created anew, with a new id."


def _relationship(row: RelationshipKind) -> str:
    if row.adding is Adding.NOT_WRITABLE:
        return f"| `{row.name}` | no | {row.reason} |"
    notes = []
    if row.property == "members":
        notes.append("Members of dynamic groups and units follow from the rule.")
    if row.source_kind in ("user", "group"):
        notes.append("Not of synchronised objects: restore those in Active Directory.")
    if row.max_targets:
        notes.append(f"At most {row.max_targets}.")
    how = "replaced" if row.is_single else "added where missing; later ones stay"
    return f"| `{row.name}` | {how} | {' '.join(notes)} |"


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))
