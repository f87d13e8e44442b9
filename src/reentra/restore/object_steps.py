"""Steps for objects: put back what exists, bring back what is in the recycle bin, create the rest.

Reads the tenant through ``TenantState`` only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reentra import errors
from reentra.directory import references
from reentra.directory.kinds import KINDS, IdForm, ObjectKind
from reentra.directory.objects import DirectoryObject
from reentra.restore import bodies, matching, order
from reentra.restore.draft import (
    Draft,
    PolicyState,
    SettingsBehavior,
    chunks,
    name_of,
    read_or_refuse,
)
from reentra.restore.licences import LICENSED_KINDS, LicencePlanner
from reentra.restore.steps import Action, Look, Password, Precondition, Step

_REPORT_ONLY = "enabledForReportingButNotEnforced"
_SECRETS = ("passwordCredentials", "keyCredentials")
_Pair = tuple[DirectoryObject, DirectoryObject | None]


def plan_kind(draft: Draft, kind: str, licences: LicencePlanner) -> None:
    """Add the steps for the selected objects of one kind."""
    row = KINDS[kind]
    coverage = draft.desired.coverage().get(kind)
    if coverage is None:
        return
    if not coverage.is_complete and draft.selection.takes_whole(kind):
        reason = f": {coverage.reason}" if coverage.reason else ""
        draft.warnings.append(
            f"{row.title} are {coverage.status.value} in the snapshot{reason}; "
            "what it lacks cannot be restored."
        )
    if row.is_settings and draft.options.settings is SettingsBehavior.SKIP:
        if draft.selection.touches(kind):
            draft.warnings.append(f"{row.title}: settings are skipped, as chosen.")
        return
    try:
        found = (
            matching.match_links(draft, kind)
            if row.is_link
            else matching.match_objects(draft, kind)
        )
        pairs = [
            *_bring_back(draft, row, found),
            *_create_absent(draft, row, found),
            *_put_back(draft, row, found),
        ]
    except (errors.Forbidden, errors.InvalidRequest) as error:
        read_or_refuse(draft, kind, "object", error)
        return
    if kind in LICENSED_KINDS:
        licences.plan(pairs)


# --- what exists ----------------------------------------------------------------------------------


def _put_back(draft: Draft, row: ObjectKind, found: matching.KindMatch) -> list[_Pair]:
    pairs: list[_Pair] = []
    if draft.options.deleted_only:
        return pairs
    for chunk in chunks(sorted(found.differing)):
        loaded = draft.desired.load_objects(row.name, chunk)
        _resolve_references(draft, row, loaded)
        for old_id in chunk:
            item = loaded.get(old_id)
            if item is None:
                continue
            live = found.take_live(old_id)
            properties = _mapped(draft, item)
            names = bodies.differing(row.name, properties, live.properties)
            if row.name in LICENSED_KINDS and "assignedLicenses" in names:
                pairs.append((item, live))
            _update(draft, row, item, live, names)
    return pairs


def _update(
    draft: Draft,
    row: ObjectKind,
    item: DirectoryObject,
    live: DirectoryObject,
    names: frozenset[str],
) -> None:
    properties = _mapped(draft, item)
    reason = bodies.never_written(row.name, live.properties)
    writable = names & (row.writable | row.update_only)
    if reason is not None or (not row.can_update and writable):
        why, instead = bodies.REASONS[reason or bodies.AbsentReason.KIND]
        listed = writable or bodies.read_only_differences(row.name, names)
        if listed:
            draft.refuse(item, ", ".join(sorted(listed)), row.reason or why, instead)
        return
    if not row.can_update:
        return
    dead, blocked = _dead_references(draft, row, item, live.properties)
    blocked_names = {pointer.partition("/")[0] for pointer in blocked.values()} & names
    for name in sorted(blocked_names):
        gone = sorted(one for one, where in blocked.items() if where.partition("/")[0] == name)
        draft.refuse(
            item,
            name,
            f"It refers to what does not exist in the tenant: {_titles(draft, gone)}.",
            "Restore those too: add them to the selection.",
        )
    properties = _without_ids(properties, dead)
    refused = bodies.refused_updates(row.name, properties, live.properties, names)
    for name, (why, instead) in refused.items():
        draft.refuse(item, name, why, instead)
    if live.id == item.id:
        read_only = bodies.read_only_differences(row.name, names)
        if read_only:
            draft.refuse(
                item,
                ", ".join(sorted(read_only)),
                "Read-only: Microsoft Entra sets it, or another system that owns it does.",
                code="read_only",
            )
    sent = bodies.update_bodies(row.name, properties, live.properties, names - blocked_names)
    previous = ""
    for number, body in enumerate(sent, start=1):
        step_id = f"update/{item.ref}" + (f"#{number}" if number > 1 else "")
        named = sorted(name for name in body if name in names) or sorted(body)
        draft.steps.append(
            Step(
                id=step_id,
                action=Action.UPDATE,
                ref=item.ref,
                name=_display(draft, row, item),
                summary=_update_summary(named, number, len(sent)),
                precondition=Precondition.PRESENT,
                phase=row.phase,
                depends_on=(previous,) if previous else _made_references(draft, row, item, body),
                body=body,
                live_id=live.id,
            )
        )
        previous = step_id


def _update_summary(names: list[str], number: int, total: int) -> str:
    if number < total:
        return f"Prepare the change of {', '.join(names)}"
    return f"Put back {', '.join(names)}"


# --- what is in the recycle bin -------------------------------------------------------------------


def _bring_back(draft: Draft, row: ObjectKind, found: matching.KindMatch) -> list[_Pair]:
    pairs: list[_Pair] = []
    for chunk in chunks(sorted(found.in_bin)):
        loaded = draft.desired.load_objects(row.name, chunk)
        for old_id in chunk:
            item = loaded[old_id]
            properties = _mapped(draft, item)
            reason = _no_recreation(row, properties)
            if reason is not None:
                draft.missing.add(old_id)
                draft.refuse(item, "object", *bodies.REASONS[reason])
                continue
            bin_id = found.in_bin[old_id]
            step_id = f"undelete/{item.ref}"
            draft.made[old_id] = step_id
            draft.undeleted.add(old_id)
            name = name_of(item)
            draft.steps.append(
                Step(
                    id=step_id,
                    action=Action.UNDELETE,
                    ref=item.ref,
                    name=name,
                    summary=f"Restore {name} from the recycle bin; it keeps its id",
                    precondition=Precondition.IN_RECYCLE_BIN,
                    phase=order.UNDELETE_PHASES.get(row.name, 5),
                    live_id=bin_id,
                )
            )
            if row.can_update:
                values = bodies.target_values(row.name, properties)
                draft.steps.append(
                    Step(
                        id=f"update/{item.ref}",
                        action=Action.UPDATE,
                        ref=item.ref,
                        name=name,
                        summary=(
                            f"Check {len(values)} properties after the undelete, "
                            "and put back those that differ"
                        ),
                        precondition=Precondition.PRESENT,
                        phase=row.phase,
                        depends_on=(step_id,),
                        body=values,
                        live_id=bin_id,
                        look=Look.OBJECT,
                    )
                )
            if row.name in LICENSED_KINDS:
                pairs.append((item, None))
    return pairs


# --- what is gone ---------------------------------------------------------------------------------


def _create_absent(draft: Draft, row: ObjectKind, found: matching.KindMatch) -> list[_Pair]:
    pairs: list[_Pair] = []
    for chunk in chunks(found.absent):
        loaded = draft.desired.load_objects(row.name, chunk)
        _resolve_references(draft, row, loaded)
        for old_id in chunk:
            item = loaded.get(old_id)
            if item is not None and _create(draft, row, item) and row.name in LICENSED_KINDS:
                pairs.append((item, None))
    return pairs


def _create(draft: Draft, row: ObjectKind, item: DirectoryObject) -> bool:
    properties = _mapped(draft, item)
    if row.is_link and draft.options.deleted_only and not _is_link_wanted(draft, row, item):
        return False
    if not row.can_create:
        draft.refuse(item, "object", row.reason)
        return False
    reason = _no_recreation(row, properties)
    if reason is not None:
        draft.refuse(item, "object", *bodies.REASONS[reason])
        return False
    dead, blocked = _dead_references(draft, row, item, {})
    if blocked or (row.is_link and dead):
        draft.refuse(
            item,
            "object",
            f"It refers to what does not exist in the tenant: "
            f"{_titles(draft, sorted({*blocked, *dead}))}.",
            "Restore those too: add them to the selection.",
        )
        return False
    if dead:
        draft.warnings.append(
            f"{row.name} {name_of(item)} referred to {', '.join(sorted(dead))}, which did not "
            "exist when the snapshot was taken; it is created without them."
        )
    if row.name == "servicePrincipal" and not _has_application(draft, item):
        draft.refuse(
            item,
            "object",
            f"Its application (client id {item.get('appId')}) does not exist in the tenant.",
            "Restore the application too: add it to the selection.",
        )
        return False
    disabled = _disabled_role(draft, item)
    if disabled:
        draft.refuse(
            item,
            "object",
            f"The role {disabled} is disabled in the snapshot; Graph assigns enabled ones only.",
            "Enable the role, assign it by hand, and disable it again.",
        )
        return False
    properties = _without_ids(properties, dead)
    name = _display(draft, row, item)
    depends_on = _made_references(draft, row, item, properties)
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
    draft.made[item.id] = step_id
    if row.name == "application":
        _second_pass(draft, row, item, properties, step_id)
        if item.get("appId"):
            draft.made_apps[str(item.get("appId"))] = step_id
    _tell_lost_secrets(draft, item)
    return True


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
            depends_on=(step_id,),
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

    A backed-up profile with a password is restored as it is. Everybody else gets the default
    password, and has to change it at the next sign-in, since many people share it.
    """
    profile = properties.get("passwordProfile")
    kept = {
        key: value
        for key, value in (profile if isinstance(profile, Mapping) else {}).items()
        if key != "password" and value is not None
    }
    if isinstance(profile, Mapping) and profile.get("password"):
        return Password.BACKED_UP, kept
    return Password.DEFAULT, {**kept, "forceChangePasswordNextSignIn": True}


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
        body["state"] = _REPORT_ONLY
        draft.warnings.append(
            f"Conditional Access policy {name_of(item)} is created in report-only state; "
            "enable it once its effect has been looked at."
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


# --- references -----------------------------------------------------------------------------------


def _mapped(draft: Draft, item: DirectoryObject) -> dict[str, Any]:
    return draft.identity.rewritten(item.kind, item.properties)


def _required_ids(row: ObjectKind, item: DirectoryObject) -> Iterator[tuple[str, str, str]]:
    """Yield id, kind (or ``""``) and pointer of each object that must exist."""
    for reference, identifier in references.references_in(row.name, item.properties):
        is_needed = reference.is_required or reference.form is IdForm.SCOPE
        if not is_needed or reference.form in (IdForm.APP_ID, IdForm.APP_URI, IdForm.TEXT):
            continue
        kind = reference.kinds[0] if len(reference.kinds) == 1 else ""
        yield identifier, kind, reference.pointer


def _resolve_references(
    draft: Draft, row: ObjectKind, items: Mapping[str, DirectoryObject]
) -> None:
    ends = {
        identifier: kind
        for item in items.values()
        for identifier, kind, _pointer in _required_ids(row, item)
    }
    if ends:
        draft.resolve_ends(ends)
        draft.learn_titles(ends)


def _dead_references(
    draft: Draft, row: ObjectKind, item: DirectoryObject, live: Mapping[str, Any]
) -> tuple[set[str], dict[str, str]]:
    """Return ids that were dead in the snapshot already, and those (with pointer) that block.

    What the live object names too, Graph has accepted, and is left as it is.
    """
    named_live = {one for _reference, one in references.references_in(row.name, live)}
    dead: set[str] = set()
    blocked: dict[str, str] = {}
    for identifier, kind, pointer in _required_ids(row, item):
        if identifier in draft.present or identifier in draft.made or identifier in named_live:
            continue
        is_known = bool(kind) and draft.knows_whole(kind)
        if is_known and not draft.existed([identifier]):
            dead.add(identifier)
        else:
            blocked[identifier] = pointer
    return dead, blocked


def _made_references(
    draft: Draft, row: ObjectKind, item: DirectoryObject, body: Mapping[str, Any]
) -> tuple[str, ...]:
    """Return the steps that make what ``body`` cannot do without."""
    needed: dict[str, None] = {}
    for reference, identifier in references.references_in(row.name, item.properties):
        if reference.pointer.partition("/")[0] not in body:
            continue
        if not (reference.is_required or reference.form is IdForm.SCOPE):
            continue
        made = draft.made_apps if reference.form is IdForm.APP_ID else draft.made
        if identifier in made:
            needed[made[identifier]] = None
    return tuple(needed)


def _has_application(draft: Draft, item: DirectoryObject) -> bool:
    """Tell whether the service principal's application exists; another tenant's always does."""
    app_id = str(item.get("appId") or "")
    if app_id in draft.made_apps:
        return True
    owner = item.get("appOwnerOrganizationId")
    if owner and owner != draft.desired.tenant_id:
        return True
    current = draft.identity.current_app(app_id)
    if draft.live.find_objects("application", "appId", [current]):
        return True
    return owner is None and not draft.desired.find_objects("application", "appId", [app_id])


def _disabled_role(draft: Draft, item: DirectoryObject) -> str:
    """Return the name of the disabled role that an assignment gives, or ``""``."""
    if item.kind == "unifiedRoleAssignment":
        role_id = str(item.get("roleDefinitionId"))
        role = draft.roles.get(role_id)
        if role is None:
            role = draft.desired.load_objects("unifiedRoleDefinition", [role_id]).get(role_id)
        if role is None:
            return ""
        draft.roles[role_id] = role
        return "" if role.get("isEnabled") is not False else name_of(role)
    if item.kind == "appRoleAssignment":
        resource_id = str(item.get("resourceId"))
        resource = draft.roles.get(resource_id)
        if resource is None:
            resource = draft.desired.load_objects("servicePrincipal", [resource_id]).get(
                resource_id
            )
        if resource is None:
            return ""
        draft.roles[resource_id] = resource
        for app_role in resource.get("appRoles") or ():
            if app_role.get("id") == item.get("appRoleId") and not app_role.get("isEnabled"):
                return str(app_role.get("displayName") or app_role.get("id"))
    return ""


def _no_recreation(row: ObjectKind, properties: Mapping[str, Any]) -> bodies.AbsentReason | None:
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


def _without_ids(value: Any, ids: set[str]) -> Any:
    """Return ``value`` without list items that are one of ``ids``."""
    if not ids:
        return value
    if isinstance(value, Mapping):
        return {key: _without_ids(item, ids) for key, item in value.items()}
    if isinstance(value, list):
        return [
            _without_ids(item, ids) for item in value if not (isinstance(item, str) and item in ids)
        ]
    return value


def _titles(draft: Draft, ids: list[str]) -> str:
    return ", ".join(f"{draft.title(one)} ({one})" for one in ids)


def _display(draft: Draft, row: ObjectKind, item: DirectoryObject) -> str:
    if not row.is_link:
        return name_of(item)
    ends = [end for end, _kinds in matching.ends_of(row, item.properties)]
    return " → ".join(draft.title(end) for end in ends) or item.id
