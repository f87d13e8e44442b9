"""Steps for objects: put back what exists, bring back what is in the recycle bin.

What is gone for good is the subject of ``creations``.

Reads the tenant through ``TenantState`` only.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reentra import errors
from reentra.directory.kinds import KINDS, ObjectKind, is_extension_name
from reentra.directory.objects import DirectoryObject, canonical_id
from reentra.directory.state import StreamsObjects
from reentra.restore import (
    bodies,
    extensions,
    matching,
    order,
    own_bin,
    prerequisites,
    single_properties,
)
from reentra.restore.blame import WHOLE_KINDS
from reentra.restore.creations import (
    REPORT_ONLY,
    Pair,
    create_absent,
    display,
    mapped,
    no_recreation,
    refuse_identities,
)
from reentra.restore.draft import (
    Draft,
    PolicyState,
    SettingsBehavior,
    chunks,
    name_of,
    read_or_refuse,
)
from reentra.restore.licences import LICENSED_KINDS, LicencePlanner
from reentra.restore.steps import (
    MISSING_REFERENCE,
    Action,
    Look,
    Password,
    Precondition,
    Step,
)

_GROUP = 500


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
    if row.is_settings and draft.options.settings_behavior(row) is SettingsBehavior.SKIP:
        if draft.selection.touches(kind):
            draft.warnings.append(f"{row.title}: settings are skipped, as chosen.")
        return
    try:
        found = (
            matching.match_links(draft, kind)
            if row.is_link
            else matching.match_objects(draft, kind)
        )
        if draft.paths is None:
            pairs = _bring_back(draft, row, found)
            first = len(draft.steps)
            pairs += create_absent(draft, row, found)
            own_bin.prefer_own_bin(draft, row, found.in_own_bin, first)
            pairs += _put_back(draft, row, found)
        else:
            _warn_of_absent(draft, row, found)
            pairs = _put_back(draft, row, found) if kind in draft.paths else []
    except (errors.Forbidden, errors.InvalidRequest, errors.GraphNotFound) as error:
        read_or_refuse(draft, kind, "object", error)
        return
    if kind in LICENSED_KINDS:
        licences.plan(pairs)
    if kind == "unifiedRoleAssignment":
        _warn_of_activations(draft)
    elif kind == "user":
        _warn_of_kept_passwords(draft)


def _warn_of_absent(draft: Draft, row: ObjectKind, found: matching.KindMatch) -> None:
    """Say how many objects have no properties to be put back, because they do not exist."""
    draft.missing.update(found.in_bin)
    number = len(found.absent) + len(found.in_bin)
    if number and draft.paths is not None and row.name in draft.paths:
        draft.warnings.append(
            f"{number:,} of the selected objects of kind {row.name} do not exist now; single "
            "properties are put back only where the object exists."
        )


def _warn_of_kept_passwords(draft: Draft) -> None:
    """Say how many users would share a password that none of them has to change."""
    flags = ("forceChangePasswordNextSignIn", "forceChangePasswordNextSignInWithMfa")
    number = sum(
        1
        for step in draft.steps
        if step.password is Password.DEFAULT
        and not any((step.body.get("passwordProfile") or {}).get(flag) for flag in flags)
    )
    if number:
        draft.warnings.append(
            f"{number} users get the default password and, as they were backed up, need not "
            "change it at the next sign-in."
        )


def _warn_of_activations(draft: Draft) -> None:
    """Say that a role that was only activated for hours would come back for good.

    A list of role assignments shows activations of Privileged Identity Management as well, and
    does not tell them apart (learn.microsoft.com/graph/api/resources/unifiedroleassignment).
    """
    names = sorted(
        step.name
        for step in draft.steps
        if step.action is Action.CREATE and step.ref.kind == "unifiedRoleAssignment"
    )
    if names:
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        draft.warnings.append(
            f"Role assignments are created without an end: {shown}. One that was only activated "
            "for a time (Privileged Identity Management) when the snapshot was taken cannot be "
            "told apart; leave it out if it was."
        )


# --- what exists ----------------------------------------------------------------------------------


def _put_back(draft: Draft, row: ObjectKind, found: matching.KindMatch) -> list[Pair]:
    pairs: list[Pair] = []
    if draft.options.deleted_only:
        return pairs
    paths = (draft.paths or {}).get(row.name, frozenset()) if found.differing else frozenset()
    unseen = {path for path in paths if len(path) > 1}
    for group in _as_they_were(draft, row.name, sorted(found.differing)):
        prerequisites.resolve_references(draft, row, {item.id: item for item in group})
        for item in group:
            live = found.take_live(item.id)
            unseen -= {
                path
                for path in unseen
                if single_properties.is_known(item.properties, path)
                or single_properties.is_known(live.properties, path)
            }
            properties = _wanted(draft, item, live)
            names = bodies.differing(row.name, properties, live.properties)
            if row.name in LICENSED_KINDS and "assignedLicenses" in names:
                pairs.append((item, live))
            _update(draft, row, item, live, names)
    if unseen:
        listed = ", ".join(sorted(".".join(path) for path in unseen))
        draft.warnings.append(
            f"No object of kind {row.name} that differs has {listed}; look at the spelling."
        )
    return pairs


def _as_they_were(
    draft: Draft, kind: str, ids: Sequence[str]
) -> Iterator[Sequence[DirectoryObject]]:
    """Yield objects of the snapshot in groups, in the order that is cheapest to read."""
    desired = draft.desired
    if isinstance(desired, StreamsObjects):
        items = desired.stream_objects(kind, ids)
        while group := list(itertools.islice(items, _GROUP)):
            yield group
        return
    for chunk in chunks(ids):
        loaded = desired.load_objects(kind, chunk)
        yield [loaded[one] for one in chunk if one in loaded]


def _wanted(draft: Draft, item: DirectoryObject, live: DirectoryObject) -> dict[str, Any]:
    """Return what an object that exists is to be: as it was, as far as the options reach."""
    properties = mapped(draft, item)
    if draft.paths is not None:
        paths = draft.paths.get(item.kind, frozenset())
        properties = single_properties.narrowed(properties, live.properties, paths)
    if item.kind == "oAuth2PermissionGrant" and _keeps_later_scopes(draft, item):
        properties = bodies.with_later_scopes(properties, live.properties)
    return properties


def _keeps_later_scopes(draft: Draft, item: DirectoryObject) -> bool:
    """Tell whether scopes granted since stay: where the grant is merged as a relationship.

    A grant that is selected itself is put back like any other object.
    """
    is_selected_itself = draft.selection.contains(item.kind, item.id)
    return not is_selected_itself and not draft.options.rolls_back_relationships


def _update(
    draft: Draft,
    row: ObjectKind,
    item: DirectoryObject,
    live: DirectoryObject,
    names: frozenset[str],
) -> None:
    properties = _wanted(draft, item, live)
    names = _without_enabling(draft, item, live, properties, names)
    reason = bodies.never_written(row.name, live.properties)
    writable = frozenset(name for name in names if row.may_update(name))
    if reason is not None or (not row.can_update and writable):
        why, instead = bodies.REASONS[reason or bodies.AbsentReason.KIND]
        listed = writable or bodies.read_only_differences(row.name, names)
        if listed:
            draft.refuse(item, ", ".join(sorted(listed)), row.reason or why, instead)
        return
    if not row.can_update:
        return
    dead, blocked = prerequisites.dead_references(draft, row, item, live.properties)
    blocked_names = {pointer.partition("/")[0] for pointer in blocked.values()} & names
    for name in sorted(blocked_names):
        gone = sorted(one for one, where in blocked.items() if where.partition("/")[0] == name)
        draft.refuse(
            item,
            name,
            f"It refers to what does not exist in the tenant: {prerequisites.titles(draft, gone)}.",
            "Restore those too: add them to the selection.",
            code=MISSING_REFERENCE,
        )
    if blocked_names and row.name in WHOLE_KINDS:
        left = writable - blocked_names
        if left:
            draft.refuse(
                item,
                ", ".join(sorted(left)),
                f"It says one thing together with {', '.join(sorted(blocked_names))}, which cannot "
                "be put back now.",
                "Restore what it refers to as well.",
            )
        return
    if any(map(is_extension_name, names)):
        properties = extensions.without_undefined(draft, item, properties)
        names = names & (properties.keys() | live.properties.keys())
    if dead:
        properties = prerequisites.without_ids(properties, dead)
        names = names & bodies.differing(row.name, properties, live.properties)
    refused = bodies.refused_updates(row.name, properties, live.properties, names)
    for name, (why, instead) in refused.items():
        draft.refuse(item, name, why, instead)
    if row.name == "user" and bodies.own_identities(properties) != bodies.own_identities(
        live.properties
    ):
        refuse_identities(draft, item)
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
                name=display(draft, row, item),
                summary=_update_summary(named, number, len(sent)),
                precondition=Precondition.PRESENT,
                phase=row.phase,
                depends_on=(previous,)
                if previous
                else (
                    *prerequisites.made_references(draft, row, item, body),
                    *extensions.makers(draft, body),
                ),
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


def _bring_back(draft: Draft, row: ObjectKind, found: matching.KindMatch) -> list[Pair]:
    pairs: list[Pair] = []
    for chunk in chunks(sorted(found.in_bin)):
        loaded = draft.desired.load_objects(row.name, chunk)
        for old_id in chunk:
            item = loaded[old_id]
            properties = mapped(draft, item)
            reason = no_recreation(row, properties)
            if reason is not None:
                draft.missing.add(old_id)
                draft.refuse(item, "object", *bodies.REASONS[reason])
                continue
            bin_id = found.in_bin[old_id]
            step_id = f"undelete/{item.ref}"
            draft.made[old_id] = step_id
            draft.undeleted.add(old_id)
            name = name_of(item)
            app_id = canonical_id(str(item.get("appId") or ""))
            application_step = ""
            if row.name == "application" and app_id:
                draft.undeleted_apps[app_id] = step_id
            elif row.name == "servicePrincipal":
                application_step = draft.undeleted_apps.get(app_id, "")
                draft.undeleted_apps.setdefault(app_id, step_id)
            draft.steps.append(
                Step(
                    id=step_id,
                    action=Action.UNDELETE,
                    ref=item.ref,
                    name=name,
                    summary=f"Restore {name} from the recycle bin; it keeps its id",
                    precondition=Precondition.IN_RECYCLE_BIN,
                    phase=order.UNDELETE_PHASES.get(row.name, 5),
                    depends_on=(application_step,) if application_step else (),
                    live_id=bin_id,
                )
            )
            if row.can_update:
                properties = extensions.without_undefined(draft, item, properties)
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
                        depends_on=(step_id, *extensions.makers(draft, values)),
                        body=values,
                        live_id=bin_id,
                        look=Look.OBJECT,
                    )
                )
            if row.name in LICENSED_KINDS:
                pairs.append((item, None))
    return pairs


def _without_enabling(
    draft: Draft,
    item: DirectoryObject,
    live: DirectoryObject,
    properties: Mapping[str, Any],
    names: frozenset[str],
) -> frozenset[str]:
    """Leave out the state of a policy that a restore made in report-only state.

    Restoring a second time, after a partial end say, would otherwise enable it unseen.
    """
    if not (
        item.kind == "conditionalAccessPolicy"
        and "state" in names
        and live.id != item.id
        and properties.get("state") == "enabled"
        and live.properties.get("state") == REPORT_ONLY
        and draft.options.conditional_access_state is PolicyState.REPORT_ONLY
    ):
        return names
    draft.warnings.append(
        f"Conditional Access policy {name_of(item)} was created anew in report-only state and "
        "stays in it; enable it once its effect has been looked at, or restore it in "
        "its state as backed up."
    )
    return names - {"state"}
