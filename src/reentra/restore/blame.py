"""Blame: what Graph's refusal is about: some properties of an update, or an object too new.

Pure. An update goes out as one PATCH, and one property that Graph refuses refuses them all.
Source of which need more than a permission when the user is privileged:
learn.microsoft.com/graph/api/resources/users (who can perform sensitive actions).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from reentra import errors

SENSITIVE_PROPERTIES = frozenset(
    {
        "accountEnabled",
        "businessPhones",
        "mobilePhone",
        "onPremisesImmutableId",
        "otherMails",
        "userPrincipalName",
    }
)
# Who may do or see what: a new object without one of them is another, and often a more open, one.
DECIDING_PROPERTIES = frozenset(
    {
        "accountEnabled", "appRoleAssignmentRequired", "conditions", "grantControls", "groupTypes",
        "isAssignableToRole", "isMemberManagementRestricted", "membershipRule", "membershipType",
        "rolePermissions", "sessionControls", "signInAudience", "state", "userType", "visibility",
    }
)  # fmt: skip
# Their properties say one thing together: a block on the conditions of another time locks people
# out, and trust in the addresses of another time lets them in. They are written whole or not.
WHOLE_KINDS = frozenset({"conditionalAccessPolicy", "namedLocation", "unifiedRoleDefinition"})
# What a new object may do without rather than not come back at all. Nothing of this decides who
# may do or see what.
_DISPENSABLE = {
    "user": frozenset(
        {
            "ageGroup", "businessPhones", "city", "companyName", "consentProvidedForMinor",
            "country", "department", "employeeHireDate", "employeeId", "employeeOrgData",
            "employeeType", "faxNumber", "givenName", "jobTitle", "mail", "mobilePhone",
            "officeLocation", "onPremisesExtensionAttributes", "otherMails", "postalCode",
            "preferredDataLocation", "preferredLanguage", "showInAddressList", "state",
            "streetAddress", "surname",
        }
    ),
    "group": frozenset(
        {
            "classification", "description", "preferredDataLocation", "preferredLanguage",
            "resourceBehaviorOptions", "resourceProvisioningOptions", "theme", "uniqueName",
        }
    ),
}  # fmt: skip
# Addresses that nobody writes, but that follow what is written.
_FOLLOW = {"proxyaddresses": "mail"}
GUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_POLICY_CODE = re.compile(r"\b(1[01]\d\d):")
_NAMED = re.compile(r"propert(?:y|ies):? ['\"]?([A-Za-z0-9_.@]+)", re.IGNORECASE)


def blamed_properties(
    kind: str, body: Mapping[str, Any], error: errors.GraphError
) -> frozenset[str]:
    """Return the properties of ``body`` that are to blame; never all that it holds.

    Empty when the error blames none, or nothing would be left to write.
    """
    named: set[str] = set()
    if kind in WHOLE_KINDS:
        return frozenset()
    if isinstance(error, errors.Forbidden):
        if kind == "user":
            named = set(SENSITIVE_PROPERTIES & body.keys())
    elif isinstance(error, errors.InvalidRequest | errors.Conflict):
        by_name = {name.lower(): name for name in body}
        for text in (error.target, *_NAMED.findall(error.message)):
            first = re.split(r"[./]", text.lower())[0]
            for said in (first, _FOLLOW.get(first, "")):
                if said in by_name:
                    named.add(by_name[said])
    left = body.keys() - named - {"@odata.type"}
    return frozenset(named) if left else frozenset()


def dispensable_properties(
    kind: str, body: Mapping[str, Any], error: errors.GraphError
) -> frozenset[str]:
    """Return the properties of a creation's body that are to blame and may be left out."""
    if isinstance(error, errors.Forbidden):
        return frozenset()
    return blamed_properties(kind, body, error) & _DISPENSABLE.get(kind, frozenset())


def may_be_dropped(kind: str, name: str, *, is_new: bool) -> bool:
    """Tell whether a property that Graph calls read-only or unknown may be left out of a write."""
    is_deciding = name in DECIDING_PROPERTIES or name in ("ipRanges", "isTrusted")
    return not (is_deciding and (is_new or kind in WHOLE_KINDS))


def names_one_of(error: errors.GraphError, identifiers: Collection[str]) -> bool:
    """Tell whether Graph's refusal speaks of one of ``identifiers``: it does not know it yet."""
    if not isinstance(error, errors.InvalidRequest):
        return False
    return any(found.lower() in identifiers for found in GUID.findall(error.message))


def is_policy_reference(error: errors.GraphError) -> bool:
    """Tell whether a policy was refused for what it refers to, as far as one can know.

    The service tells by a number in front of its message; 1007 and 1012 are about the policy's own
    form (learn.microsoft.com/graph/errors).
    """
    if not isinstance(error, errors.InvalidRequest) or error.graph_code != "BadRequest":
        return False
    number = _POLICY_CODE.search(error.message)
    return number is not None and number[1] not in ("1007", "1012")
