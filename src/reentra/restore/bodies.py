"""Bodies: what is sent to Graph to make an object, or to make an object be as it was.

Pure. Sources of the facts: learn.microsoft.com/graph/api (the create and update pages of each
type), learn.microsoft.com/graph/use-the-api (PATCH merges at the first level; an explicit ``null``
clears).
"""

from __future__ import annotations

import copy
import enum
from collections.abc import Mapping
from typing import Any

from reentra.directory import canonical, references
from reentra.directory.kinds import KINDS, ObjectKind, is_extension_name

GUEST_REDIRECT_URL = "https://myapplications.microsoft.com"

# What changes along with something else, and is therefore no finding of its own: copies of the
# application in its service principal, addresses that follow `mail`, licences that have steps of
# their own, and stamps.
_FOLLOWS: Mapping[str, frozenset[str]] = {
    "user": frozenset({
        "assignedLicenses", "identities", "imAddresses", "securityIdentifier",
        "externalUserState", "createdDateTime",
    }),
    "group": frozenset({"assignedLicenses", "securityIdentifier", "createdDateTime"}),
    "application": frozenset({"publisherDomain", "createdDateTime"}),
    "servicePrincipal": frozenset({
        "appDisplayName", "appDescription", "appRoles", "displayName", "info",
        "oauth2PermissionScopes", "servicePrincipalNames", "signInAudience", "createdDateTime",
    }),
}  # fmt: skip
_CREATED_SECOND = ("identifierUris",)
_APPLICATION_SECOND = ("preAuthorizedApplications", "knownClientApplications")


class AbsentReason(enum.StrEnum):
    """Why a kind of object is never created or never written."""

    SYNCED = "synced"
    MAIL_ENABLED = "mail_enabled"
    MANAGED_IDENTITY = "managed_identity"
    BUILT_IN = "built_in"
    KIND = "kind"


