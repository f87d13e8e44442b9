"""One example of every document and of every body: the description shows them."""

from __future__ import annotations

from typing import Any

import msgspec

from reentra.access import Role
from reentra.api import documents as docs
from reentra.api import downloads, jobs, keys, oidc, people, restores, retention, session, tenants
from reentra.compare import Change, LinkChange
from reentra.database import StepStatus
from reentra.directory.state import CoverageStatus
from reentra.restore.plan import PLAN_VERSION
from reentra.snapshots.info import SnapshotStatus

_NOON, _LATER = "2026-11-23T12:00:00Z", "2026-11-23T12:03:20Z"
_GUID = "7b0f4c1e-55aa-4b8e-9a57-0d7a3d1c2b10"
_GROUP, _USER = "4c2e9c5b-1d1f-4d3c-8d49-2f5a1f6f3a01", "0c9d7d3e-6f1b-4b53-9a26-3f1a2b4c5d6e"
_SNAPSHOT, _BEFORE = "20261123T120000Z-67053096", "20261122T120000Z-1c0ffee5"
_JOB_ID, _PLAN_ID = "5f1c2a9b7d3e4f60", "c1d2e3f405162738"
_DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_LINK = "https://reentra.example.com/set-up#rF8m2kVw0ZtQ"

PERSON: docs.PersonDocument = {
    "id": "a1b2c3d4e5f60718",
    "name": "adele",
    "roles": {"contoso": Role.RESTORER},
    "disabled": False,
    "external": False,
    "has_password": True,
    "second_factor": True,
    "created_at": _NOON,
}
SIGNED_IN: docs.SignedInDocument = {"person": PERSON, "csrf_token": "b6589fc6ab0dc82c"}
RECOVERY_CODE = "abcd-efgh-ijkl-mnop-qrst-uvwx"
TOKEN: docs.TokenDocument = {
    "id": "90a1b2c3d4e5f607",
    "name": "nightly report",
    "person": "adele",
    "tenant": "contoso",
    "role": Role.READER,
    "created_at": _NOON,
    "expires_at": "2027-02-21T12:00:00Z",
    "revoked_at": None,
    "used_at": _LATER,
}
RECORD: docs.RecordDocument = {
    "number": 1204,
    "at": _NOON,
    "via": "session",
    "who": "adele",
    "who_id": PERSON["id"],
    "address": "192.0.2.7",
    "action": "restore.begin",
    "tenant": "contoso",
    "target": _PLAN_ID,
    "result": "done",
    "detail": {},
    "hash": _DIGEST,
}
PROVIDER: docs.ProviderDocument = {
    "cloud": "global",
    "authority": "https://login.microsoftonline.com",
    "directory": _GUID,
    "client_id": "d3590ed6-52b3-4102-aeff-aad2292ab01c",
    "rules": [
        {"claim": "groups", "value": _GROUP, "role": Role.OPERATOR, "tenant": "contoso"},
    ],
    "enabled": True,
}
TENANT: docs.TenantDocument = {
    "name": "contoso",
    "tenant_id": _GUID,
    "client_id": "d3590ed6-52b3-4102-aeff-aad2292ab01c",
    "credential": "client_secret",
    "cloud": "global",
    "graph_endpoint": "",
    "authority": "",
    "break_glass": ["emergency@contoso.com"],
}
POLICY: docs.PolicyDocument = {
    "last": 0,
    "hourly": 24,
    "daily": 30,
    "weekly": 0,
    "monthly": 12,
    "yearly": 0,
    "within_days": 0,
    "captures_within_days": 90,
    "zone": "Europe/Berlin",
}
RETAINED: docs.RetainedDocument = {
    "id": _SNAPSHOT,
    "taken_at": _NOON,
    "complete": True,
    "capture": False,
    "kept": True,
    "reasons": ["newest snapshot", "daily 1 of 30 (2026-11-23)"],
}
MERGE: docs.MergeDocument = {
    "tenant_id": _GUID,
    "snapshot": _SNAPSHOT,
    "absorbs": [_BEFORE],
    "bytes": 812345,
}
SCHEDULE: docs.ScheduleDocument = {
    "tenant": "contoso",
    "rule": "daily 02:30",
    "zone": "Europe/Berlin",
    "next_at": "2026-11-24T01:30:00Z",
}
COVERAGE: docs.CoverageDocument = {
    "status": CoverageStatus.REFUSED,
    "reason": "Graph refuses it: the permission is missing.",
    "permissions": ["Policy.Read.All"],
}
UNREAD: docs.UnreadDocument = {
    "title": "Company branding",
    "where": "/organization/{id}/branding",
    "why": "Not built yet: export it with another tool.",
}
NEED: docs.NeedDocument = {
    "permission": "Group.ReadWrite.All",
    "for_backup": [],
    "for_restore": ["group"],
    "granted": False,
}
KIND: docs.KindDocument = {
    "objects": 1200,
    "added": 3,
    "changed": 12,
    "deleted": 1,
    "coverage": CoverageStatus.COMPLETE,
    "reason": "",
}
SNAPSHOT: docs.SnapshotDocument = {
    "id": _SNAPSHOT,
    "created_at": _NOON,
    "parent": _BEFORE,
    "status": SnapshotStatus.COMPLETE,
    "kinds": {"user": KIND},
    "review": [],
}
DAY: docs.DayDocument = {
    "day": "2026-11-23",
    "snapshots": 24,
    "added": 3,
    "changed": 12,
    "deleted": 1,
    "partial": 0,
    "review": 0,
}
LISTED: docs.ListedObjectDocument = {
    "id": _GROUP,
    "display_name": "Finance",
    "modified_at": _NOON,
    "properties": {"mailNickname": "finance"},
}
MOMENT: docs.MomentDocument = {"id": _SNAPSHOT, "created_at": _NOON}
LINK_GROUP: docs.LinkGroupDocument = {
    "relationship": "group.members",
    "direction": "to",
    "total": 1,
}
NAMED: docs.NamedDocument = {"kind": "user", "id": _USER, "display_name": "Adele Vance"}
ASSIGNMENT_END: docs.AssignmentEndDocument = {
    "property": "roleDefinitionId",
    "kind": "unifiedRoleDefinition",
    "id": "fe930be7-5e62-47db-91af-98c3a49a38b1",
    "display_name": "User Administrator",
}
ASSIGNMENT: docs.AssignmentDocument = {
    "kind": "unifiedRoleAssignment",
    "id": "lAPpYvVpN0KRkAEhdxReEJC2sEqbR_9Hr48lds9SGHI-1",
    "property": "principalId",
    "ends": [ASSIGNMENT_END],
    "gives": "",
}
PROPERTY_CHANGE: docs.PropertyChangeDocument = {
    "path": "description",
    "before": "Pays the bills",
    "after": None,
}
LINK_CHANGE: docs.LinkChangeDocument = {
    "relationship": "group.members",
    "change": LinkChange.REMOVED,
    "target": _USER,
    "target_kind": "user",
    "target_name": "Adele Vance",
}
OBJECT_CHANGE: docs.ObjectChangeDocument = {
    "change": Change.MODIFIED,
    "kind": "group",
    "id": _GROUP,
    "display_name": "Finance",
    "properties": [PROPERTY_CHANGE],
    "relationships": [LINK_CHANGE],
}
INCOMPLETE: docs.IncompleteDocument = {
    **COVERAGE,
    "name": "conditionalAccessPolicy",
    "state": "live",
}
LINKED: docs.LinkedDocument = {
    "relationship": "group.members",
    "direction": "to",
    "target": _USER,
    "target_kind": "user",
    "target_name": "Adele Vance",
}
VERSION: docs.VersionDocument = {
    "began": _BEFORE,
    "ended": None,
    "deleted": False,
    "began_at": "2026-11-22T12:00:00Z",
    "ended_at": None,
}
OPEN_SESSION: docs.OpenSessionDocument = {
    "id": "5b0c9e7d1f2a4c86",
    "address": "203.0.113.7",
    "created_at": _NOON,
    "seen_at": _NOON,
    "is_this": True,
}
CAPTURE: docs.CaptureDocument = {
    "id": _SNAPSHOT,
    "job": "3f2a9c1e5b7d4860",
    "taken_at": _NOON,
    "kinds": {"group": 2},
    "relationships": {"group.members": 5},
}
HIT: docs.HitDocument = {
    "kind": "group",
    "id": _GROUP,
    "id_now": _GROUP,
    "display_name": "Finance",
    "snapshot": _SNAPSHOT,
    "snapshot_at": _NOON,
    "modified_at": _NOON,
    "deleted": True,
}
SELECTION: docs.SelectionDocument = {"kinds": [], "ids": [f"group/{_GROUP}"]}
OPTIONS: docs.OptionsDocument = {
    "relationships": True,
    "deleted_only": False,
    "settings": "overwrite",
    "conditional_access_state": "report_only",
    "max_changed_share": None,
    "overruled": [],
    "relationships_behavior": "merge",
    "settings_of": {},
    "rollback_kinds": [],
    "properties": [],
}
REFUSAL: docs.RefusalDocument = {
    "code": "too_much",
    "message": "The plan changes 1,100 of 1,200 users.",
    "hint": "Choose fewer, or overrule it.",
    "overrule": "too_much",
    "numbers": {"share": 0.92},
}
UNRESTORABLE: docs.UnrestorableDocument = {
    "kind": "device",
    "id": "2b8b4f0e-7e2c-4c7a-8d51-5f8e1f0d9c3b",
    "name": "LAPTOP-7",
    "what": "object",
    "reason": "Devices cannot be created through Graph.",
    "instead": "Register it again on the device.",
    "count": 1,
    "code": "unrestorable",
}
FOLLOW_UP: docs.FollowUpDocument = {
    "id": f"conditionalAccessPolicy/{_GUID}",
    "kind": "conditionalAccessPolicy",
    "object_id": _GUID,
    "name": "Require MFA",
    "properties": ["/conditions/users/includeGroups"],
    "old_ids": [_GROUP],
    "reason": "",
    "chosen": False,
}
_OF_ITS_PAGE = frozenset({"open_refusals", "digest", "needs_approval", "applied_by"})
PLAN: docs.PlanDocument = {
    "version": PLAN_VERSION,
    "id": _PLAN_ID,
    "tenant_id": _GUID,
    "snapshot": _SNAPSHOT,
    "created_at": _NOON,
    "selection": SELECTION,
    "options": OPTIONS,
    "counts": {"update": {"group": 1}},
    "deletions": 0,
    "deletions_to_confirm": 0,
    "deleted_kinds": [],
    "removals": 0,
    "checked_after_undelete": 0,
    "estimated_seconds": 0.2,
    "needs_default_password": False,
    "refusals": [],
    "open_refusals": [],
    "warnings": [],
    "unrestorable": [],
    "totals": {"group": 40},
    "base": _DIGEST,
    "undoes": "",
    "break_glass": [],
    "follow_ups": [],
    "digest": _DIGEST,
    "applied_by": None,
    "needs_approval": False,
}
STEP: docs.StepDocument = {
    "id": f"update/group/{_GROUP}",
    "action": "update",
    "kind": "group",
    "object_id": _GROUP,
    "name": "Finance",
    "summary": "description",
    "precondition": "present",
    "phase": 20,
    "body": {"description": "The finance department"},
}
KEY: docs.KeyDocument = {
    "id": "3f2a9c0011d4e5b6",
    "kind": "passphrase",
    "created_at": _NOON,
    "generation": 1,
    "own": True,
}
APPROVAL: docs.ApprovalDocument = {
    "id": "7d3e4f605f1c2a9b",
    "action": "restore",
    "tenant": "contoso",
    "subject": _PLAN_ID,
    "digest": _DIGEST,
    "asked_by": PERSON["id"],
    "asked_by_name": "adele",
    "asked_at": _NOON,
    "expires_at": "2026-11-24T12:00:00Z",
    "decided_by": None,
    "decided_by_name": "",
    "decided_at": None,
    "granted": None,
    "used_at": None,
}
JOB: docs.JobDocument = {
    "id": _JOB_ID,
    "tenant": "contoso",
    "task": "backup",
    "status": "succeeded",
    "created_at": _NOON,
    "started_at": _NOON,
    "finished_at": _LATER,
    "who": "adele",
    "parameters": {"full": False, "anew": False, "kinds": []},
    "progress": {},
    "summary": {"snapshot": _SNAPSHOT},
    "error": {},
}
JOB_STEP: docs.JobStepDocument = {
    "step": STEP["id"],
    "status": StepStatus.DONE,
    "attempt": 1,
    "intended_at": _NOON,
    "finished_at": _NOON,
    "action": "add_relationship",
    "kind": "group",
    "id": _GROUP,
    "display_name": "Finance",
    "relationship": "group.members",
    "target": _USER,
    "summary": "Add Adele Vance to Finance",
    "new_id": "",
    "message": "",
    "code": "",
    "request_id": "",
    "hint": "",
}
_LAST = ""  # no further page

