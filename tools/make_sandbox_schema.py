"""Make the sandbox's data files from the tables of Graph facts.

Reads properties.tsv, enums.tsv, builtin_roles.tsv and permission_ids.tsv in the folder given and
writes schema.json, builtin_roles.json and graph_permissions.json below src/reentra/sandbox/data.
The sandbox itself never reads the tables: what it ships is what this script wrote.

    python tools/make_sandbox_schema.py FACTS_FOLDER
"""

from __future__ import annotations

import csv
import json
import re
import sys
from pathlib import Path
from typing import Any

ENTITIES = (
    "directoryObject", "user", "group", "application", "servicePrincipal", "device",
    "administrativeUnit", "conditionalAccessPolicy", "policyDeletableItem", "namedLocation",
    "ipNamedLocation", "countryNamedLocation", "unifiedRoleDefinition", "unifiedRoleAssignment",
    "unifiedRoleScheduleBase", "unifiedRoleEligibilitySchedule",
    "unifiedRoleEligibilityScheduleRequest",
    "oAuth2PermissionGrant", "appRoleAssignment", "groupSetting", "groupSettingTemplate",
    "domain", "subscribedSku", "organization", "policyBase", "authorizationPolicy",
    "federatedIdentityCredential", "extensionProperty", "scopedRoleMembership",
    "directoryRole", "directoryRoleTemplate", "invitation", "authenticationStrengthPolicy",
    "licenseDetails", "orgContact", "claimsMappingPolicy", "tokenLifetimePolicy",
    "tokenIssuancePolicy", "homeRealmDiscoveryPolicy", "activityBasedTimeoutPolicy",
    "authenticationContextClassReference", "groupLifecyclePolicy",
    "identitySecurityDefaultsEnforcementPolicy", "adminConsentRequestPolicy",
    "deviceRegistrationPolicy", "authenticationMethodsPolicy",
    "emailAuthenticationMethodConfiguration", "fido2AuthenticationMethodConfiguration",
    "microsoftAuthenticatorAuthenticationMethodConfiguration",
    "smsAuthenticationMethodConfiguration", "softwareOathAuthenticationMethodConfiguration",
    "temporaryAccessPassAuthenticationMethodConfiguration",
    "voiceAuthenticationMethodConfiguration",
    "x509CertificateAuthenticationMethodConfiguration", "crossTenantAccessPolicy",
    "crossTenantAccessPolicyConfigurationDefault", "crossTenantAccessPolicyConfigurationPartner",
)  # fmt: skip

# Complex types that are only named by their base in properties.tsv.
DERIVED = (
    "iPv4CidrRange", "iPv6CidrRange", "allDeviceRegistrationMembership",
    "enumeratedDeviceRegistrationMembership", "noDeviceRegistrationMembership",
)  # fmt: skip

# Returned or accepted by the service although the v1.0 metadata does not declare them.
# servicePrincipal.createdDateTime: observed in real exports; device.extensionAttributes:
# https://learn.microsoft.com/graph/api/device-update
UNDECLARED = {
    "servicePrincipal": {"createdDateTime": "DateTimeOffset"},
    "device": {"extensionAttributes": "onPremisesExtensionAttributes"},
    # Contained in the metadata, inside the object on the wire (observed in real exports).
    "authenticationMethodsPolicy": {
        "authenticationMethodConfigurations": "Collection(Json)",
    },
    "authenticationStrengthPolicy": {"combinationConfigurations": "Collection(Json)"},
}

# Declared in the metadata, absent from the table.
# https://learn.microsoft.com/graph/api/resources/licensedetails
UNDECLARED_TYPES = {
    "licenseDetails": {
        "kind": "entity",
        "properties": {
            "servicePlans": "Collection(servicePlanInfo)!",
            "skuId": "Guid",
            "skuPartNumber": "String",
        },
    },
}

PRIMITIVES = {
    "String", "Boolean", "Int16", "Int32", "Int64", "Double", "Single", "Decimal", "Byte", "Guid",
    "DateTimeOffset", "Date", "TimeOfDay", "Duration", "Binary", "Stream", "Json",
}  # fmt: skip


def element_of(csdl_type: str) -> str:
    match = re.fullmatch(r"Collection\((.+)\)", csdl_type)
    return match.group(1) if match else csdl_type


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE))


def types_from(facts: Path) -> dict[str, Any]:
    rows: dict[str, list[dict[str, str]]] = {}
    for row in rows_of(facts / "properties.tsv"):
        rows.setdefault(row["type"], []).append(row)
    enums = {
        row["enum"]: {
            "flags": bool(row["is_flags"]),
            "members": row["members"].split(","),
        }
        for row in rows_of(facts / "enums.tsv")
    }
    types: dict[str, Any] = {}
    used_enums: dict[str, Any] = {}
    wanted = [*ENTITIES, *DERIVED]
    while wanted:
        name = wanted.pop(0)
        if name in types or name in PRIMITIVES:
            continue
        if name in enums:
            used_enums[name] = enums[name]
            continue
        if name not in rows:
            # A type without declared members (open complex types): keep it, nothing to check.
            types[name] = {"kind": "complex", "open": True, "properties": {}}
            continue
        first = rows[name][0]
        base, *words = first["base"].split(" ")
        entry: dict[str, Any] = {"kind": first["kind"], "properties": {}}
        if base and base != "entity":
            entry["base"] = base
            wanted.append(base)
        if "open" in words:
            entry["open"] = True
        for row in rows[name]:
            if row["property"] == "-":
                continue
            csdl, required = row["csdl_type"], bool(row["non_nullable"])
            if row["prop_or_nav"] == "prop":
                entry["properties"][row["property"]] = csdl + ("!" if required else "")
                wanted.append(element_of(csdl))
            else:
                entry.setdefault("navigations", {})[row["property"]] = csdl + (
                    "*" if row["prop_or_nav"] == "nav/contained" else ""
                )
                if first["kind"] != "entity":
                    wanted.append(element_of(csdl))
        for extra, csdl in UNDECLARED.get(name, {}).items():
            entry["properties"][extra] = csdl
            wanted.append(element_of(csdl))
        types[name] = entry
    types.update(UNDECLARED_TYPES)
    return {
        "types": dict(sorted(types.items())),
        "enums": dict(sorted(used_enums.items())),
    }


def main(arguments: list[str]) -> int:
    if len(arguments) != 2:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    facts = Path(arguments[1])
    data = Path(__file__).resolve().parents[1] / "src" / "reentra" / "sandbox" / "data"
    data.mkdir(parents=True, exist_ok=True)
    roles = [
        {
            "id": row["id_and_templateId"],
            "displayName": row["displayName"],
        }
        for row in rows_of(facts / "builtin_roles.tsv")
    ]
    permissions = [
        {"kind": row["kind"], "value": row["permission"], "id": row["id"]}
        for row in rows_of(facts / "permission_ids.tsv")
    ]
    for name, content in (
        ("schema.json", types_from(facts)),
        ("builtin_roles.json", roles),
        ("graph_permissions.json", permissions),
    ):
        text = json.dumps(content, indent=0, ensure_ascii=False)
        (data / name).write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv))
