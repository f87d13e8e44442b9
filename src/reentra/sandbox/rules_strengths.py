"""Authentication strengths and authentication contexts: what Conditional Access refers to.

https://learn.microsoft.com/graph/api/resources/authenticationstrengthpolicy
https://learn.microsoft.com/graph/api/resources/authenticationcontextclassreference
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from reentra.sandbox.errors import (
    GraphError,
    bad_request,
    invalid_value,
    missing_value,
    policy_not_found,
)
from reentra.sandbox.rules_shape import (
    NO_CONTENT,
    Asked,
    Route,
    WriteResult,
    checked,
    now,
    object_body,
)
from reentra.sandbox.tenant import Record, Tenant

CUSTOM_LIMIT: Final = 15
_STAMP: Final = "2021-12-01T08:00:00Z"
_BUILT_IN: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "00000000-0000-0000-0000-000000000002": (
        "Multifactor authentication",
        (
            "windowsHelloForBusiness", "fido2", "x509CertificateMultiFactor", "deviceBasedPush",
            "temporaryAccessPassOneTime", "temporaryAccessPassMultiUse",
            "password,microsoftAuthenticatorPush", "password,softwareOath",
            "password,hardwareOath", "password,sms", "password,voice", "federatedMultiFactor",
        ),
    ),
    "00000000-0000-0000-0000-000000000003": (
        "Passwordless MFA",
        ("windowsHelloForBusiness", "fido2", "x509CertificateMultiFactor", "deviceBasedPush"),
    ),
    "00000000-0000-0000-0000-000000000004": (
        "Phishing-resistant MFA",
        ("windowsHelloForBusiness", "fido2", "x509CertificateMultiFactor"),
    ),
}  # fmt: skip
_CONTEXT_ID: Final = re.compile(r"c([1-9]|[1-9][0-9])")


# --- strengths ---


def built_in_strengths() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the id and the properties of the strengths that every tenant has."""
    for id_, (name, combinations) in _BUILT_IN.items():
        yield (
            id_,
            {
                "createdDateTime": _STAMP,
                "modifiedDateTime": _STAMP,
                "displayName": name,
                "description": f"The built-in authentication strength '{name}'.",
                "policyType": "builtIn",
                "requirementsSatisfied": "mfa",
                "allowedCombinations": list(combinations),
                "combinationConfigurations": [],
            },
        )


def strength_body(tenant: Tenant, id_: str) -> dict[str, Any] | None:
    """Return a strength as a policy that demands it shows it, or None when there is none."""
    record = tenant.get("authenticationStrengthPolicy", id_)
    if record is not None:
        return {"id": record.id, **record.props}
    known = dict(built_in_strengths()).get(id_.lower())
    return {"id": id_.lower(), **known} if known is not None else None


def _combinations(value: Any) -> list[str]:
    if not isinstance(value, list) or not value:
        raise missing_value("allowedCombinations", "AuthenticationStrengthPolicy")
    known = {entry for _, entries in _BUILT_IN.values() for entry in entries} | {
        "password", "sms", "x509CertificateSingleFactor", "federatedSingleFactor",
    }  # fmt: skip
    for entry in value:
        if not isinstance(entry, str) or entry.replace(" ", "") not in known:
            raise invalid_value("allowedCombinations", "AuthenticationStrengthPolicy")
    return [entry.replace(" ", "") for entry in value]


def _custom(tenant: Tenant, id_: str) -> Record:
    record = tenant.get("authenticationStrengthPolicy", id_)
    if record is None:
        raise policy_not_found(id_)
    if record.props["policyType"] == "builtIn":
        raise bad_request("Built-in authentication strengths cannot be changed or deleted.")
    return record


def _check_name(tenant: Tenant, name: str, own: Record | None) -> None:
    for other in tenant.collection("authenticationStrengthPolicy").values():
        if other is not own and other.props["displayName"].casefold() == name.casefold():
            raise bad_request(f"An authentication strength named '{name}' exists already.")


def create_strength(asked: Asked) -> WriteResult:
    """Create a custom authentication strength."""
    tenant, body = asked.tenant, asked.body
    props = checked(tenant, "authenticationStrengthPolicy", object_body(body))
    _check_name(tenant, props["displayName"], None)
    combinations = _combinations(props.get("allowedCombinations"))
    custom = [
        record
        for record in tenant.collection("authenticationStrengthPolicy").values()
        if record.props["policyType"] == "custom"
    ]
    if len(custom) >= CUSTOM_LIMIT:
        raise bad_request(f"A tenant may have no more than {CUSTOM_LIMIT} custom strengths.")
    moment = now(tenant)
    filled = {
        **props,
        "allowedCombinations": combinations,
        "createdDateTime": moment,
        "modifiedDateTime": moment,
        "policyType": "custom",
        "requirementsSatisfied": "mfa" if any("," in c for c in combinations) else "none",
        "combinationConfigurations": [],
    }
    record = tenant.create("authenticationStrengthPolicy", filled)
    return WriteResult(201, record=record, location=f"{_STRENGTHS}/{record.id}")


