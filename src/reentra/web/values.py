"""Property values for people: grouped, to the leaf, with names beside ids."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

_GUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)")

_GROUPS: Mapping[str, tuple[str, ...]] = {
    "Identity": (
        "displayName", "id", "userPrincipalName", "appId", "givenName", "surname", "mailNickname",
        "description", "userType", "createdDateTime", "creationType", "deviceId", "uniqueName",
        "groupTypes", "visibility", "classification", "membershipRule",
        "membershipRuleProcessingState", "isAssignableToRole",
    ),
    "Job": (
        "jobTitle", "department", "companyName", "employeeId", "employeeType", "employeeHireDate",
        "employeeLeaveDateTime", "employeeOrgData", "officeLocation", "ageGroup",
        "consentProvidedForMinor", "legalAgeGroupClassification",
    ),
    "Contact": (
        "mail", "otherMails", "proxyAddresses", "businessPhones", "mobilePhone", "faxNumber",
        "imAddresses", "streetAddress", "city", "state", "postalCode", "country", "mailEnabled",
        "preferredLanguage", "showInAddressList",
    ),
    "Licence data": (
        "assignedLicenses", "licenseAssignmentStates", "assignedPlans", "provisionedPlans",
        "licenseProcessingState", "usageLocation",
    ),
    "Sign-in and security": (
        "accountEnabled", "securityEnabled", "passwordProfile", "passwordPolicies", "identities",
        "lastPasswordChangeDateTime", "signInSessionsValidFromDateTime",
        "refreshTokensValidFromDateTime", "externalUserState", "externalUserStateChangeDateTime",
        "securityIdentifier", "authorizationInfo", "keyCredentials", "passwordCredentials",
    ),
}  # fmt: skip
_OTHERS = "Other properties"
_OF_PEOPLE = frozenset({"Job", "Contact"})  # elsewhere the same names mean something else
_PEOPLE = frozenset({"user", "group", "orgContact", "organization"})
_GROUP_OF = {name: title for title, names in _GROUPS.items() for name in names}
_ORDER = {name: place for place, name in enumerate(_GROUP_OF)}


def is_guid(value: Any) -> bool:
    """Tell whether a value is a GUID and nothing else."""
    return isinstance(value, str) and _GUID.fullmatch(value) is not None


def is_moment(value: Any) -> bool:
    """Tell whether a value is a moment as Graph writes it."""
    return isinstance(value, str) and _MOMENT.fullmatch(value) is not None


def named_inside(value: str, names: Mapping[str, Any]) -> Any:
    """Return what a short text names by the one id in it, such as a scope, if that is known."""
    if len(value) > 120 or is_guid(value):
        return None
    found = _GUID.findall(value)
    return names.get(found[0].lower()) if len(found) == 1 else None


def guids_in(*values: Any) -> Iterator[str]:
    """Yield every GUID that stands anywhere in values, in lower case."""
    for value in values:
        if isinstance(value, str):
            for found in _GUID.findall(value) if len(value) < 2000 else ():
                yield found.lower()
        elif isinstance(value, Mapping):
            yield from guids_in(*value.keys(), *value.values())
        elif isinstance(value, list | tuple):
            yield from guids_in(*value)


def grouped(
    kind: str, properties: Mapping[str, Any], text: str = ""
) -> list[tuple[str, list[Any]]]:
    """Return an object's properties in groups: title, then pairs of name and value.

    ``text`` keeps those whose name or value holds it. What is not set comes last, all together.
    """
    wanted = text.strip().lower()
    groups: dict[str, list[Any]] = {title: [] for title in (*_GROUPS, "On premises", "Extensions")}
    groups |= {_OTHERS: [], "Not set": []}
    for name in sorted(properties, key=lambda name: (_ORDER.get(name, len(_ORDER)), name.lower())):
        value = properties[name]
        if wanted and wanted not in name.lower() and wanted not in _said(value):
            continue
        groups[_group_of(kind, name, value)].append((name, value))
    return [(title, found) for title, found in groups.items() if found]


def steps_of(path: str) -> list[str]:
    """Return a comparison's path as its steps: names and the items of lists."""
    steps, depth, begun = [], 0, ""
    for letter in path:
        if letter == "[":
            depth += 1
            is_border = depth == 1
        elif letter == "]" and depth:
            depth -= 1
            is_border = depth == 0
        else:
            is_border = letter == "/" and not depth
        if is_border:
            steps.append(begun)
            begun = ""
        else:
            begun += letter
    return [step for step in (*steps, begun) if step]


def as_json(value: Any) -> str:
    """Return a value as JSON that people can read."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def _group_of(kind: str, name: str, value: Any) -> str:
    if value is None or value in ("", [], {}):
        return "Not set"
    if name.startswith("onPremises") and name != "onPremisesExtensionAttributes":
        return "On premises"
    if name.startswith("extension_") or name in (
        "onPremisesExtensionAttributes", "customSecurityAttributes",
    ):  # fmt: skip
        return "Extensions"
    found = _GROUP_OF.get(name, _OTHERS)
    return _OTHERS if found in _OF_PEOPLE and kind not in _PEOPLE else found


def _said(value: Any) -> str:
    return orjson.dumps(value).decode().lower()
