"""The shape of every JSON answer. The description under ``/openapi.json`` is made from them.

They are plain dictionaries at run time. A subclass that is not ``total`` holds what may be left
out: the framework cannot read ``NotRequired`` out of postponed annotations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypedDict, cast

from reentra.access import Role
from reentra.compare import Change, LinkChange
from reentra.database import StepStatus
from reentra.directory.state import Coverage, CoverageStatus
from reentra.snapshots.info import SnapshotStatus

Counts = dict[str, int]


# Who


class PersonDocument(TypedDict):
    """Somebody who may sign in. ``roles``: tenant, or ``*`` for all, to role."""

    id: str
    name: str
    roles: dict[str, Role]
    disabled: bool
    external: bool
    has_password: bool
    second_factor: bool
    created_at: str


class NewPersonDocument(PersonDocument):
    """Somebody who was added, with their one-time set-up link."""

    set_up: str


class PeoplePage(TypedDict):
    """People."""

    items: list[PersonDocument]
    next: str


class LinkDocument(TypedDict):
    """A one-time set-up link, shown once."""

    set_up: str


class WaysDocument(TypedDict):
    """How one signs in here. ``provider``: with the directory as well."""

    password: bool
    provider: bool


class SignedInDocument(TypedDict):
    """Who signed in. Requests of the session that change something carry ``csrf_token``."""

    person: PersonDocument
    csrf_token: str


class SessionDocument(SignedInDocument):
    """Who is signed in, and with which roles: a token may have fewer than its person.

    ``fresh``: what is sensitive may be done without showing again who one is.
    """

    roles: dict[str, Role]
    fresh: bool


class OpenSessionDocument(TypedDict):
    """One of one's own sessions: where from, since when, seen last; ``is_this`` asks."""

    id: str
    address: str
    created_at: str
    seen_at: str
    is_this: bool


class OpenSessionsPage(TypedDict):
    """One's own sessions, the one seen last first."""

    items: list[OpenSessionDocument]
    next: str


class EndedDocument(TypedDict):
    """How many sessions were ended."""

    ended: int


class SignedOutDocument(TypedDict):
    """The session has ended."""

    signed_in: bool


class SetUpDocument(TypedDict):
    """Whose password was set."""

    person: PersonDocument


class ChangedDocument(TypedDict):
    """The password was changed."""

    changed: bool


class SeedDocument(TypedDict):
    """What an authenticator needs, shown once."""

    seed: str
    uri: str


class RecoveryDocument(TypedDict):
    """Codes that each serve once in place of a one-time code, shown once."""

    recovery_codes: list[str]


class SecondFactorDocument(RecoveryDocument):
    """Whether a one-time code is asked for, and what serves when the device is lost."""

    second_factor: bool


class TokenDocument(TypedDict):
    """An API token, without its secret."""

    id: str
    name: str
    person: str
    tenant: str
    role: Role
    created_at: str
    expires_at: str
    revoked_at: str | None
    used_at: str | None


class NewTokenDocument(TokenDocument):
    """A new API token. ``token`` is shown this once."""

    token: str


class TokensPage(TypedDict):
    """API tokens."""

    items: list[TokenDocument]
    next: str


class RecordDocument(TypedDict):
    """A record of the audit trail. ``hash`` is over the record and the hash before it."""

    number: int
    at: str
    via: Literal["session", "token", "command", "system", "nobody"]
    who: str
    who_id: str
    address: str
    action: str
    tenant: str
    target: str
    result: str
    detail: dict[str, Any]
    hash: str


class TrailPage(TypedDict):
    """Records of the audit trail, newest first."""

    items: list[RecordDocument]
    next: str


class VerificationDocument(TypedDict):
    """What a verification of the trail found. ``head`` is worth noting elsewhere."""

    records: int
    head: str
    whole: bool
    problems: list[str]


# Settings


class SettingsDocument(TypedDict):
    """What needs a second person."""

    approve_restores_over_steps: int | None
    approve_disconnect: bool
    approve_retention: bool
    approve_keys: bool


class KeyDocument(TypedDict):
    """One way to open the repository; what it is, is shown nowhere.

    ``own``: the server was started with it.
    """

    id: str
    kind: str
    created_at: str
    generation: int
    own: bool


