"""Conditional Access policies, and the recycle bin of the Conditional Access service.

The service behind them is not the directory: its refusals have the code BadRequest and a message
that begins with a number. Only 1007 (schema) and 1012 (contradiction) are documented as such;
the other numbers are of the same kind, and no client should branch on them.
https://learn.microsoft.com/graph/api/conditionalaccessroot-post-policies
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from reentra.sandbox import schema
from reentra.sandbox.errors import GraphError, bad_policy, bad_request, policy_not_found
from reentra.sandbox.rules_shape import (
    NO_CONTENT,
    Asked,
    Route,
    WriteResult,
    checked,
    deep_merge,
    now,
    object_body,
    with_members,
)
from reentra.sandbox.rules_strengths import strength_body
from reentra.sandbox.tenant import Record, Tenant

SCHEMA: Final = 1007
CONTRADICTION: Final = 1012
REFERENCE: Final = 1011
IN_USE: Final = 1113
POLICY_LIMIT: Final = 195
MFA_TRUSTED_IPS: Final = "00000000-0000-0000-0000-000000000000"
ANY_PRINCIPAL: Final = "ServicePrincipalsInMyTenant"
_APPLICATION_WORDS: Final = ("All", "None", "Office365", "MicrosoftAdminPortals")
_APPLICATION_TARGETS: Final = (
    "includeApplications",
    "includeUserActions",
    "includeAuthenticationContextClassReferences",
)
_USER_WORDS: Final = ("All", "None", "GuestsOrExternalUsers")
_NOT_MATCHING: Final = (
    "Incoming ConditionalAccessPolicy object is null or does not match the schema of "
    "ConditionalAccessPolicy type. For examples, please see API documentation at "
    "https://learn.microsoft.com/graph/api/conditionalaccessroot-post-policies."
)


@contextmanager
def as_schema_error(text: str) -> Iterator[None]:
    """Turn the refusals of the schema check into those of this service."""
    try:
        yield
    except GraphError as refused:
        if refused.code == "Request_BadRequest":
            raise bad_policy(SCHEMA, f"{text} {refused.message}") from refused
        raise


def require_premium(tenant: Tenant) -> None:
    """Refuse a tenant without a licence for Conditional Access."""
    if tenant.edition == "free":
        raise GraphError(
            403,
            "AccessDenied",
            "Your tenant is not licensed for Conditional Access: Microsoft Entra ID P1 is needed.",
        )


def _refuse_annotations(value: Any) -> None:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name.endswith(("@odata.bind", "@odata.context")) or name == "@odata.context":
                raise bad_policy(SCHEMA, f"{_NOT_MATCHING} '{name}' is not expected.")
            _refuse_annotations(inner)
    elif isinstance(value, list):
        for inner in value:
            _refuse_annotations(inner)


# --- policies ---


def _checked_policy(
    tenant: Tenant, body: Any, before: Record | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the body sets and the whole policy as it will be, both checked."""
    require_premium(tenant)
    with as_schema_error(_NOT_MATCHING):
        given = checked(tenant, "conditionalAccessPolicy", object_body(body), before)
        _refuse_annotations(body)
        for name in ("displayName", "state", "conditions"):
            if before is not None and name in given and given[name] is None:
                raise bad_request(f"'{name}' cannot be null.")
    after = deep_merge(before.props, given) if before is not None else dict(given)
    _check_strength(tenant, given)
    after["conditions"] = _with_blank_conditions(after["conditions"])
    if after.get("grantControls") is not None:
        after["grantControls"] = _with_blank_grant(tenant, after["grantControls"])
    if after.get("sessionControls") is not None:
        after["sessionControls"] = with_members(
            "conditionalAccessSessionControls", after["sessionControls"]
        )
    _check_controls(after)
    _check_conditions(after["conditions"])
    _check_references(tenant, given)
    if before is not None and str(before.props.get("displayName", "")).startswith(
        "Microsoft-managed:"
    ):
        _check_managed(before, after)
    return given, after