def comparable(kind: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``properties`` in the form in which a restore compares them.

    Expanded copies of other objects are reduced to their ids, and what a server adds on its own
    inside a writable property is left out.
    """
    result = dict(properties)
    if kind == "conditionalAccessPolicy":
        grant = result.get("grantControls")
        if isinstance(grant, Mapping) and isinstance(grant.get("authenticationStrength"), Mapping):
            strength = {"id": grant["authenticationStrength"].get("id")}
            result["grantControls"] = {**grant, "authenticationStrength": strength}
    elif kind == "oAuth2PermissionGrant" and isinstance(result.get("scope"), str):
        result["scope"] = " ".join(sorted(result["scope"].split()))  # a set, written as a text
    elif kind == "application":
        if isinstance(result.get("info"), Mapping):
            result["info"] = {k: v for k, v in result["info"].items() if k != "logoUrl"}
        result.update(_without_origin(result))
    return result


def _without_origin(application: Mapping[str, Any]) -> dict[str, Any]:
    """Return app roles and scopes without ``origin``, which Graph shows and refuses to be sent.

    Source: learn.microsoft.com/graph/api/resources/approle.
    """
    result: dict[str, Any] = {}
    if isinstance(application.get("appRoles"), list):
        result["appRoles"] = [
            {key: value for key, value in role.items() if key != "origin"}
            for role in application["appRoles"]
        ]
    api = application.get("api")
    if isinstance(api, Mapping) and isinstance(api.get("oauth2PermissionScopes"), list):
        scopes = [
            {key: value for key, value in scope.items() if key != "origin"}
            for scope in api["oauth2PermissionScopes"]
        ]
        result["api"] = {**api, "oauth2PermissionScopes": scopes}
    return result


def digest(kind: str, properties: Mapping[str, Any]) -> bytes:
    """Return 16 bytes that are equal exactly when a restore finds no difference."""
    return canonical.digest(kind, comparable(kind, properties))


def differing(kind: str, desired: Mapping[str, Any], live: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of the properties that differ and count."""
    left = canonical.canonical_properties(kind, comparable(kind, desired))
    right = canonical.canonical_properties(kind, comparable(kind, live))
    return frozenset(
        name for name in left.keys() | right.keys() if left.get(name) != right.get(name)
    )


def is_synced(properties: Mapping[str, Any]) -> bool:
    """Tell whether an on-premises directory is the master of the object."""
    return properties.get("onPremisesSyncEnabled") is True


def is_dynamic(kind: str, properties: Mapping[str, Any]) -> bool:
    """Tell whether the members follow from a rule, so that nobody can write them."""
    if kind == "group":
        return "DynamicMembership" in (properties.get("groupTypes") or ())
    return kind == "administrativeUnit" and properties.get("membershipType") == "Dynamic"


def is_mail_enabled_only(kind: str, properties: Mapping[str, Any]) -> bool:
    """Tell whether Exchange owns the group: distribution and mail-enabled security groups."""
    return (
        kind == "group"
        and properties.get("mailEnabled") is True
        and "Unified" not in (properties.get("groupTypes") or ())
    )


def own_identities(properties: Mapping[str, Any]) -> frozenset[tuple[str, str, str]]:
    """Return the sign-in names of a user that neither its principal name nor another tenant gives.

    Local accounts sign in with them; Reentra keeps them and does not write them.
    """
    return frozenset(
        (
            str(one.get("signInType")),
            str(one.get("issuer") or "").lower(),
            str(one.get("issuerAssignedId") or "").lower(),
        )
        for one in properties.get("identities") or ()
        if one.get("signInType") not in ("userPrincipalName", "federated", None)
    )


def is_guest_by_invitation(properties: Mapping[str, Any]) -> bool:
    """Tell whether the user came by invitation, and can only come back by another one.

    Members can have come so, too: what counts is that the account lives elsewhere.
    """
    return bool(properties.get("externalUserState")) or "#EXT#" in (
        properties.get("userPrincipalName") or ""
    )


def never_written(kind: str, properties: Mapping[str, Any]) -> AbsentReason | None:
    """Return why an object of this kind is not Reentra's to write, or ``None`` when it is."""
    row = KINDS[kind]
    if not (row.writable or row.create_only or row.update_only):
        return AbsentReason.KIND
    if kind == "unifiedRoleDefinition" and properties.get("isBuiltIn") is True:
        return AbsentReason.BUILT_IN
    if kind == "authenticationStrengthPolicy" and properties.get("policyType") == "builtIn":
        return AbsentReason.BUILT_IN
    if kind == "servicePrincipal" and properties.get("servicePrincipalType") == "ManagedIdentity":
        return AbsentReason.MANAGED_IDENTITY
    if is_mail_enabled_only(kind, properties):
        return AbsentReason.MAIL_ENABLED
    return None


REASONS: Mapping[AbsentReason, tuple[str, str]] = {
    AbsentReason.SYNCED: (
        "An on-premises directory is its master.",
        "Restore it in Active Directory; synchronisation brings it back here.",
    ),
    AbsentReason.MAIL_ENABLED: (
        "Distribution and mail-enabled security groups belong to Exchange, not to Graph.",
        "Restore it with Exchange Online PowerShell.",
    ),
    AbsentReason.MANAGED_IDENTITY: (
        "A managed identity lives and dies with its Azure resource.",
        "Create the Azure resource again, then restore its assignments.",
    ),
    AbsentReason.BUILT_IN: ("It is built in and belongs to Microsoft.", ""),
    AbsentReason.KIND: ("Graph cannot write objects of this kind.", ""),
}  # fmt: skip


LOST_AT_CREATION: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "authenticationStrengthPolicy": {
        "combinationConfigurations": (
            "The restrictions of a strength (which keys, which issuers) are not written.",
            "Set them again in the Entra admin center; the snapshot shows which.",
        ),
    },
}
"""Kind -> property that a new object does without: why, and what to do instead."""


def read_only_differences(kind: str, names: frozenset[str]) -> frozenset[str]:
    """Return those of ``names`` that nobody can write and that are a finding of their own."""
    row = KINDS[kind]
    return frozenset(
        name
        for name in names - _FOLLOWS.get(kind, frozenset())
        if not (row.may_create(name) or row.may_update(name))
    )


def with_later_scopes(desired: Mapping[str, Any], live: Mapping[str, Any]) -> dict[str, Any]:
    """Return a grant with the scopes of both: each of them is a link of its own, written in one."""
    before = str(desired.get("scope") or "").split()
    later = str(live.get("scope") or "").split()
    return {**desired, "scope": " ".join(dict.fromkeys([*before, *later]))}


def may_write_synced(row: ObjectKind, name: str) -> bool:
    """Tell whether a property can be written though an on-premises directory owns the object.

    Directory extensions are the cloud's, but for those that synchronisation brought along, which
    Graph refuses (learn.microsoft.com/graph/extensibility-overview).
    """
    return name in row.synced_writable or (row.has_extensions and is_extension_name(name))


def target_values(kind: str, desired: Mapping[str, Any]) -> dict[str, Any]:
    """Return the value of every property that an update may write; unset ones as ``None``.

    This is what an object out of the recycle bin is held against, since nobody can see there
    which of its properties differ.
    """
    row = KINDS[kind]
    names = row.writable | row.update_only | set(references.extensions_in(kind, desired))
    return {name: desired.get(name) for name in sorted(names)}