class KeysDocument(TypedDict):
    """The repository's keys, and the generation that encrypts what is written now."""

    generation: int
    items: list[KeyDocument]


class NewKeyDocument(KeysDocument):
    """The same, with the recovery key that was made, if one was; it is shown this once."""

    recovery_key: str


class RuleDocument(TypedDict):
    """Who has ``value`` in the claim has this role for the tenant."""

    claim: Literal["groups", "roles"]
    value: str
    role: Role
    tenant: str


class ProviderDocument(TypedDict):
    """The directory that vouches for people, without the secret.

    ``cloud`` is ``custom`` where the authority is none of Microsoft's clouds'.
    """

    cloud: Literal["global", "usgov", "usgovdod", "china", "custom"]
    authority: str
    directory: str
    client_id: str
    rules: list[RuleDocument]
    enabled: bool


class ProviderSettingsDocument(TypedDict):
    """The identity provider, and the redirect address that is to be registered with it."""

    provider: ProviderDocument | None
    callback: str


# Tenants


class TenantDocument(TypedDict):
    """A connected tenant, without its secret."""

    name: str
    tenant_id: str
    client_id: str
    credential: Literal["client_secret", "certificate", "managed_identity", "workload_identity"]
    cloud: Literal["global", "usgov", "usgovdod", "china", "custom"]
    graph_endpoint: str
    authority: str
    break_glass: list[str]


class ScheduleDocument(TypedDict):
    """When a tenant is backed up."""

    tenant: str
    rule: str
    zone: str
    next_at: str | None


class ListedTenantDocument(TenantDocument):
    """A connected tenant with its schedule."""

    schedule: ScheduleDocument


class TenantsDocument(TypedDict):
    """The tenants that one has a role for."""

    items: list[ListedTenantDocument]


class NewTenantDocument(TenantDocument):
    """A tenant that was connected; ``None``: its token does not tell what is granted."""

    granted_permissions: list[str] | None


class PolicyDocument(TypedDict):
    """How many snapshots of each period are kept; 0 says nothing."""

    last: int
    hourly: int
    daily: int
    weekly: int
    monthly: int
    yearly: int
    within_days: int
    captures_within_days: int
    zone: str


class RetainedDocument(TypedDict):
    """A snapshot or capture, whether a policy keeps it, and why."""

    id: str
    taken_at: str
    complete: bool
    capture: bool
    kept: bool
    reasons: list[str]


class RetentionDocument(TypedDict):
    """A policy and what it makes of every snapshot and capture, newest first."""

    policy: PolicyDocument
    items: list[RetainedDocument]
    forgets: int


class MergeDocument(TypedDict):
    """A kept snapshot that takes over what it needs of forgotten ones."""

    tenant_id: str
    snapshot: str
    absorbs: list[str]
    bytes: int


class PrunePlanDocument(TypedDict):
    """What a prune would do now; what merging gives back is known when it is done."""

    merges: list[MergeDocument]
    forgotten: list[str]
    segments: int
    bytes_unneeded: int


class DisconnectedDocument(TypedDict):
    """A tenant that was disconnected."""

    name: str
    disconnected: bool


class CoverageDocument(TypedDict):
    """How far a kind or relationship is known; why not, and which permission would do."""

    status: CoverageStatus
    reason: str
    permissions: list[str]


class NeedDocument(TypedDict):
    """A Graph permission, and what needs it. ``granted`` is ``None`` when nobody can tell."""

    permission: str
    for_backup: list[str]
    for_restore: list[str]
    granted: bool | None


class PermissionsDocument(TypedDict):
    """Which permissions are needed, granted and missing."""

    tenant: str
    tenant_id: str
    granted: list[str] | None
    permissions: list[NeedDocument]
    missing_for_backup: list[str]
    missing_for_restore: list[str]
    not_covered: dict[str, CoverageDocument]


class UnreadDocument(TypedDict):
    """Something that Microsoft Entra has and no backup holds."""

    title: str
    where: str
    why: str


class TenantCoverageDocument(TypedDict):
    """What the newest snapshot covers, by kind and relationship, and what none ever holds."""

    snapshot: str
    coverage: dict[str, CoverageDocument]
    unread: list[UnreadDocument]


# Snapshots