def _check_strength(tenant: Tenant, given: Mapping[str, Any]) -> None:
    strength = (given.get("grantControls") or {}).get("authenticationStrength")
    if strength is not None and strength_body(tenant, str(strength.get("id"))) is None:
        raise bad_policy(
            REFERENCE, f"Authentication strength '{strength.get('id')}' does not exist."
        )


def _with_blank_conditions(conditions: Mapping[str, Any]) -> dict[str, Any]:
    # The service shows unset lists as empty and unset objects as null, at every level.
    filled = with_members("conditionalAccessConditionSet", conditions)
    for name, prop in schema.entity("conditionalAccessConditionSet").properties.items():
        if isinstance(filled[name], dict) and schema.is_complex(prop.element):
            filled[name] = with_members(prop.element, filled[name])
    return filled


def _with_blank_grant(tenant: Tenant, grant: Mapping[str, Any]) -> dict[str, Any]:
    filled = with_members("conditionalAccessGrantControls", grant)
    strength = filled.get("authenticationStrength")
    filled["authenticationStrength"] = (
        strength_body(tenant, str(strength["id"])) if strength else None
    )
    return filled


def _check_controls(after: Mapping[str, Any]) -> None:
    grant, session = after.get("grantControls"), after.get("sessionControls")
    if grant is None and session is None:
        raise bad_policy(SCHEMA, f"{_NOT_MATCHING} Grant or session controls are needed.")
    if session is not None and all(value is None for value in session.values()):
        raise bad_policy(SCHEMA, f"{_NOT_MATCHING} sessionControls has no control.")
    if grant is None:
        return
    controls = grant.get("builtInControls") or []
    terms = grant.get("termsOfUse") or []
    custom = grant.get("customAuthenticationFactors") or []
    if not controls and not terms and not custom and grant.get("authenticationStrength") is None:
        raise bad_policy(SCHEMA, f"{_NOT_MATCHING} grantControls has no control.")
    if grant.get("operator") not in ("AND", "OR"):
        raise bad_policy(SCHEMA, f"{_NOT_MATCHING} grantControls.operator must be AND or OR.")
    if "block" in controls and (len(controls) > 1 or terms or custom):
        raise bad_policy(
            CONTRADICTION, "'builtInControls' cannot include both 'block' and other controls."
        )
    if "mfa" in controls and grant.get("authenticationStrength") is not None:
        raise bad_policy(
            CONTRADICTION,
            "'grantControls' cannot include both 'mfa' and an authentication strength.",
        )
    if terms:
        raise bad_policy(REFERENCE, f"Terms of use '{terms[0]}' does not exist.")


def _check_alone(values: Any, words: tuple[str, ...], name: str) -> None:
    for word in words:
        if word in (values or ()) and len(values) > 1:
            raise bad_policy(
                CONTRADICTION,
                f"'{name}' condition cannot include both '{word}' and other values.",
            )


