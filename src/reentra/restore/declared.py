"""What is restorable, declared from the tables: the generated part of ``docs/restore.md``. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from reentra.directory.kinds import KINDS, ObjectKind
from reentra.directory.relationships import RELATIONSHIPS, Adding, RelationshipKind
from reentra.restore import bodies, unwritten

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
    "authenticationStrengthPolicy": (bodies.AbsentReason.BUILT_IN,),
}
_CONDITIONS: dict[bodies.AbsentReason, str] = {
    bodies.AbsentReason.SYNCED: "synchronised from on-premises",
    bodies.AbsentReason.MAIL_ENABLED: "mail-enabled security and distribution groups",
    bodies.AbsentReason.MANAGED_IDENTITY: "managed identities",
    bodies.AbsentReason.BUILT_IN: "built-in ones",
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


def fates(row: ObjectKind) -> list[str]:
    """Return what a restore does with objects of a kind, in sentences of Markdown."""
    lines = []
    if not row.can_update or not (row.writable or row.update_only):
        reason = "it has nothing of its own to change." if row.is_link else row.reason
        lines.append(f"Exists, and differs: not written: {reason}")
    if row.has_recycle_bin:
        lines.append("In the recycle bin: restored from there with its id, then put right.")
    if row.own_bin:
        lines.append(
            "In the recycle bin of Conditional Access, where the tenant has one and lets the "
            "application use it: restored from there with its id, then put right."
        )
    lines.append(f"Gone: {_create(row)}")
    for reason in _NEVER.get(row.name, ()):
        why, instead = bodies.REASONS[reason]
        lines.append(f"Never: {_CONDITIONS[reason]}. {why} {instead}".rstrip())
    return lines


def _kind(row: ObjectKind) -> list[str]:
    lines = [f"## {row.title} (`{row.name}`)", "", *(f"- {line}" for line in fates(row))]
    lost = _LOST_WHEN_CREATED.get(row.name)
    if lost:
        lines.append("- Not the same when created anew:")
        lines += [f"  - {what}: {instead}." for what, instead in lost]
    return [*lines, "", *_properties(row)]


def _properties(row: ObjectKind) -> list[str]:
    """Return the table of a kind's properties: what is restored of each, and what to do if not."""
    lines = ["| property | restored | what to do instead |", "|---|---|---|"]
    known = {
        *row.select, *row.supplement, *row.writable, *row.update_only, *row.create_only,
        *row.volatile, *unwritten.INSTEAD.get(row.name, {}),
    } - {"id"}  # fmt: skip
    for name in sorted(known, key=str.lower):
        restored, instead = _property(row, name)
        lines.append(f"| `{name}` | {restored} | {instead} |")
    if row.has_extensions:
        names = "`extension_{appId}_{name}`"
        lines.append(f"| {names} | yes, under the name that it has by then |  |")
    rest = "read-only, unless this table names it" if not row.select else "no"
    lines.append(f"| anything else that Graph returned | {rest} | kept in the snapshot |")
    return lines


def _property(row: ObjectKind, name: str) -> tuple[str, str]:
    synced = (
        "Of synchronised objects too."
        if name in row.synced_writable
        else ("" if not row.synced_writable else "Of synchronised objects: in Active Directory.")
    )
    if row.can_update and row.may_update(name):
        is_created = row.can_create and row.may_create(name)
        return ("yes" if is_created else "yes, where it exists"), synced
    if row.can_create and row.may_create(name):
        if row.is_link:
            return "yes, by creating it again", ""
        return "only at creation", "Delete the object and restore it again if the value matters."
    return "no", unwritten.instead_of(row.name, name)


def _create(row: ObjectKind) -> str:
    if not row.can_create:
        return f"not created. {row.reason}"
    if row.is_owned:
        return f"created again as a part of its {row.per_source_of}."
    if row.is_upserted or "id" in row.create_only or row.id_property != "id":
        return "created again under the id that it had."
    if row.is_link:
        keys = _names(row.natural_key)
        return f"created again; the same {keys} is the same thing."
    return "created anew, with a new id."


def _relationship(row: RelationshipKind) -> str:
    how, notes = relationship_fate(row)
    return f"| `{row.name}` | {how} | {notes} |"


def relationship_fate(row: RelationshipKind) -> tuple[str, str]:
    """Return how links of a relationship are restored, and what is to be known of it."""
    if row.adding is Adding.NOT_WRITABLE:
        return "no", row.reason
    notes = []
    if row.property == "members":
        notes.append("Members of dynamic groups and units follow from the rule.")
    if row.source_kind in ("user", "group"):
        notes.append("Not of synchronised objects: restore those in Active Directory.")
    if row.max_targets:
        notes.append(f"At most {row.max_targets}.")
    how = "replaced" if row.is_single else "added where missing; later ones stay"
    return how, " ".join(notes)


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))