class KindDocument(TypedDict):
    """One kind of a snapshot, with what changed since the one before."""

    objects: int
    added: int
    changed: int
    deleted: int
    coverage: CoverageStatus
    reason: str


class SnapshotDocument(TypedDict):
    """A snapshot. ``review`` says why somebody should look at it before trusting it."""

    id: str
    created_at: str
    parent: str | None
    status: SnapshotStatus
    kinds: dict[str, KindDocument]
    review: list[str]


class SnapshotsPage(TypedDict):
    """Snapshots, newest first."""

    items: list[SnapshotDocument]
    next: str


class DayDocument(TypedDict):
    """A day's snapshots together. ``partial`` and ``review``: how many of them are so.

    The first snapshot of a line adds everything, which is no change of the tenant: it counts as
    a snapshot, and its objects are not counted as added.
    """

    day: str
    snapshots: int
    added: int
    changed: int
    deleted: int
    partial: int
    review: int


class DaysDocument(TypedDict):
    """The days of a time zone that have snapshots, oldest first, and each month's number of them.

    ``months`` are all that have any, in whichever days were asked for.
    """

    zone: str
    items: list[DayDocument]
    months: Counts


class ShownSnapshotDocument(SnapshotDocument):
    """A snapshot with the coverage of every kind and relationship."""

    coverage: dict[str, CoverageDocument]


class StorageDocument(TypedDict):
    """How much the repository holds, of all tenants together."""

    files: int
    bytes: int


class MomentDocument(TypedDict):
    """A snapshot and when it was taken."""

    id: str
    created_at: str


class MomentsDocument(TypedDict):
    """Snapshots around one, newest first; ``total`` is how many there are to choose from."""

    around: MomentDocument
    newest: MomentDocument
    oldest: MomentDocument
    total: int
    items: list[MomentDocument]


class ListedObjectDocument(TypedDict):
    """An object in a list. ``modified_at``: when the snapshot was taken that first had it so.

    ``properties`` holds those that were asked for and that it has.
    """

    id: str
    display_name: str
    modified_at: str
    properties: dict[str, Any]


class ObjectsPage(TypedDict):
    """Objects of a kind; ``total`` is how many there are in all."""

    snapshot: str
    kind: str
    total: int
    items: list[ListedObjectDocument]
    next: str


class SelectedKindDocument(TypedDict):
    """A kind that is selected whole, with how many objects it has."""

    kind: str
    objects: int


class SelectedObjectDocument(TypedDict):
    """An object that is selected singly."""

    kind: str
    id: str
    display_name: str


class SelectedDocument(TypedDict):
    """What a selection of a snapshot is, in names; ``objects`` holds the first of ``total``.

    ``missing`` are objects that the snapshot does not hold.
    """

    snapshot: str
    created_at: str
    kinds: list[SelectedKindDocument]
    objects: list[SelectedObjectDocument]
    missing: list[str]
    total: int


class LinkedDocument(TypedDict):
    """A link of an object: ``to`` a target, or ``from`` a source, in Graph's direction."""

    relationship: str
    direction: Literal["to", "from"]
    target: str
    target_kind: str
    target_name: str


class LinkGroupDocument(TypedDict):
    """How many links of one relationship an object has in one direction."""

    relationship: str
    direction: Literal["to", "from"]
    total: int


class LinksPage(TypedDict):
    """Links of an object; ``groups`` count them all."""

    snapshot: str
    groups: list[LinkGroupDocument]
    items: list[LinkedDocument]
    next: str


class AssignmentEndDocument(TypedDict):
    """What an assignment joins beside the object that was asked for, and in which property."""

    property: str
    kind: str
    id: str
    display_name: str


class AssignmentDocument(TypedDict):
    """An object that only joins others; ``gives`` is the app role or the permissions, if any."""

    kind: str
    id: str
    property: str
    ends: list[AssignmentEndDocument]
    gives: str


class AssignmentsDocument(TypedDict):
    """The assignments of an object; ``skipped`` are kinds too large to be looked through."""

    snapshot: str
    total: int
    items: list[AssignmentDocument]
    skipped: list[str]


class NamedDocument(TypedDict):
    """What an id stands for. ``id`` is the object's own, which a client id is not."""

    kind: str
    id: str
    display_name: str


class NamesDocument(TypedDict):
    """What ids stand for, of those that are known."""

    items: dict[str, NamedDocument]