def _check_conditions(conditions: Mapping[str, Any]) -> None:
    kinds = conditions.get("clientAppTypes") or []
    if not kinds:
        raise bad_policy(SCHEMA, f"{_NOT_MATCHING} conditions.clientAppTypes is required.")
    _check_alone(kinds, ("all",), "clientAppTypes")
    applications = conditions.get("applications")
    workload = conditions.get("clientApplications")
    if applications is None:
        raise bad_policy(SCHEMA, f"{_NOT_MATCHING} conditions.applications is required.")
    targets = [name for name in _APPLICATION_TARGETS if applications.get(name)]
    if not targets and applications.get("applicationFilter") is None:
        raise bad_policy(SCHEMA, f"{_NOT_MATCHING} conditions.applications includes nothing.")
    if len(targets) > 1:
        raise bad_policy(
            CONTRADICTION,
            f"'applications' condition cannot include both '{targets[0]}' and '{targets[1]}'.",
        )
    _check_alone(applications.get("includeApplications"), ("All", "None"), "applications")
    for context_id in applications.get("includeAuthenticationContextClassReferences") or ():
        if re.fullmatch(r"c([1-9]|[1-9][0-9])", context_id) is None:
            raise bad_policy(REFERENCE, f"Authentication context '{context_id}' does not exist.")
    users = conditions.get("users")
    if users is None and workload is None:
        raise bad_policy(SCHEMA, f"{_NOT_MATCHING} conditions.users is required.")
    if users is not None:
        included = [
            users.get(name)
            for name in (
                "includeUsers", "includeGroups", "includeRoles", "includeGuestsOrExternalUsers",
            )
        ]  # fmt: skip
        if not any(included) and workload is None:
            raise bad_policy(SCHEMA, f"{_NOT_MATCHING} conditions.users includes nobody.")
        _check_alone(users.get("includeUsers"), ("All", "None"), "users")
        if "All" in (users.get("excludeUsers") or ()):
            raise bad_policy(CONTRADICTION, "'users' condition cannot exclude 'All'.")
    if workload is not None and not workload.get("includeServicePrincipals"):
        raise bad_policy(SCHEMA, f"{_NOT_MATCHING} conditions.clientApplications includes nothing.")
    locations = conditions.get("locations")
    if locations is not None:
        if not locations.get("includeLocations"):
            raise bad_policy(SCHEMA, f"{_NOT_MATCHING} conditions.locations includes nothing.")
        _check_alone(locations.get("includeLocations"), ("All",), "locations")
    platforms = conditions.get("platforms")
    if platforms is not None:
        if not platforms.get("includePlatforms"):
            raise bad_policy(SCHEMA, f"{_NOT_MATCHING} conditions.platforms includes nothing.")
        _check_alone(platforms.get("includePlatforms"), ("all",), "platforms")


def _check_references(tenant: Tenant, given: Mapping[str, Any]) -> None:
    """Refuse references, among those that the body sends, to what does not exist."""
    conditions = given.get("conditions") or {}
    users = conditions.get("users") or {}
    applications = conditions.get("applications") or {}
    workload = conditions.get("clientApplications") or {}
    locations = conditions.get("locations") or {}

    def known_role(id_: str) -> bool:
        return tenant.get("unifiedRoleDefinition", id_) is not None

    def known_application(app_id: str) -> bool:
        return any(
            tenant.by_app_id(type_, app_id) is not None
            for type_ in ("servicePrincipal", "application")
        )

    def known(type_: str) -> Callable[[str], bool]:
        return lambda id_: tenant.get(type_, id_) is not None

    places: tuple[tuple[Mapping[str, Any], str, tuple[str, ...], Callable[[str], bool]], ...] = (
        (
            users,
            "Users",
            _USER_WORDS,
            lambda id_: (r := tenant.find(id_)) is not None and r.type == "user",
        ),
        (users, "Groups", (), known("group")),
        (users, "Roles", (), known_role),
        (applications, "Applications", _APPLICATION_WORDS, known_application),
        (workload, "ServicePrincipals", (ANY_PRINCIPAL,), known("servicePrincipal")),
        (locations, "Locations", ("All", "AllTrusted", MFA_TRUSTED_IPS), known("namedLocation")),
    )
    for holder, name, words, exists in places:
        for side in ("include", "exclude"):
            for value in holder.get(side + name) or ():
                if value not in words and not exists(value):
                    singular = name[:-1].lower()
                    raise bad_policy(
                        REFERENCE,
                        f"Policy contains invalid {singular} id '{value}' in {side}{name}.",
                    )


def _check_managed(before: Record, after: Mapping[str, Any]) -> None:
    for name in ("displayName", "grantControls", "sessionControls"):
        if after.get(name) != before.props.get(name):
            raise bad_policy(
                CONTRADICTION, "Only the state and the exclusions of this policy can be changed."
            )


