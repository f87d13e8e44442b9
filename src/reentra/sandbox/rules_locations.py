"""Named locations: IP ranges and countries that Conditional Access policies refer to.

https://learn.microsoft.com/graph/api/conditionalaccessroot-post-namedlocations
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from reentra.sandbox.errors import bad_policy, bad_request
from reentra.sandbox.rules_policies import (
    IN_USE,
    SCHEMA,
    as_schema_error,
    discard,
    policy_named,
    require_premium,
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


def _checked_location(
    tenant: Tenant, body: Any, before: Record | None
) -> tuple[str, dict[str, Any]]:
    require_premium(tenant)
    body = object_body(body)
    declared = str(body.get("@odata.type", "")).lstrip("#").rpartition(".")[2]
    if declared not in ("ipNamedLocation", "countryNamedLocation"):
        raise bad_policy(
            SCHEMA, "Incoming NamedLocation object is null or lacks a known '@odata.type'."
        )
    if before is not None and declared != before.type:
        raise bad_policy(SCHEMA, "The type of a named location cannot be changed.")
    ranges = body.get("ipRanges")
    for entry in ranges if isinstance(ranges, list) else ():
        _check_range(entry if isinstance(entry, dict) else {})
    with as_schema_error("Incoming NamedLocation object does not match the schema."):
        props = checked(tenant, declared, body, before)
        for name in ("displayName", "ipRanges", "countriesAndRegions"):
            if name in props and not props[name]:
                raise bad_request(f"'{name}' cannot be empty.")
    for code in props.get("countriesAndRegions") or ():
        if re.fullmatch(r"[A-Z]{2}", code) is None:
            raise bad_policy(SCHEMA, f"'{code}' is not a two-letter country or region code.")
    return declared, props


def _check_range(entry: Mapping[str, Any]) -> None:
    kind = str(entry.get("@odata.type", "")).lstrip("#").rpartition(".")[2]
    kinds: dict[str, Callable[[str], object]] = {
        "iPv4CidrRange": ipaddress.IPv4Network,
        "iPv6CidrRange": ipaddress.IPv6Network,
    }
    if kind not in kinds:
        raise bad_policy(SCHEMA, "Each IP range must have the '@odata.type' of its kind.")
    address = entry.get("cidrAddress")
    try:
        if "/" not in str(address):
            raise ValueError(address)
        kinds[kind](str(address))
    except ValueError as reason:
        raise bad_policy(SCHEMA, f"'{address}' is not a valid range of type {kind}.") from reason


def create_location(asked: Asked) -> WriteResult:
    """Create a named location of IP ranges or of countries."""
    tenant, body = asked.tenant, asked.body
    type_, props = _checked_location(tenant, body, None)
    defaults: dict[str, Any] = (
        {"isTrusted": False}
        if type_ == "ipNamedLocation"
        else {
            "includeUnknownCountriesAndRegions": False,
            "countryLookupMethod": "clientIpAddress",
        }
    )
    moment = now(tenant)
    filled = {**defaults, **props, "createdDateTime": moment, "modifiedDateTime": moment}
    record = tenant.create(type_, filled)
    return WriteResult(
        201, record=record, location=f"/identity/conditionalAccess/namedLocations/{record.id}"
    )


def update_location(asked: Asked) -> WriteResult:
    """Change a named location; its type must be told again."""
    tenant, params, body = asked.tenant, asked.params, asked.body
    record = policy_named(tenant, "namedLocation", params["id"])
    _, props = _checked_location(tenant, body, record)
    tenant.update(record, {**props, "modifiedDateTime": now(tenant)})
    return NO_CONTENT


def delete_location(asked: Asked) -> WriteResult:
    """Delete a named location that is neither trusted nor used by a policy."""
    tenant, params = asked.tenant, asked.params
    record = policy_named(tenant, "namedLocation", params["id"])
    if record.props.get("isTrusted"):
        raise bad_policy(
            IN_USE, "A trusted named location cannot be deleted. Set isTrusted to false first."
        )
    for policy in tenant.collection("conditionalAccessPolicy").values():
        locations = (policy.props.get("conditions") or {}).get("locations") or {}
        for name in ("includeLocations", "excludeLocations"):
            if record.id in (locations.get(name) or ()):
                raise bad_policy(
                    IN_USE,
                    f"The named location is in use by the policy '{policy.props['displayName']}' "
                    "and cannot be deleted.",
                )
    discard(tenant, record)
    return NO_CONTENT


_LOCATIONS: Final = "/identity/conditionalAccess/namedLocations"

ROUTES: Final = (
    Route("POST", _LOCATIONS, "conditionalaccessroot-post-namedlocations", create_location),
    Route("PATCH", _LOCATIONS + "/{id}", "namedlocation-update", update_location),
    Route("DELETE", _LOCATIONS + "/{id}", "namedlocation-delete", delete_location),
)