class ObjectDocument(TypedDict):
    """An object with its properties, as Graph returned them, and its links."""

    snapshot: str
    kind: str
    id: str
    display_name: str
    properties: dict[str, Any]
    relationships: list[LinkedDocument]


class VersionDocument(TypedDict):
    """An object as it was from one snapshot until before another; ``None``: until now."""

    began: str
    ended: str | None
    deleted: bool
    began_at: str
    ended_at: str | None


class VersionsDocument(TypedDict):
    """The versions of an object, oldest first; the snapshots that differ, when asked for."""

    items: list[VersionDocument]
    differing: list[str] | None


class CaptureDocument(TypedDict):
    """What a restore kept of what it was about to touch: how many of each, and for which job."""

    id: str
    job: str
    taken_at: str
    kinds: dict[str, int]
    relationships: dict[str, int]


class CapturesPage(TypedDict):
    """A tenant's captures, newest first."""

    items: list[CaptureDocument]
    next: str


class HitDocument(TypedDict):
    """One finding of a search. ``deleted``: it ended with the object's deletion.

    ``id_now`` is another one than ``id`` when a restore had to create the object anew.
    """

    kind: str
    id: str
    id_now: str
    display_name: str
    snapshot: str
    snapshot_at: str
    modified_at: str
    deleted: bool


class HitsPage(TypedDict):
    """What a search found, newest version first."""

    items: list[HitDocument]
    next: str


class PropertyChangeDocument(TypedDict):
    """One leaf that differs. ``null`` stands for absent and empty alike."""

    path: str
    before: Any
    after: Any


class _LinkChange(TypedDict):
    relationship: str
    change: LinkChange
    target: str
    target_kind: str
    target_name: str


class LinkChangeDocument(_LinkChange, total=False):
    """One link that came or went, told at its source."""

    qualifier: str


class _ObjectChange(TypedDict):
    change: Change
    kind: str
    id: str
    display_name: str
    properties: list[PropertyChangeDocument]
    relationships: list[LinkChangeDocument]


class ObjectChangeDocument(_ObjectChange, total=False):
    """An object that changed. ``id`` is the one it had before; ``new_id`` when it has another."""

    new_id: str


class IncompleteDocument(CoverageDocument):
    """A kind or relationship of which one side knows only a part."""

    name: str
    state: str


class ChangesPage(TypedDict):
    """What differs between two states, in parts.

    ``counts`` are of all of it, by kind; ``refs`` names the objects of all of it as ``kind/id``,
    when asked for. ``total`` is how many there are in the list that the page is a part of.
    """

    before: str
    after: str
    counts: dict[str, Counts]
    incomplete: list[IncompleteDocument]
    total: int
    items: list[ObjectChangeDocument]
    refs: list[str]
    next: str


# Restores


class SelectionDocument(TypedDict):
    """What was selected. No kind and no id means everything."""

    kinds: list[str]
    ids: list[str]


class OptionsDocument(TypedDict):
    """How a plan restores."""

    relationships: bool
    deleted_only: bool
    settings: Literal["overwrite", "skip"]
    conditional_access_state: Literal["report_only", "as_backed_up"]
    max_changed_share: float | None
    overruled: list[str]
    relationships_behavior: Literal["merge", "rollback"]
    settings_of: dict[str, Literal["overwrite", "skip"]]
    rollback_kinds: list[str]
    properties: list[str]


class DeletedKindDocument(TypedDict):
    """How many objects of a kind a plan deletes, and how that can be undone."""

    kind: str
    count: int
    undo: Literal["recycle_bin", "created_anew"]


class RefusalDocument(TypedDict):
    """Why a plan is not applied. ``overrule`` is the word that lets it be; empty: nothing does."""

    code: str
    message: str
    hint: str
    overrule: str
    numbers: dict[str, float]


class UnrestorableDocument(TypedDict):
    """What a plan cannot put back, why, and what to do instead."""

    kind: str
    id: str
    name: str
    what: str
    reason: str
    instead: str
    count: int
    code: str


class FollowUpDocument(TypedDict):
    """An object outside of the selection that names ids that are gone."""

    id: str
    kind: str
    object_id: str
    name: str
    properties: list[str]
    old_ids: list[str]
    reason: str
    chosen: bool


