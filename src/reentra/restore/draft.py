"""The draft of a plan: what is known about both sides while the plan is being made.

Pure but for reads through ``TenantState``.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reentra import errors
from reentra.directory.kinds import KINDS, ObjectKind
from reentra.directory.objects import DirectoryObject, ObjectRef
from reentra.directory.selection import Selection
from reentra.directory.state import TenantState
from reentra.restore.identity import IdentityMap
from reentra.restore.observed import ObservedTenant
from reentra.restore.single_properties import Path
from reentra.restore.steps import Step, Unrestorable

TENANT_SETTINGS = "tenant"
"""Whose settings those are that belong to no kind."""


class SettingsBehavior(enum.StrEnum):
    """What happens to settings in the selection."""

    OVERWRITE = "overwrite"
    SKIP = "skip"


class RelationshipsBehavior(enum.StrEnum):
    """What happens to links that were added since the snapshot."""

    MERGE = "merge"  # they stay
    ROLLBACK = "rollback"  # they are removed, where an end of them is selected


class PolicyState(enum.StrEnum):
    """In which state a Conditional Access policy is created anew."""

    REPORT_ONLY = "report_only"  # one that was enabled only reports, until a person enables it
    AS_BACKED_UP = "as_backed_up"


@dataclass(frozen=True, slots=True)
class RestoreOptions:
    """What a person chooses. ``max_changed_share`` is a share of a kind (0..1);
    ``None`` leaves it to ``safety``.

    ``settings_of`` overrides ``settings`` for the settings of a kind, or of the ``tenant``.
    ``rollback_kinds`` are kinds of which objects created since the snapshot are deleted.
    ``properties``, when there are any, are all that is put back: ``department``, or
    ``user.department``, or ``user.employeeOrgData.division``.
    """

    relationships: bool = True
    deleted_only: bool = False
    settings: SettingsBehavior = SettingsBehavior.OVERWRITE
    conditional_access_state: PolicyState = PolicyState.REPORT_ONLY
    max_changed_share: float | None = None
    overruled: frozenset[str] = frozenset()
    relationships_behavior: RelationshipsBehavior = RelationshipsBehavior.MERGE
    settings_of: Mapping[str, SettingsBehavior] = field(default_factory=dict)
    rollback_kinds: frozenset[str] = frozenset()
    properties: frozenset[str] = frozenset()

    @property
    def rolls_back_relationships(self) -> bool:
        return self.relationships and self.relationships_behavior is RelationshipsBehavior.ROLLBACK

    def settings_behavior(self, row: ObjectKind) -> SettingsBehavior:
        """Return what is to happen to the settings of ``row``."""
        return self.settings_of.get(row.settings_of or TENANT_SETTINGS, self.settings)

    def to_json(self) -> dict[str, Any]:
        return {
            "relationships": self.relationships,
            "deleted_only": self.deleted_only,
            "settings": self.settings.value,
            "conditional_access_state": self.conditional_access_state.value,
            "max_changed_share": self.max_changed_share,
            "overruled": sorted(self.overruled),
            "relationships_behavior": self.relationships_behavior.value,
            "settings_of": {
                owner: behavior.value for owner, behavior in sorted(self.settings_of.items())
            },
            "rollback_kinds": sorted(self.rollback_kinds),
            "properties": sorted(self.properties),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> RestoreOptions:
        return cls(
            value["relationships"],
            value["deleted_only"],
            SettingsBehavior(value["settings"]),
            PolicyState(value["conditional_access_state"]),
            value.get("max_changed_share"),
            frozenset(value.get("overruled", ())),
            RelationshipsBehavior(value.get("relationships_behavior", "merge")),
            {
                owner: SettingsBehavior(behavior)
                for owner, behavior in value.get("settings_of", {}).items()
            },
            frozenset(value.get("rollback_kinds", ())),
            frozenset(value.get("properties", ())),
        )


@dataclass(slots=True)
class Draft:
    """Everything the parts of planning share. Ids are the snapshot's unless a name says live.

    ``present`` maps objects that exist to their live ids; ``made`` maps objects that the plan
    brings back to the step that does; ``undeleted`` are those of them from the recycle bin.
    ``referrers`` maps an identifier to the selected objects that name it, with the property.
    ``created_since`` and ``linked_since`` are live objects, by kind, of which the snapshot knows
    nothing, where the options ask for them: objects of a kind, and links between objects.
    """

    desired: TenantState
    live: ObservedTenant
    selection: Selection
    options: RestoreOptions
    identity: IdentityMap
    granted: frozenset[str] | None = None
    own_app_id: str = ""  # the client id of the application that restores
    snapshot_began_at: dt.datetime | None = None
    paths: Mapping[str, frozenset[Path]] | None = None  # single properties by kind, or all
    matched: IdentityMap = field(default_factory=IdentityMap)
    steps: list[Step] = field(default_factory=list)
    unrestorable: list[Unrestorable] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    present: dict[str, str] = field(default_factory=dict)
    selected_live: dict[str, str] = field(default_factory=dict)  # live id -> kind
    made: dict[str, str] = field(default_factory=dict)
    made_apps: dict[str, str] = field(default_factory=dict)  # old client id -> step
    made_extensions: dict[str, str] = field(default_factory=dict)  # name, in lower case -> step
    extensions: dict[str, frozenset[str] | None] = field(default_factory=dict)  # by client id
    undeleted_apps: dict[str, str] = field(default_factory=dict)  # client id -> step
    gone_apps: dict[str, bool] = field(default_factory=dict)  # client id -> was, and is not now
    undeleted: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)
    totals: dict[str, int] = field(default_factory=dict)  # kind -> live objects seen, if listed
    held: dict[str, str] = field(default_factory=dict)  # principal name -> live id that has it
    roles: dict[str, DirectoryObject] = field(default_factory=dict)  # what assignments give
    referrers: dict[str, dict[tuple[str, str], str]] = field(default_factory=dict)
    created_since: dict[str, list[DirectoryObject]] = field(default_factory=dict)
    linked_since: dict[str, list[DirectoryObject]] = field(default_factory=dict)
    deleted: dict[str, str] = field(default_factory=dict)  # live id -> the step that deletes it
    _live_names: dict[str, str] = field(default_factory=dict)
    _desired_names: dict[str, tuple[str, str] | None] = field(default_factory=dict)

    def match(self, kind: str, old_id: str, live_id: str) -> None:
        """Record that an object goes by another id now."""
        self.matched = self.matched.with_object(kind, old_id, live_id)
        self.identity = self.identity.with_object(kind, old_id, live_id)

    def match_returned(self, kind: str, object_id: str) -> None:
        """Record that an object goes by the id again that it had before it was created anew."""
        returned = self.identity.with_returned(kind, object_id)
        back = {one: object_id for one in returned.objects if returned.current(one) == object_id}
        self.matched = self.matched.merged(IdentityMap(back, {}, dict.fromkeys(back, kind)))
        self.identity = returned

    def refuse(
        self,
        item: DirectoryObject,
        what: str,
        reason: str,
        instead: str = "",
        *,
        count: int = 1,
        code: str = "unrestorable",
    ) -> None:
        """Record that something of ``item`` cannot be restored."""
        self.unrestorable.append(
            Unrestorable(item.ref, name_of(item), what, reason, instead, count, code)
        )

    def is_end_selected(self, kinds: Iterable[str], old_id: str) -> bool:
        """Tell whether the object ``old_id``, of one of ``kinds``, is in the selection.

        Where a whole kind is selected and the object may be of several, the snapshot says which:
        selecting all groups must not take in what users hold.
        """
        selection = self.selection
        possible = tuple(kinds)
        if selection.is_everything or any(
            ObjectRef(kind, old_id) in selection.refs for kind in possible
        ):
            return True
        whole = [kind for kind in possible if kind in selection.kinds]
        if not whole or len(whole) == len(possible):
            return bool(whole)
        self.existed([old_id])
        known = self._desired_names.get(old_id)
        return known is not None and known[0] in whole

    def resolve_ends(self, ends: Mapping[str, str]) -> None:
        """Learn which of the objects ``ends`` (id -> kind, or ``""``) exist in the tenant."""
        unknown = {
            old_id: kind
            for old_id, kind in ends.items()
            if old_id not in self.present and old_id not in self.made
            and old_id not in self.missing
        }  # fmt: skip
        by_kind: dict[str, list[str]] = {}
        for old_id, kind in unknown.items():
            row = KINDS.get(kind)
            is_directory_object = row is None or bool(row.odata_type)
            by_kind.setdefault("" if is_directory_object else kind, []).append(old_id)
        for kind, old_ids in by_kind.items():
            current = {old_id: self.identity.current(old_id) for old_id in old_ids}
            wanted = sorted(set(current.values()))
            known: Iterable[str]
            if kind:
                known = self.live.load_objects(kind, wanted)
            else:
                known = self.live.load_names(wanted)
            found = set(known)
            for old_id, live_id in current.items():
                if live_id in found:
                    self.present[old_id] = live_id
                else:
                    self.missing.add(old_id)

    def existed(self, ids: Iterable[str]) -> set[str]:
        """Return those of ``ids`` that are objects of the snapshot."""
        unknown = sorted({one for one in ids if one not in self._desired_names})
        if unknown:
            names = self.desired.load_names(unknown)
            for one in unknown:
                self._desired_names[one] = names.get(one)
        return {one for one in ids if self._desired_names.get(one) is not None}

    def title(self, old_id: str) -> str:
        """Return a name for people, or the id."""
        self.existed([old_id])
        known = self._desired_names.get(old_id)
        return known[1] if known and known[1] else old_id

    def learn_titles(self, ids: Iterable[str]) -> None:
        """Load the names of many objects at once."""
        self.existed(set(ids))

    def learn_live_titles(self, ids: Iterable[str]) -> None:
        """Load the names of many live objects at once."""
        unknown = sorted({one for one in ids if one not in self._live_names})
        if unknown:
            names = self.live.load_names(unknown)
            for one in unknown:
                self._live_names[one] = names[one][1] if one in names else ""

    def live_title(self, live_id: str) -> str:
        """Return a name for people of an object as it is now, or the id."""
        return self._live_names.get(live_id) or live_id

    def knows_whole(self, kind: str) -> bool:
        """Tell whether the snapshot covers ``kind`` completely."""
        coverage = self.desired.coverage().get(kind)
        return coverage is not None and coverage.is_complete

    def replace_step(self, step_id: str, **changes: Any) -> None:
        """Change fields of a step that is in the draft already."""
        for index, step in enumerate(self.steps):
            if step.id == step_id:
                self.steps[index] = dataclasses.replace(step, **changes)
                return
        raise KeyError(step_id)


def name_of(item: DirectoryObject) -> str:
    """Return the name that people know the object by, or its id."""
    row = KINDS.get(item.kind)
    title = item.get(row.title_property) if row and row.title_property else None
    return str(title or item.get("displayName") or item.id)


def read_or_refuse(draft: Draft, kind: str, reading: str, error: errors.GraphError) -> None:
    """Record that a kind cannot be restored because the live tenant cannot be read."""
    row = KINDS.get(kind)
    permissions = ", ".join(row.read_permissions) if row else ""
    instead = f"Give the application {permissions} and plan again." if permissions else ""
    if row and "licence" in (error.hint or ""):
        instead = f"Restore it once the tenant has the licence ({row.licence or 'Entra ID P1'})."
    draft.unrestorable.append(
        Unrestorable(
            ObjectRef(kind, ""),
            row.title if row else kind,
            reading,
            f"The live tenant does not let it be read: {error.message}",
            instead,
            code="not_readable",
        )
    )


def chunks(items: Sequence[str], size: int = 500) -> Iterable[Sequence[str]]:
    """Yield ``items`` in pieces."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
