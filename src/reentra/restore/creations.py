"""Creations: the steps that make anew what is gone for good.

Reads the tenant through ``TenantState`` only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reentra.directory.kinds import ObjectKind
from reentra.directory.objects import DirectoryObject, canonical_id
from reentra.restore import bodies, extensions, matching, order, prerequisites
from reentra.restore.draft import Draft, PolicyState, chunks, name_of
from reentra.restore.licences import LICENSED_KINDS
from reentra.restore.steps import (
    MISSING_REFERENCE,
    Action,
    Look,
    Password,
    Precondition,
    Step,
)

REPORT_ONLY = "enabledForReportingButNotEnforced"
_SECRETS = ("passwordCredentials", "keyCredentials")
Pair = tuple[DirectoryObject, DirectoryObject | None]


def create_absent(draft: Draft, row: ObjectKind, found: matching.KindMatch) -> list[Pair]:
    pairs: list[Pair] = []
    for chunk in chunks(found.absent):
        loaded = draft.desired.load_objects(row.name, chunk)
        prerequisites.resolve_references(draft, row, loaded)
        for old_id in chunk:
            item = loaded.get(old_id)
            if item is not None and _create(draft, row, item) and row.name in LICENSED_KINDS:
                pairs.append((item, None))
    return pairs


def _create(draft: Draft, row: ObjectKind, item: DirectoryObject) -> bool:
    properties = mapped(draft, item)
    if row.is_link and draft.options.deleted_only and not _is_link_wanted(draft, row, item):
        return False
    if not row.can_create:
        draft.refuse(item, "object", row.reason)
        return False
    reason = no_recreation(row, properties)
    if reason is not None:
        draft.refuse(item, "object", *bodies.REASONS[reason])
        return False
    dead, blocked = prerequisites.dead_references(draft, row, item, {})
    if blocked or (row.is_link and dead):
        draft.refuse(
            item,
            "object",
            f"It refers to what does not exist in the tenant: "
            f"{prerequisites.titles(draft, sorted({*blocked, *dead}))}.",
            "Restore those too: add them to the selection.",
            code=MISSING_REFERENCE,
        )
        return False
    if dead:
        draft.warnings.append(
            f"{row.name} {name_of(item)} referred to {', '.join(sorted(dead))}, which did not "
            "exist when the snapshot was taken; it is created without them."
        )
    if row.name == "servicePrincipal" and not prerequisites.has_application(draft, item):
        draft.refuse(
            item,
            "object",
            f"Its application (client id {item.get('appId')}) does not exist in the tenant.",
            "Restore the application too: add it to the selection.",
            code=MISSING_REFERENCE,
        )
        return False
    disabled = prerequisites.disabled_role(draft, item)
    if disabled:
        draft.refuse(
            item,
            "object",
            f"The role {disabled} is disabled in the snapshot; Graph assigns enabled ones only.",
            "Enable the role, assign it by hand, and disable it again.",
        )
        return False
    properties = prerequisites.without_ids(properties, dead)
    properties = extensions.without_undefined(draft, item, properties)
    name = display(draft, row, item)
    depends_on = (
        *prerequisites.made_references(draft, row, item, properties),
        *extensions.makers(draft, properties),
    )
    step_id = f"create/{item.ref}"
    if row.name == "user" and bodies.is_guest_by_invitation(properties):
        if not _invite(draft, row, item, properties, step_id):
            return False
    else:
        body = bodies.create_body(row.name, properties)
        lacking = sorted(field for field in row.required if body.get(field) is None)
        if lacking:
            draft.refuse(
                item,
                "object",
                f"The snapshot does not hold what Graph needs to create it: {', '.join(lacking)}.",
                "Create it by hand.",
            )
            return False
        password = Password.NOT_NEEDED
        if row.name == "user":
            password, body["passwordProfile"] = _password(properties)
            _warn_taken(draft, item, body)
        if row.name == "conditionalAccessPolicy":
            _lower_state(draft, item, body)
        draft.steps.append(
            Step(
                id=step_id,
                action=Action.CREATE,
                ref=item.ref,
                name=name,
                summary=f"Create {name} anew; it gets a new id" if not row.is_link
                else f"Create {name} anew",
                precondition=Precondition.ABSENT,
                phase=row.phase,
                depends_on=depends_on,
                body=body,
                look=_link_look(draft, row, item),
                password=password,
                app_id=str(item.get("appId") or "") if row.name == "application" else "",
            )
        )  # fmt: skip
        _check_afterwards(draft, row, item, properties, step_id)
    draft.made[item.id] = step_id
    if row.name == "extensionProperty":
        draft.made_extensions[str(properties.get("name")).lower()] = step_id
    if row.name == "application":
        _second_pass(draft, row, item, properties, step_id)
        if item.get("appId"):
            draft.made_apps[canonical_id(str(item.get("appId")))] = step_id
    _tell_lost_secrets(draft, item)
    for name, (why, instead) in bodies.LOST_AT_CREATION.get(row.name, {}).items():
        if properties.get(name):
            draft.refuse(item, name, why, instead)
    if bodies.own_identities(properties):
        refuse_identities(draft, item)
    return True


def _check_afterwards(
    draft: Draft,
    row: ObjectKind,
    item: DirectoryObject,
    properties: Mapping[str, Any],
    step_id: str,
) -> None:
    """Add a step for a link that may come out of the recycle bin with one of its ends, changed."""
    if not (row.is_link and row.can_update and _link_look(draft, row, item) is Look.OBJECT):
        return
    draft.steps.append(
        Step(
            id=f"update/{item.ref}",
            action=Action.UPDATE,
            ref=item.ref,
            name=display(draft, row, item),
            summary=f"Check {', '.join(sorted(row.writable))} after the undelete",
            precondition=Precondition.PRESENT,
            phase=row.phase,
            depends_on=(step_id,),
            body={name: properties.get(name) for name in (*row.natural_key, *sorted(row.writable))},
            look=Look.OBJECT,
        )
    )


def _invite(
    draft: Draft,
    row: ObjectKind,
    item: DirectoryObject,
    properties: Mapping[str, Any],
    step_id: str,
) -> bool:
    body = bodies.invitation_body(properties)
    if body is None:
        draft.refuse(
            item,
            "object",
            "A guest comes back by invitation, and the snapshot holds no address to invite.",
            "Invite the guest by hand.",
        )
        return False
    name = name_of(item)
    draft.steps.append(
        Step(
            id=step_id,
            action=Action.INVITE,
            ref=item.ref,
            name=name,
            summary=f"Invite the guest {name} again, without a mail; the guest gets a new id",
            precondition=Precondition.ABSENT,
            phase=row.phase,
            body=body,
        )
    )
    values = bodies.target_values("user", properties)
    for left_out in ("userPrincipalName", "mail", "mailNickname", "userType"):
        values.pop(left_out, None)  # the invitation sets them
    draft.steps.append(
        Step(
            id=f"update/{item.ref}",
            action=Action.UPDATE,
            ref=item.ref,
            name=name,
            summary="Check the guest's properties after the invitation, and put back what differs",
            precondition=Precondition.PRESENT,
            phase=row.phase + 1,
            depends_on=(step_id, *extensions.makers(draft, values)),
            body=values,
            look=Look.OBJECT,
        )
    )
    return True


def _second_pass(
    draft: Draft,
    row: ObjectKind,
    item: DirectoryObject,
    properties: Mapping[str, Any],
    step_id: str,
) -> None:
    body = bodies.second_body(row.name, properties)
    if not body:
        return
    draft.steps.append(
        Step(
            id=f"update/{item.ref}",
            action=Action.UPDATE,
            ref=item.ref,
            name=name_of(item),
            summary=f"Complete {', '.join(sorted(body))} with the new client ids",
            precondition=Precondition.PRESENT,
            phase=order.SECOND_PASS_PHASE,
            depends_on=(step_id,),
            body=body,
        )
    )


def _password(properties: Mapping[str, Any]) -> tuple[Password, dict[str, Any]]:
    """Return where the password comes from, and the profile without it.

    A backed-up profile is restored as it is, with its flags. Graph never gives the password
    itself, so the default one takes its place; where nothing was backed up, the user has to change
    it at the next sign-in.
    """
    profile = properties.get("passwordProfile")
    kept = {
        key: value
        for key, value in (profile if isinstance(profile, Mapping) else {}).items()
        if key != "password" and value is not None
    }
    if isinstance(profile, Mapping) and profile.get("password"):
        return Password.BACKED_UP, kept
    return Password.DEFAULT, {"forceChangePasswordNextSignIn": True, **kept}


def _warn_taken(draft: Draft, item: DirectoryObject, body: Mapping[str, Any]) -> None:
    holder = draft.held.get(str(body.get("userPrincipalName") or "").lower())
    if holder is not None:
        draft.warnings.append(
            f"user {name_of(item)} cannot be created while {holder} has its userPrincipalName "
            f"{body['userPrincipalName']}."
        )


def _lower_state(draft: Draft, item: DirectoryObject, body: dict[str, Any]) -> None:
    if (
        body.get("state") == "enabled"
        and draft.options.conditional_access_state is PolicyState.REPORT_ONLY
    ):
        body["state"] = REPORT_ONLY
        draft.warnings.append(
            f"Conditional Access policy {name_of(item)} is created in report-only state; "
            "enable it once its effect has been looked at."
        )


def refuse_identities(draft: Draft, item: DirectoryObject) -> None:
    draft.refuse(
        item,
        "identities",
        "Sign-in names beside the userPrincipalName are not written.",
        "Add them by hand; the snapshot shows which.",
    )


def _tell_lost_secrets(draft: Draft, item: DirectoryObject) -> None:
    held = [name for name in _SECRETS if item.get(name)]
    if held:
        draft.refuse(
            item,
            ", ".join(held),
            "Client secrets and private keys can never be read back from Graph.",
            "Add new ones, and give them to whoever uses the application.",
            code="secret",
        )


def mapped(draft: Draft, item: DirectoryObject) -> dict[str, Any]:
    return draft.identity.rewritten(item.kind, item.properties)


def no_recreation(row: ObjectKind, properties: Mapping[str, Any]) -> bodies.AbsentReason | None:
    if bodies.is_synced(properties):
        return bodies.AbsentReason.SYNCED
    return bodies.never_written(row.name, properties)


def _is_link_wanted(draft: Draft, row: ObjectKind, item: DirectoryObject) -> bool:
    if draft.selection.is_everything or draft.selection.contains(row.name, item.id):
        return True
    return any(end in draft.made for end, _kinds in matching.ends_of(row, item.properties))


def _link_look(draft: Draft, row: ObjectKind, item: DirectoryObject) -> Look:
    """Links of what comes out of the recycle bin come along; look before creating them."""
    if not row.is_link:
        return Look.NOT_NEEDED
    ends = matching.ends_of(row, item.properties)
    is_undeleted = any(end in draft.undeleted for end, _kinds in ends)
    return Look.OBJECT if is_undeleted else Look.NOT_NEEDED


def display(draft: Draft, row: ObjectKind, item: DirectoryObject) -> str:
    if not row.is_link:
        return name_of(item)
    ends = [end for end, _kinds in matching.ends_of(row, item.properties)]
    parts = [draft.title(end) for end in ends]
    if row.is_owned:
        parts.append(name_of(item))
    return " → ".join(parts) or item.id
