"""Prerequisites: what an object cannot be written without, and what is in the plan for it.

Reads both states through ``TenantState`` only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from reentra.directory import references
from reentra.directory.kinds import IdForm, ObjectKind
from reentra.directory.objects import DirectoryObject, canonical_id
from reentra.restore.draft import Draft, name_of


def _required_ids(
    row: ObjectKind, item: DirectoryObject
) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """Yield id, possible kinds and pointer of each object that must exist."""
    for reference, identifier in references.references_in(row.name, item.properties):
        is_needed = reference.is_required or reference.form is IdForm.SCOPE
        if not is_needed or reference.form in (IdForm.APP_ID, IdForm.APP_URI):
            continue
        yield identifier, reference.kinds, reference.pointer


def resolve_references(draft: Draft, row: ObjectKind, items: Mapping[str, DirectoryObject]) -> None:
    ends = {
        identifier: kinds[0] if len(kinds) == 1 else ""
        for item in items.values()
        for identifier, kinds, _pointer in _required_ids(row, item)
    }
    if ends:
        draft.resolve_ends(ends)
        draft.learn_titles(ends)


def dead_references(
    draft: Draft, row: ObjectKind, item: DirectoryObject, live: Mapping[str, Any]
) -> tuple[set[str], dict[str, str]]:
    """Return ids that were dead in the snapshot already, and those (with pointer) that block.

    What the live object names too, Graph has accepted, and is left as it is, but for Conditional
    Access. A policy that would include nobody without what was dead is blocked.
    """
    named_live = {one for _reference, one in references.references_in(row.name, live)}
    # Of Conditional Access policies Graph looks at every name again when they are written.
    accepted = set() if row.name == "conditionalAccessPolicy" else named_live
    dead: set[str] = set()
    blocked: dict[str, str] = {}
    for identifier, kinds, pointer in _required_ids(row, item):
        if identifier in draft.present or identifier in draft.made or identifier in accepted:
            continue
        is_known = bool(kinds) and all(draft.knows_whole(kind) for kind in kinds)
        if is_known and not draft.existed([identifier]):
            dead.add(identifier)
        else:
            blocked[identifier] = pointer
    if is_emptied(row, item.properties, dead):
        blocked.update(dict.fromkeys(dead, "conditions/users"))
    blocked.update(_gone_applications(draft, row, item, named_live))
    return dead, blocked


def is_emptied(row: ObjectKind, properties: Mapping[str, Any], dead: set[str]) -> bool:
    """Tell whether a Conditional Access policy includes nobody once ``dead`` is left out.

    Graph refuses such a policy.
    """
    if row.name != "conditionalAccessPolicy" or not dead:
        return False
    return _includes(properties) and not _includes(without_ids(properties, dead))


def _includes(policy: Mapping[str, Any]) -> bool:
    conditions = policy.get("conditions") or {}
    return any(
        value
        for part in ("users", "clientApplications")
        for name, value in (conditions.get(part) or {}).items()
        if name.startswith("include")
    )


def _gone_applications(
    draft: Draft, row: ObjectKind, item: DirectoryObject, named_live: Collection[str]
) -> dict[str, str]:
    """Return the client ids (with pointer) of the snapshot's applications that are gone now.

    A client id that the snapshot does not know either may be one of Microsoft's own: Graph tells.
    A service principal's own application is looked at by ``has_application``.
    """
    if row.name == "servicePrincipal":
        return {}
    wanted = {
        identifier: reference.pointer
        for reference, identifier in references.references_in(row.name, item.properties)
        if reference.form is IdForm.APP_ID
        and reference.is_required
        and identifier not in named_live
        and identifier not in draft.made_apps
        and identifier not in draft.undeleted_apps
    }
    return {one: where for one, where in wanted.items() if _is_gone_application(draft, one)}


def _is_gone_application(draft: Draft, app_id: str) -> bool:
    known = draft.gone_apps.get(app_id)
    if known is None:
        current = draft.identity.current_app(app_id)
        known = not draft.live.find_objects("servicePrincipal", "appId", [current]) and bool(
            draft.desired.find_objects("servicePrincipal", "appId", [app_id])
            or draft.desired.find_objects("application", "appId", [app_id])
        )
        draft.gone_apps[app_id] = known
    return known


def made_references(
    draft: Draft, row: ObjectKind, item: DirectoryObject, body: Mapping[str, Any]
) -> tuple[str, ...]:
    """Return the steps that make what ``body`` cannot do without."""
    needed: dict[str, None] = {}
    for reference, identifier in references.references_in(row.name, item.properties):
        if reference.pointer.partition("/")[0] not in body:
            continue
        if not (reference.is_required or reference.form is IdForm.SCOPE):
            continue
        if reference.form is IdForm.APP_ID:
            step_id = draft.made_apps.get(identifier) or draft.undeleted_apps.get(identifier)
        else:
            step_id = draft.made.get(identifier)
        if step_id:
            needed[step_id] = None
    return tuple(needed)


def has_application(draft: Draft, item: DirectoryObject) -> bool:
    """Tell whether the service principal's application exists; another tenant's always does."""
    app_id = canonical_id(str(item.get("appId") or ""))
    if app_id in draft.made_apps or app_id in draft.undeleted_apps:
        return True
    owner = item.get("appOwnerOrganizationId")
    if owner and owner != draft.desired.tenant_id:
        return True
    current = draft.identity.current_app(app_id)
    if draft.live.find_objects("application", "appId", [current]):
        return True
    return owner is None and not draft.desired.find_objects("application", "appId", [app_id])


def warn_of_halves(draft: Draft) -> None:
    """Say where only one of an application and its service principal leaves the recycle bin.

    They are deleted together and restored one by one
    (learn.microsoft.com/graph/api/directory-deleteditems-restore).
    """
    applications: list[str] = []
    for app_id, step_id in sorted(draft.undeleted_apps.items()):
        kind, _, object_id = step_id.removeprefix("undelete/").partition("/")
        if kind == "application":
            applications.append(app_id)
            continue
        item = draft.desired.load_objects(kind, [object_id])[object_id]
        owner = item.get("appOwnerOrganizationId")
        if owner not in (None, draft.desired.tenant_id):
            continue
        if draft.desired.find_objects("application", "appId", [app_id]) and not (
            draft.live.find_objects("application", "appId", [app_id])
        ):
            draft.warnings.append(
                f"The enterprise application {name_of(item)} comes back without its app "
                "registration, which is not selected: nobody can sign in to it."
            )
    if not applications or draft.selection.takes_whole("servicePrincipal"):
        return
    for item in draft.live.find_deleted("servicePrincipal", "appId", applications):
        if item.id not in draft.undeleted:
            draft.warnings.append(
                f"The enterprise application of {name_of(item)} stays in the recycle bin; add "
                f"servicePrincipal/{item.id} to the selection to restore it as well."
            )


def disabled_role(draft: Draft, item: DirectoryObject) -> str:
    """Return the name of the disabled role that an assignment gives, or ``""``."""
    if item.kind in ("unifiedRoleAssignment", "unifiedRoleEligibilitySchedule"):
        role_id = canonical_id(str(item.get("roleDefinitionId")))
        role = draft.roles.get(role_id)
        if role is None:
            role = draft.desired.load_objects("unifiedRoleDefinition", [role_id]).get(role_id)
        if role is None:
            return ""
        draft.roles[role_id] = role
        return "" if role.get("isEnabled") is not False else name_of(role)
    if item.kind == "appRoleAssignment":
        resource_id = canonical_id(str(item.get("resourceId")))
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


def without_ids(value: Any, ids: set[str]) -> Any:
    """Return ``value`` without list items that are one of ``ids``, or that target one of them."""
    if not ids:
        return value
    if isinstance(value, Mapping):
        return {key: without_ids(item, ids) for key, item in value.items()}
    if isinstance(value, list):
        return [without_ids(item, ids) for item in value if not _names_one_of(item, ids)]
    return value


def _names_one_of(item: Any, ids: set[str]) -> bool:
    """Tell whether a list item is an id of ``ids``, or a policy's target or reviewer that is."""
    if isinstance(item, Mapping) and isinstance(item.get("query"), str):
        return any(one in item["query"].lower() for one in ids)
    named = item.get("id") if isinstance(item, Mapping) and "targetType" in item else item
    return isinstance(named, str) and canonical_id(named) in ids


def titles(draft: Draft, ids: list[str]) -> str:
    return ", ".join(f"{draft.title(one)} ({one})" for one in ids)