def update_bodies(
    kind: str, desired: Mapping[str, Any], live: Mapping[str, Any], names: frozenset[str]
) -> tuple[dict[str, Any], ...]:
    """Return the PATCH bodies, to be sent in this order, that put ``names`` back.

    Only writable names count. An enabled app role or scope that changes or goes must be disabled
    first, and a scope must exist before a client is pre-authorised for it: those take two.
    """
    row = KINDS[kind]
    chosen = frozenset(
        name
        for name in names
        if row.may_update(name)
        and (not is_synced(live) or may_write_synced(row, name))
        and _may_update(kind, name, desired, live)
    )
    if not chosen:
        return ()
    want = comparable(kind, desired)
    have = comparable(kind, live)
    body = {name: _put(want.get(name), have.get(name)) for name in sorted(chosen)}
    if kind == "group" and chosen & {
        "groupTypes", "membershipRule", "membershipRuleProcessingState"
    } and is_dynamic(kind, desired):  # fmt: skip
        for name in ("groupTypes", "membershipRule", "membershipRuleProcessingState"):
            body[name] = want.get(name)
    if row.is_typed and (want.get("@odata.type") or have.get("@odata.type")):
        body = {"@odata.type": want.get("@odata.type") or have["@odata.type"], **body}
    if row.is_replaced:
        unchanged = {name: have[name] for name in row.update_only if have.get(name) is not None}
        body = {**unchanged, **body}
    alone: list[dict[str, Any]] = [
        {name: body.pop(name)} for name, _action in row.actions if name in body
    ]
    if alone:
        return (*([body] if body else []), *alone)
    if kind == "unifiedRoleDefinition" and "rolePermissions" in body:
        body["rolePermissions"] = stripped(body["rolePermissions"])
    if row.is_owned:
        body[row.source_property] = want.get(row.source_property) or live[row.source_property]
    if kind != "application":
        return (body,)
    bodies = []
    preparation = _disabled_first(body, have)
    if preparation:
        bodies.append(preparation)
    api = body.get("api")
    if isinstance(api, Mapping) and _preauthorises_new_scopes(api, have.get("api") or {}):
        known = (have.get("api") or {}).get("preAuthorizedApplications") or []
        kept = [item for item in known if _scope_ids_of(item) <= _scope_ids(api)]
        bodies.append({**body, "api": {**api, "preAuthorizedApplications": kept}})
        body = {"api": dict(api)}
    bodies.append(body)
    return tuple(bodies)


def refused_updates(
    kind: str, desired: Mapping[str, Any], live: Mapping[str, Any], names: frozenset[str]
) -> dict[str, tuple[str, str]]:
    """Return, for those of ``names`` that an update must not send, the reason and what to do."""
    row = KINDS[kind]
    result: dict[str, tuple[str, str]] = {}
    for name in sorted(names):
        if not row.may_update(name) and row.may_create(name):
            result[name] = (
                "It can only be set when the object is created.",
                "Delete the object and restore it again if the value matters.",
            )
        elif row.may_update(name):
            if is_synced(live) and not may_write_synced(row, name):
                result[name] = REASONS[AbsentReason.SYNCED]
            elif not _may_update(kind, name, desired, live):
                result[name] = (
                    "Graph does not let this value be changed once the object exists.",
                    "",
                )
    return result