_ANSWERS: dict[type, Any] = {
    docs.PersonDocument: PERSON,
    docs.NewPersonDocument: {**PERSON, "set_up": _LINK},
    docs.PeoplePage: {"items": [PERSON], "next": _LAST},
    docs.LinkDocument: {"set_up": _LINK},
    docs.WaysDocument: {"password": True, "provider": False},
    docs.SignedInDocument: SIGNED_IN,
    docs.SessionDocument: {**SIGNED_IN, "roles": PERSON["roles"], "fresh": True},
    docs.OpenSessionDocument: OPEN_SESSION,
    docs.OpenSessionsPage: {"items": [OPEN_SESSION], "next": _LAST},
    docs.EndedDocument: {"ended": 1},
    docs.SignedOutDocument: {"signed_in": False},
    docs.SetUpDocument: {"person": PERSON},
    docs.ChangedDocument: {"changed": True},
    docs.SeedDocument: {
        "seed": "JBSWY3DPEHPK3PXP",
        "uri": "otpauth://totp/Reentra:adele?secret=JBSWY3DPEHPK3PXP&issuer=Reentra",
    },
    docs.SecondFactorDocument: {"second_factor": True, "recovery_codes": [RECOVERY_CODE]},
    docs.RecoveryDocument: {"recovery_codes": [RECOVERY_CODE]},
    docs.TokenDocument: TOKEN,
    docs.NewTokenDocument: {**TOKEN, "used_at": None, "token": "shown-this-once"},
    docs.TokensPage: {"items": [TOKEN], "next": _LAST},
    docs.RecordDocument: RECORD,
    docs.TrailPage: {"items": [RECORD], "next": "cDEyMDQ"},
    docs.VerificationDocument: {
        "records": 1204, "head": _DIGEST, "whole": True, "problems": [],
    },
    docs.SettingsDocument: {
        "approve_restores_over_steps": 500,
        "approve_disconnect": True,
        "approve_retention": True,
        "approve_keys": True,
    },
    docs.KeyDocument: KEY,
    docs.KeysDocument: {"generation": 1, "items": [KEY]},
    docs.NewKeyDocument: {"recovery_key": "", "generation": 1, "items": [KEY]},
    docs.RuleDocument: PROVIDER["rules"][0],
    docs.ProviderDocument: PROVIDER,
    docs.ProviderSettingsDocument: {
        "provider": PROVIDER, "callback": "https://reentra.example.com" + oidc.CALLBACK,
    },
    docs.TenantDocument: TENANT,
    docs.ScheduleDocument: SCHEDULE,
    docs.PolicyDocument: POLICY,
    docs.RetainedDocument: RETAINED,
    docs.RetentionDocument: {"policy": POLICY, "items": [RETAINED], "forgets": 0},
    docs.MergeDocument: MERGE,
    docs.PrunePlanDocument: {
        "merges": [MERGE],
        "forgotten": [_BEFORE],
        "segments": 3,
        "bytes_unneeded": 40960,
    },
    docs.ListedTenantDocument: {**TENANT, "schedule": SCHEDULE},
    docs.TenantsDocument: {"items": [{**TENANT, "schedule": SCHEDULE}]},
    docs.NewTenantDocument: {**TENANT, "granted_permissions": ["Directory.Read.All"]},
    docs.DisconnectedDocument: {"name": "contoso", "disconnected": True},
    docs.CoverageDocument: COVERAGE,
    docs.NeedDocument: NEED,
    docs.PermissionsDocument: {
        "tenant": "contoso",
        "tenant_id": _GUID,
        "granted": ["Directory.Read.All"],
        "permissions": [NEED],
        "missing_for_backup": [],
        "missing_for_restore": ["Group.ReadWrite.All"],
        "not_covered": {"conditionalAccessPolicy": COVERAGE},
    },
    docs.TenantCoverageDocument: {
        "snapshot": _SNAPSHOT, "coverage": {"conditionalAccessPolicy": COVERAGE},
        "unread": [UNREAD],
    },
    docs.UnreadDocument: UNREAD,
    docs.KindDocument: KIND,
    docs.SnapshotDocument: SNAPSHOT,
    docs.SnapshotsPage: {"items": [SNAPSHOT], "next": "cDQx"},
    docs.ShownSnapshotDocument: {
        **SNAPSHOT, "coverage": {"conditionalAccessPolicy": COVERAGE},
    },
    docs.DayDocument: DAY,
    docs.DaysDocument: {"zone": "Europe/Berlin", "items": [DAY], "months": {"2026-11": 531}},
    docs.StorageDocument: {"files": 1240, "bytes": 73_400_320},
    docs.ListedObjectDocument: LISTED,
    docs.ObjectsPage: {
        "snapshot": _SNAPSHOT, "kind": "group", "total": 1, "items": [LISTED], "next": _LAST,
    },
    docs.SelectedKindDocument: {"kind": "user", "objects": 1200},
    docs.SelectedObjectDocument: {"kind": "group", "id": _GROUP, "display_name": "Finance"},
    docs.SelectedDocument: {
        "snapshot": _SNAPSHOT,
        "created_at": _NOON,
        "kinds": [{"kind": "user", "objects": 1200}],
        "objects": [{"kind": "group", "id": _GROUP, "display_name": "Finance"}],
        "missing": [],
        "total": 1,
    },
    docs.MomentDocument: MOMENT,
    docs.MomentsDocument: {
        "around": MOMENT, "newest": MOMENT, "oldest": MOMENT, "total": 1, "items": [MOMENT],
    },
    docs.LinkedDocument: LINKED,
    docs.LinkGroupDocument: LINK_GROUP,
    docs.LinksPage: {
        "snapshot": _SNAPSHOT, "groups": [LINK_GROUP], "items": [LINKED], "next": _LAST,
    },
    docs.AssignmentEndDocument: ASSIGNMENT_END,
    docs.AssignmentDocument: ASSIGNMENT,
    docs.AssignmentsDocument: {
        "snapshot": _SNAPSHOT, "total": 1, "items": [ASSIGNMENT], "skipped": [],
    },
    docs.NamedDocument: NAMED,
    docs.NamesDocument: {"items": {_USER: NAMED}},
    docs.PropertyChangeDocument: PROPERTY_CHANGE,
    docs.LinkChangeDocument: LINK_CHANGE,
    docs.ObjectChangeDocument: OBJECT_CHANGE,
    docs.IncompleteDocument: INCOMPLETE,
    docs.ChangesPage: {
        "before": _SNAPSHOT, "after": "live", "counts": {"group": {"modified": 1}},
        "incomplete": [INCOMPLETE], "total": 1, "items": [OBJECT_CHANGE],
        "refs": [f"group/{_GROUP}"], "next": _LAST,
    },
    docs.ObjectDocument: {
        "snapshot": _SNAPSHOT,
        "kind": "group",
        "id": _GROUP,
        "display_name": "Finance",
        "properties": {"id": _GROUP, "displayName": "Finance", "securityEnabled": True},
        "relationships": [LINKED],
    },
    docs.VersionDocument: VERSION,
    docs.VersionsDocument: {"items": [VERSION], "differing": [_BEFORE]},
    docs.CaptureDocument: CAPTURE,
    docs.CapturesPage: {"items": [CAPTURE], "next": _LAST},
    docs.HitDocument: HIT,
    docs.HitsPage: {"items": [HIT], "next": _LAST},
    docs.SelectionDocument: SELECTION,
    docs.OptionsDocument: OPTIONS,
    docs.DeletedKindDocument: {"kind": "group", "count": 2, "undo": "recycle_bin"},
    docs.RefusalDocument: REFUSAL,
    docs.UnrestorableDocument: UNRESTORABLE,
    docs.FollowUpDocument: FOLLOW_UP,
    docs.PlanDocument: PLAN,
    docs.PlanFileDocument: {
        **{name: value for name, value in PLAN.items() if name not in _OF_ITS_PAGE},
        "steps": [STEP], "matched": {"objects": {}, "apps": {}}, "reads": {},
    },
    docs.TargetDocument: {"kind": "user", "id": _USER},
    docs.StepDocument: STEP,
    docs.StepsPage: {"total": 1, "items": [STEP], "next": _LAST},
    docs.ApprovalDocument: APPROVAL,
    docs.ApprovalsPage: {"items": [APPROVAL], "next": _LAST},
    docs.JobDocument: JOB,
    docs.ShownJobDocument: {**JOB, "steps": {"done": 40}},
    docs.JobsPage: {"items": [JOB], "next": _LAST},
    docs.JobStepDocument: JOB_STEP,
    docs.JobStepsPage: {
        "snapshot": _SNAPSHOT, "undoes": "", "total": 1, "items": [JOB_STEP], "next": _LAST
    },
}  # fmt: skip