def create_policy(asked: Asked) -> WriteResult:
    """Create a Conditional Access policy."""
    tenant, body = asked.tenant, asked.body
    _, after = _checked_policy(tenant, body, None)
    if len(tenant.collection("conditionalAccessPolicy")) >= POLICY_LIMIT:
        raise bad_policy(
            CONTRADICTION, f"The tenant has reached its limit of {POLICY_LIMIT} policies."
        )
    filled = {
        "templateId": None,
        "grantControls": None,
        "sessionControls": None,
        **after,
        "createdDateTime": now(tenant),
        "modifiedDateTime": None,
    }
    record = tenant.create("conditionalAccessPolicy", filled)
    return WriteResult(
        201, record=record, location=f"/identity/conditionalAccess/policies/{record.id}"
    )


def policy_named(tenant: Tenant, type_: str, id_: str) -> Record:
    """Return the live policy or named location of a path, or answer 404."""
    record = tenant.get(type_, id_)
    if record is None:
        raise policy_not_found(id_)
    return record


def update_policy(asked: Asked) -> WriteResult:
    """Change a policy: members that are not sent stay as they are, at every level."""
    tenant, params, body = asked.tenant, asked.params, asked.body
    record = policy_named(tenant, "conditionalAccessPolicy", params["id"])
    given, after = _checked_policy(tenant, body, record)
    changes = {name: after[name] for name in given}
    changes["modifiedDateTime"] = now(tenant)
    tenant.update(record, changes)
    return NO_CONTENT


def delete_policy(asked: Asked) -> WriteResult:
    """Delete a policy, into the policies' own recycle bin where there is one."""
    tenant, params = asked.tenant, asked.params
    record = policy_named(tenant, "conditionalAccessPolicy", params["id"])
    if str(record.props.get("displayName", "")).startswith("Microsoft-managed:"):
        raise bad_policy(CONTRADICTION, "Microsoft-managed policies cannot be deleted.")
    discard(tenant, record)
    return NO_CONTENT


def discard(tenant: Tenant, record: Record) -> None:
    """Delete a policy or named location, into the bin where the tenant has one."""
    if tenant.options.policy_bin:
        tenant.soft_delete(record)
    else:
        tenant.purge(record)


# --- the policies' recycle bin ---


def _binned(tenant: Tenant, type_: str, id_: str) -> Record:
    record = tenant.find_deleted(id_, type_) if tenant.options.policy_bin else None
    if record is None:
        raise policy_not_found(id_)
    return record


def _restoring(type_: str) -> Callable[..., WriteResult]:
    def restore(asked: Asked) -> WriteResult:
        tenant, params = asked.tenant, asked.params
        record = _binned(tenant, type_, params["id"])
        if not tenant.options.policy_bin_serves_applications:
            raise GraphError(
                403,
                "AccessDenied",
                "You cannot perform the requested operation, required scopes are missing in the "
                "token.",
            )
        tenant.restore(record)
        return WriteResult(200, record=record)

    return restore


def _purging(type_: str) -> Callable[..., WriteResult]:
    def purge(asked: Asked) -> WriteResult:
        tenant, params = asked.tenant, asked.params
        tenant.purge(_binned(tenant, type_, params["id"]))
        return NO_CONTENT

    return purge


_POLICIES: Final = "/identity/conditionalAccess/policies"
_BIN: Final = "/identity/conditionalAccess/deletedItems/"

ROUTES: Final = (
    Route("POST", _POLICIES, "conditionalaccessroot-post-policies", create_policy),
    Route("PATCH", _POLICIES + "/{id}", "conditionalaccesspolicy-update", update_policy),
    Route("DELETE", _POLICIES + "/{id}", "conditionalaccesspolicy-delete", delete_policy),
    *(
        Route(
            "POST", f"{_BIN}{name}/{{id}}/restore", "policydeletableitem-restore", _restoring(kind)
        )
        for name, kind in (
            ("policies", "conditionalAccessPolicy"),
            ("namedLocations", "namedLocation"),
        )
    ),
    *(
        Route("DELETE", f"{_BIN}{name}/{{id}}", "policydeletableitem-delete", _purging(kind))
        for name, kind in (
            ("policies", "conditionalAccessPolicy"),
            ("namedLocations", "namedLocation"),
        )
    ),
)