def update_strength(asked: Asked) -> WriteResult:
    """Change the name or description; the combinations have an action of their own."""
    tenant, params, body = asked.tenant, asked.params, object_body(asked.body)
    record = _custom(tenant, params["id"])
    if "allowedCombinations" in body:
        raise bad_request("allowedCombinations is changed by the action updateAllowedCombinations.")
    props = checked(tenant, "authenticationStrengthPolicy", body, record)
    if "displayName" in props:
        _check_name(tenant, props["displayName"], record)
    tenant.update(record, {**props, "modifiedDateTime": now(tenant)})
    return NO_CONTENT


def update_combinations(asked: Asked) -> WriteResult:
    """Replace the combinations that satisfy a strength."""
    tenant, params, body = asked.tenant, asked.params, object_body(asked.body)
    record = _custom(tenant, params["id"])
    unknown = [name for name in body if name != "allowedCombinations" and "@" not in name]
    if unknown:
        raise bad_request(f"The parameter '{unknown[0]}' is not known to the action.")
    before = list(record.props["allowedCombinations"])
    after = _combinations(body.get("allowedCombinations"))
    tenant.update(record, {"allowedCombinations": after, "modifiedDateTime": now(tenant)})
    return WriteResult(
        200,
        body={
            "previousCombinations": before,
            "currentCombinations": after,
            "additionalInformation": "",
        },
    )


def delete_strength(asked: Asked) -> WriteResult:
    """Delete a custom strength that no policy demands."""
    tenant, params = asked.tenant, asked.params
    record = _custom(tenant, params["id"])
    for policy in tenant.collection("conditionalAccessPolicy").values():
        demanded = (policy.props.get("grantControls") or {}).get("authenticationStrength") or {}
        if demanded.get("id") == record.id:
            raise bad_request(
                "The authentication strength is in use by the policy "
                f"'{policy.props['displayName']}' and cannot be deleted."
            )
    tenant.purge(record)
    return NO_CONTENT


# --- contexts ---


def upsert_context(asked: Asked) -> WriteResult:
    """Change an authentication context, or make it under the id that the caller chose."""
    tenant, params, body = asked.tenant, asked.params, object_body(asked.body)
    id_ = params["id"]
    if _CONTEXT_ID.fullmatch(id_) is None:
        raise invalid_value("id", "AuthenticationContextClassReference")
    if body.get("id", id_) != id_:
        raise bad_request("The id in the body is not that of the address.")
    given = {name: value for name, value in body.items() if name != "id"}
    record = tenant.get("authenticationContextClassReference", id_)
    props = checked(tenant, "authenticationContextClassReference", given, record)
    if record is None:
        if not props.get("displayName"):
            raise missing_value("displayName", "AuthenticationContextClassReference")
        tenant.create(
            "authenticationContextClassReference",
            {"description": None, "isAvailable": False, **props},
            id_,
        )
        return NO_CONTENT
    tenant.update(record, props)
    return NO_CONTENT


def delete_context(asked: Asked) -> WriteResult:
    """Delete a context that is not published and that no policy names."""
    tenant, params = asked.tenant, asked.params
    record = tenant.get("authenticationContextClassReference", params["id"])
    if record is None:
        raise policy_not_found(params["id"])
    if record.props.get("isAvailable"):
        raise bad_request("A published authentication context cannot be deleted.")
    for policy in tenant.collection("conditionalAccessPolicy").values():
        applications = (policy.props.get("conditions") or {}).get("applications") or {}
        if record.id in (applications.get("includeAuthenticationContextClassReferences") or ()):
            raise GraphError(400, "BadRequest", "The authentication context is in use by a policy.")
    tenant.purge(record)
    return NO_CONTENT


_STRENGTHS: Final = "/policies/authenticationStrengthPolicies"
_CONTEXTS: Final = "/identity/conditionalAccess/authenticationContextClassReferences"

ROUTES: Final = (
    Route("POST", _STRENGTHS, "authenticationstrengthroot-post-policies", create_strength),
    Route("PATCH", _STRENGTHS + "/{id}", "authenticationstrengthpolicy-update", update_strength),
    Route(
        "POST",
        _STRENGTHS + "/{id}/updateAllowedCombinations",
        "authenticationstrengthpolicy-updateallowedcombinations",
        update_combinations,
    ),
    Route(
        "DELETE",
        _STRENGTHS + "/{id}",
        "authenticationstrengthroot-delete-policies",
        delete_strength,
    ),
    Route(
        "PATCH", _CONTEXTS + "/{id}", "authenticationcontextclassreference-update", upsert_context
    ),
    Route(
        "DELETE", _CONTEXTS + "/{id}", "authenticationcontextclassreference-delete", delete_context
    ),
)