_SECRET = "a secret of the application"
_PASSWORD = "seven grey lamps at dawn"
_BODIES: tuple[msgspec.Struct, ...] = (
    session.Credentials("adele", _PASSWORD, "492039"),
    session.Proof(_PASSWORD, "492039"),
    session.NewPassword("rF8m2kVw0ZtQ", _PASSWORD),
    session.ChangedPassword("the one before it", _PASSWORD),
    session.Code("492039"),
    oidc.NewRule("groups", _GROUP, "operator", "contoso"),
    oidc.NewProvider(
        _GUID, TENANT["client_id"], [oidc.NewRule("groups", _GROUP, "operator")], _SECRET
    ),
    oidc.Emergency(on=True),
    tenants.NewTenant("contoso", _GUID, TENANT["client_id"], _SECRET),
    tenants.Safeguarded(["emergency@contoso.com"]),
    tenants.NewSchedule("daily 02:30", "Europe/Berlin"),
    tenants.NewBackup(),
    retention.NewRetention(**POLICY),
    retention.Forgetting([_BEFORE]),
    restores.NewPlan("latest", ids=[f"group/{_GROUP}"]),
    restores.Apply("Fjord-Lantern-42"),
    restores.Decision(granted=True),
    jobs.Resume(),
    jobs.Undo(),
    jobs.Check(quick=True),
    downloads.NewDownload(kinds=["group"], relationships=True),
    people.NewPerson("adele", "restorer", "contoso"),
    people.NewRole("operator", "contoso"),
    people.Standing(disabled=True),
    people.NewToken("nightly report", "reader", "contoso"),
    people.Settings(500, approve_disconnect=True, approve_retention=True, approve_keys=True),
    keys.NewKey(_SECRET),
    keys.ChangedPassphrase(_SECRET, _SECRET),
    keys.Rotation(_SECRET),
)

EXAMPLES: dict[str, Any] = {
    **{kind.__name__: example for kind, example in _ANSWERS.items()},
    **{type(body).__name__: msgspec.to_builtins(body) for body in _BODIES},
}
DOCUMENTS: dict[str, type] = {kind.__name__: kind for kind in _ANSWERS}