def create_body(kind: str, desired: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of the POST that makes the object anew.

    Holds what Graph takes at creation, without nulls and empty lists; what must wait for other
    objects is in ``second_body``. No password.
    """
    row = KINDS[kind]
    want = comparable(kind, desired)
    names = row.writable | row.create_only | row.required
    names |= set(references.extensions_in(kind, want))
    body = {
        name: stripped(want[name])
        for name in sorted(names)
        if want.get(name) is not None and want.get(name) != []
    }
    if kind in ("group", "administrativeUnit") and not is_dynamic(kind, want):
        body.pop("membershipRule", None)  # one may be left over from the time before
        body.pop("membershipRuleProcessingState", None)
    if kind == "user" and not body.get("mailNickname"):
        body["mailNickname"] = (want.get("userPrincipalName") or "").partition("@")[0]
    if kind == "application":
        for name in _CREATED_SECOND:
            body.pop(name, None)
        if isinstance(body.get("api"), dict):
            body["api"] = {k: v for k, v in body["api"].items() if k not in _APPLICATION_SECOND}
        body = {name: value for name, value in body.items() if value != {}}
    if kind == "conditionalAccessPolicy":
        body = {name: value for name, value in body.items() if value != {}}
    return body


def second_body(kind: str, desired: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is written once the object exists, or ``{}``: addresses with its own new id,
    and references that may lead back to it."""
    if kind != "application":
        return {}
    want = comparable(kind, desired)
    body: dict[str, Any] = {}
    for name in _CREATED_SECOND:
        if want.get(name):
            body[name] = copy.deepcopy(want[name])
    api = want.get("api")
    if isinstance(api, Mapping) and any(api.get(name) for name in _APPLICATION_SECOND):
        body["api"] = stripped(api)
    return body


def invitation_body(desired: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the invitation that brings a guest back, or ``None`` when no address is known.

    No message is sent: the operator decides when guests hear of it.
    """
    address = desired.get("mail") or next(iter(desired.get("otherMails") or ()), "")
    if not address:
        alias = (desired.get("userPrincipalName") or "").partition("#EXT#")[0]
        mailbox, underscore, domain = alias.rpartition("_")
        address = f"{mailbox}@{domain}" if underscore and "." in domain else ""
    if not address:
        return None
    body = {
        "invitedUserEmailAddress": address,
        "inviteRedirectUrl": GUEST_REDIRECT_URL,
        "sendInvitationMessage": False,
        "invitedUserType": desired.get("userType") or "Guest",
    }
    if desired.get("displayName"):
        body["invitedUserDisplayName"] = desired["displayName"]
    return body


def stripped(value: Any) -> Any:
    """Return a copy without nulls, empty lists and empty objects, at every depth."""
    if isinstance(value, Mapping):
        items = {key: stripped(item) for key, item in value.items()}
        return {key: item for key, item in items.items() if item not in (None, [], {})}
    if isinstance(value, list):
        return [stripped(item) for item in value]
    return value


def _put(desired: Any, live: Any) -> Any:
    """Return what to send so that ``desired`` holds.

    An object is sent whole, and members that only the live one has are sent as ``null``: some
    services merge nested objects, others replace them, and this is right for both.
    """
    if desired is None:
        return [] if isinstance(live, list) else None
    if isinstance(desired, Mapping):
        have = live if isinstance(live, Mapping) else {}
        if have.get("@odata.type") != desired.get("@odata.type"):
            have = {}  # members of another type: Graph knows none of them here
        result = {key: _put(item, have.get(key)) for key, item in desired.items()}
        for key, item in have.items():
            if key not in desired and item is not None and not key.startswith("@"):
                result[key] = [] if isinstance(item, list) else None
        return result
    return copy.deepcopy(desired)


def _may_update(kind: str, name: str, desired: Mapping[str, Any], live: Mapping[str, Any]) -> bool:
    """Tell whether Graph takes a new value of a writable property on this very object."""
    if kind == "group":
        if name == "visibility":
            return "HiddenMembership" not in (desired.get(name), live.get(name))
        if name == "groupTypes":
            changed = set(desired.get(name) or ()) ^ set(live.get(name) or ())
            return changed == {"DynamicMembership"}
    if kind == "user" and name == "userPrincipalName":
        return not (is_guest_by_invitation(desired) and is_guest_by_invitation(live))
    if kind == "user" and name == "onPremisesExtensionAttributes":
        return not is_synced(live)
    if kind == "domain" and name == "isDefault":
        return desired.get(name) is True  # another domain takes it over; nobody can give it up
    return not (kind == "unifiedRoleDefinition" and live.get("isBuiltIn") is True)


def _disabled_first(body: Mapping[str, Any], live: Mapping[str, Any]) -> dict[str, Any]:
    """Return the PATCH that disables the app roles and scopes that ``body`` changes or removes."""
    result: dict[str, Any] = {}
    if "appRoles" in body:
        roles = _with_disabled(live.get("appRoles") or [], body["appRoles"] or [])
        if roles is not None:
            result["appRoles"] = roles
    api = body.get("api")
    if isinstance(api, Mapping):
        have = live.get("api") or {}
        scopes = _with_disabled(
            have.get("oauth2PermissionScopes") or [], api.get("oauth2PermissionScopes") or []
        )
        if scopes is not None:
            result["api"] = {**have, "oauth2PermissionScopes": scopes}
    return result


def _with_disabled(
    live: list[dict[str, Any]], desired: list[dict[str, Any]]
) -> list[dict[str, Any]] | None:
    wanted = {item.get("id"): item for item in desired}
    result = []
    is_changed = False
    for item in live:
        want = wanted.get(item.get("id"))
        same = want is not None and _without_state(want) == _without_state(item)
        if item.get("isEnabled") is True and not same:
            result.append({**item, "isEnabled": False})
            is_changed = True
        else:
            result.append(dict(item))
    return result if is_changed else None


def _without_state(item: Mapping[str, Any]) -> Any:
    kept = {key: value for key, value in item.items() if key not in ("isEnabled", "origin")}
    return canonical.canonical_value(kept)


def _scope_ids(api: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(scope.get("id", "") for scope in api.get("oauth2PermissionScopes") or ())


def _scope_ids_of(authorisation: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(authorisation.get("delegatedPermissionIds") or ())


def _preauthorises_new_scopes(api: Mapping[str, Any], live_api: Mapping[str, Any]) -> bool:
    existing = _scope_ids(live_api)
    return any(
        not _scope_ids_of(item) <= existing for item in api.get("preAuthorizedApplications") or ()
    )