class _Plan(TypedDict):
    version: int
    id: str
    tenant_id: str
    snapshot: str
    created_at: str
    selection: SelectionDocument
    options: OptionsDocument
    counts: dict[str, Counts]
    deletions: int
    deletions_to_confirm: int
    deleted_kinds: list[DeletedKindDocument]
    removals: int
    checked_after_undelete: int
    estimated_seconds: float
    needs_default_password: bool
    refusals: list[RefusalDocument]
    warnings: list[str]
    unrestorable: list[UnrestorableDocument]
    totals: Counts
    base: str
    undoes: str
    break_glass: list[str]
    follow_ups: list[FollowUpDocument]


class PlanDocument(_Plan):
    """A restore plan without its steps. ``digest`` is of exactly what would be applied.

    ``applied_by`` is the job that applies it, or has.
    """

    open_refusals: list[RefusalDocument]
    digest: str
    needs_approval: bool
    applied_by: str | None


class TargetDocument(TypedDict):
    """The other end of a link."""

    kind: str
    id: str


class _Step(TypedDict):
    id: str
    action: str
    kind: str
    object_id: str
    name: str
    summary: str
    precondition: str
    phase: int


class StepDocument(_Step, total=False):
    """One step of a plan; what says nothing is left out."""

    depends_on: list[str]
    body: dict[str, Any]
    live_id: str
    relationship: str
    target: TargetDocument
    look: str
    password: str
    app_id: str


class PlanFileDocument(_Plan):
    """A whole restore plan, as it is stored and applied."""

    steps: list[StepDocument]
    matched: dict[str, Any]
    reads: dict[str, Any]


class StepsPage(TypedDict):
    """Steps of a plan, in order; ``total`` is how many there are in all."""

    total: int
    items: list[StepDocument]
    next: str


class ApprovalDocument(TypedDict):
    """A request for a second person's word. ``granted`` is ``None`` until somebody decides."""

    id: str
    action: str
    tenant: str
    subject: str
    digest: str
    asked_by: str
    asked_by_name: str
    asked_at: str
    expires_at: str
    decided_by: str | None
    decided_by_name: str
    decided_at: str | None
    granted: bool | None
    used_at: str | None


class ApprovalsPage(TypedDict):
    """Requests for a second person's word, newest first."""

    items: list[ApprovalDocument]
    next: str


# Jobs


class JobDocument(TypedDict):
    """A run of a task. ``interrupted``: who ran it is gone, and nobody has taken it up yet.

    What ``parameters``, ``progress``, ``summary`` and ``error`` hold is the task's own; an error
    has ``code``, ``message`` and ``hint``.
    """

    id: str
    tenant: str
    task: str
    status: Literal[
        "queued", "running", "interrupted", "succeeded", "partial", "failed", "cancelled"
    ]
    created_at: str
    started_at: str | None
    finished_at: str | None
    who: str
    parameters: dict[str, Any]
    progress: dict[str, Any]
    summary: dict[str, Any]
    error: dict[str, Any]


class ShownJobDocument(JobDocument):
    """A job with how many of its steps stand how."""

    steps: Counts


class JobsPage(TypedDict):
    """Jobs, newest first."""

    items: list[JobDocument]
    next: str


class JobStepDocument(TypedDict):
    """A step of a restore, and what became of it. ``attempt`` counts intents.

    ``code`` and ``request_id`` are Graph's own; ``hint`` says what to do.
    """

    step: str
    action: str
    kind: str
    id: str
    display_name: str
    relationship: str
    target: str
    summary: str
    status: StepStatus
    attempt: int
    intended_at: str | None
    finished_at: str | None
    new_id: str
    message: str
    code: str
    request_id: str
    hint: str


class JobStepsPage(TypedDict):
    """Steps of a restore, in the plan's order; ``total`` is how many there are in all.

    ``snapshot`` is what the plan restores from, or the capture when it ``undoes`` a restore.
    """

    snapshot: str
    undoes: str
    total: int
    items: list[JobStepDocument]
    next: str


def coverage_documents(found: Mapping[str, Coverage]) -> dict[str, CoverageDocument]:
    """Return the coverage of kinds and relationships by name."""
    return {name: cast("CoverageDocument", item.to_json()) for name, item in found.items()}
