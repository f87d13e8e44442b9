"""Whether a Conditional Access policy keeps a principal out: never, possibly or certainly. Pure.

The answer is about one policy and one sign-in to what administers the tenant (Microsoft's admin
portals, Microsoft Graph). It is the least of these answers, because a policy applies only when all
of its conditions do:

- the state: anything but ``enabled`` is *never*;
- the principal: excluded is *never*, included is *certainly*; guests by type, filters on service
  principals, and memberships that may still change are *possibly*;
- the resources: ``All``, ``MicrosoftAdminPortals`` or Microsoft Graph is *certainly*; when one of
  these is excluded from ``All``, with an application filter, an authentication context or
  ``Office365`` it is *possibly*; anything else is *never*;
- every narrowing condition (locations, platforms, device filters, risks, client applications,
  authentication flows) is *possibly*: somewhere it is met, and where nobody can say; a policy for
  legacy clients alone is *never*;
- what it demands: ``block`` is *certainly*; a compliant or joined device, an approved application,
  terms of use, an authentication strength, or anything unknown, is *possibly*; MFA alone, or as one
  choice of several, is *never*: everybody can register for it. A service principal can only be
  blocked.

Two policies that block in turn (one on Windows, one everywhere else) are each *possibly*; their sum
is not worked out. Session controls keep nobody out.

Source: learn.microsoft.com/graph/api/resources/conditionalaccesspolicy and its conditions,
learn.microsoft.com/entra/identity/conditional-access/workload-identity.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from reentra.directory.objects import canonical_id

MICROSOFT_GRAPH = "00000003-0000-0000-c000-000000000000"
ADMIN_PORTALS = "MicrosoftAdminPortals"
_DOORS = frozenset({MICROSOFT_GRAPH, ADMIN_PORTALS.lower()})
_MODERN_CLIENTS = frozenset({"browser", "mobileAppsAndDesktopClients"})
_LEGACY_CLIENTS = frozenset({"exchangeActiveSync", "easSupported", "other"})
_GUESTS = "GuestsOrExternalUsers"
_OWN_PRINCIPALS = "ServicePrincipalsInMyTenant"


class Verdict(enum.IntEnum):
    """How sure it is that something applies, or keeps somebody out."""

    NEVER = 0
    POSSIBLY = 1
    CERTAINLY = 2


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who signs in, with what policies ask about.

    ``groups`` (transitive) and ``roles`` are those that count for being included, ``sure_groups``
    and ``sure_roles`` those that can be relied upon for being excluded. Of ``unsure_groups`` nobody
    can say whether they hold the principal.
    """

    id: str
    name: str
    is_service_principal: bool = False
    is_guest: bool = False
    is_foreign: bool = False  # a service principal of another tenant's application
    groups: frozenset[str] = frozenset()
    sure_groups: frozenset[str] = frozenset()
    unsure_groups: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    sure_roles: frozenset[str] = frozenset()


def is_enabled(policy: Mapping[str, Any]) -> bool:
    """Tell whether a policy is enforced; report-only is not."""
    return policy.get("state") == "enabled"


def verdict_on(policy: Mapping[str, Any], principal: Principal) -> Verdict:
    """Return whether ``policy`` keeps ``principal`` away from administering the tenant."""
    if not is_enabled(policy):
        return Verdict.NEVER
    return min(
        demand_of(policy, is_service_principal=principal.is_service_principal),
        reach_of(policy),
        narrowness_of(policy),
        covers(policy, principal),
    )


def covers(policy: Mapping[str, Any], principal: Principal) -> Verdict:
    """Return whether a policy is meant for ``principal``, whatever its state and conditions."""
    conditions = _part(policy, "conditions")
    if principal.is_service_principal:
        return _covers_application(_part(conditions, "clientApplications"), principal)
    return _covers_user(_part(conditions, "users"), principal)


def demand_of(policy: Mapping[str, Any], *, is_service_principal: bool = False) -> Verdict:
    """Return whether what a policy demands can be met: ``CERTAINLY`` is a block."""
    controls = _part(policy, "grantControls")
    builtin = set(_texts(controls, "builtInControls"))
    if "block" in builtin:
        return Verdict.CERTAINLY
    if is_service_principal:
        return Verdict.NEVER
    further = bool(
        builtin - {"mfa"}
        or _part(controls, "authenticationStrength")
        or _texts(controls, "termsOfUse")
        or _texts(controls, "customAuthenticationFactors")
    )
    is_choice = str(controls.get("operator") or "OR").upper() == "OR"
    if not further or ("mfa" in builtin and is_choice):
        return Verdict.NEVER
    return Verdict.POSSIBLY


def reach_of(policy: Mapping[str, Any]) -> Verdict:
    """Return whether a policy stands before what administers the tenant."""
    applications = _part(_part(policy, "conditions"), "applications")
    included = {one.lower() for one in _texts(applications, "includeApplications")}
    excluded = {one.lower() for one in _texts(applications, "excludeApplications")}
    contexts = _texts(applications, "includeAuthenticationContextClassReferences")
    if "all" in included:
        answer = Verdict.POSSIBLY if excluded & _DOORS else Verdict.CERTAINLY
    elif included & _DOORS - excluded:
        answer = Verdict.CERTAINLY
    elif "office365" in included or contexts:
        answer = Verdict.POSSIBLY
    else:
        answer = Verdict.NEVER
    if _part(applications, "applicationFilter"):
        # Applications that it takes in come on top, ones that it leaves out are left out.
        is_leaving_out = _part(applications, "applicationFilter").get("mode") == "exclude"
        return min(answer, Verdict.POSSIBLY) if is_leaving_out else max(answer, Verdict.POSSIBLY)
    return answer


def narrowness_of(policy: Mapping[str, Any]) -> Verdict:
    """Return ``CERTAINLY`` when a policy asks nothing of where, how and from what one signs in."""
    clients = set(_texts(_part(policy, "conditions"), "clientAppTypes"))
    if clients and clients <= _LEGACY_CLIENTS:
        return Verdict.NEVER
    return Verdict.POSSIBLY if narrowing_conditions(policy) else Verdict.CERTAINLY


def narrowing_conditions(policy: Mapping[str, Any]) -> tuple[str, ...]:
    """Return, in Graph's words, the conditions that hold for some sign-ins and not for others."""
    conditions = _part(policy, "conditions")
    found = []
    locations = _part(conditions, "locations")
    if locations and (
        "All" not in _texts(locations, "includeLocations") or _texts(locations, "excludeLocations")
    ):
        found.append("locations")
    platforms = _part(conditions, "platforms")
    if platforms and (
        "all" not in _texts(platforms, "includePlatforms") or _texts(platforms, "excludePlatforms")
    ):
        found.append("platforms")
    clients = set(_texts(conditions, "clientAppTypes"))
    if clients and "all" not in clients and not clients >= _MODERN_CLIENTS:
        found.append("clientAppTypes")
    found += [
        name
        for name in ("signInRiskLevels", "userRiskLevels", "servicePrincipalRiskLevels")
        if conditions.get(name)
    ]
    if conditions.get("insiderRiskLevels"):
        found.append("insiderRiskLevels")
    found += [name for name in ("devices", "authenticationFlows") if _part(conditions, name)]
    return tuple(found)


def demands(policy: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a policy demands, in Graph's words."""
    controls = _part(policy, "grantControls")
    found = list(_texts(controls, "builtInControls"))
    found += [
        name
        for name in ("authenticationStrength", "termsOfUse", "customAuthenticationFactors")
        if controls.get(name)
    ]
    return tuple(found)


def named_groups(policy: Mapping[str, Any]) -> frozenset[str]:
    """Return the groups that a policy includes or excludes."""
    users = _part(_part(policy, "conditions"), "users")
    return _ids(users, "includeGroups") | _ids(users, "excludeGroups")


def excluded_groups(policy: Mapping[str, Any]) -> frozenset[str]:
    """Return the groups that a policy excludes."""
    return _ids(_part(_part(policy, "conditions"), "users"), "excludeGroups")


def named_roles(policy: Mapping[str, Any]) -> frozenset[str]:
    """Return the roles that a policy includes or excludes."""
    users = _part(_part(policy, "conditions"), "users")
    return _ids(users, "includeRoles") | _ids(users, "excludeRoles")


def named_locations(policy: Mapping[str, Any]) -> frozenset[str]:
    """Return the locations that a policy includes or excludes, ``AllTrusted`` among them."""
    locations = _part(_part(policy, "conditions"), "locations")
    return _ids(locations, "includeLocations") | _ids(locations, "excludeLocations")


def named_strength(policy: Mapping[str, Any]) -> str:
    """Return the authentication strength that a policy demands, or ``""``."""
    strength = _part(_part(policy, "grantControls"), "authenticationStrength")
    return canonical_id(str(strength.get("id") or ""))


def is_for_applications(policy: Mapping[str, Any]) -> bool:
    """Tell whether a policy is for service principals (workload identities)."""
    return bool(
        _texts(_part(_part(policy, "conditions"), "clientApplications"), "includeServicePrincipals")
    )


def _covers_user(users: Mapping[str, Any], principal: Principal) -> Verdict:
    least = Verdict.CERTAINLY  # what is left when an exclusion is only possible
    if principal.id in _ids(users, "excludeUsers"):
        return Verdict.NEVER
    groups_out, roles_out = _ids(users, "excludeGroups"), _ids(users, "excludeRoles")
    if groups_out & principal.sure_groups or roles_out & principal.sure_roles:
        return Verdict.NEVER
    is_excluded_perhaps = (
        groups_out & (principal.groups | principal.unsure_groups)
        or roles_out & principal.roles
        or (principal.is_guest and _part(users, "excludeGuestsOrExternalUsers"))
    )
    if principal.is_guest and _GUESTS in _texts(users, "excludeUsers"):
        return Verdict.NEVER
    if is_excluded_perhaps:
        least = Verdict.POSSIBLY
    included = _texts(users, "includeUsers")
    if (
        "All" in included
        or principal.id in _ids(users, "includeUsers")
        or _ids(users, "includeGroups") & principal.groups
        or _ids(users, "includeRoles") & principal.roles
        or (principal.is_guest and _GUESTS in included)
    ):
        return least
    if _ids(users, "includeGroups") & principal.unsure_groups or (
        principal.is_guest and _part(users, "includeGuestsOrExternalUsers")
    ):
        return Verdict.POSSIBLY
    return Verdict.NEVER


def _covers_application(clients: Mapping[str, Any], principal: Principal) -> Verdict:
    if principal.is_foreign or principal.id in _ids(clients, "excludeServicePrincipals"):
        return Verdict.NEVER
    included = _ids(clients, "includeServicePrincipals")
    if _OWN_PRINCIPALS not in included and principal.id not in included:
        return Verdict.NEVER
    return Verdict.POSSIBLY if _part(clients, "servicePrincipalFilter") else Verdict.CERTAINLY


def _part(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a nested object without its empty members; absent and null are empty."""
    found = value.get(name)
    if not isinstance(found, Mapping):
        return {}
    return {key: item for key, item in found.items() if item not in (None, [], {}, "")}


def _texts(value: Mapping[str, Any], name: str) -> list[str]:
    found = value.get(name)
    if isinstance(found, str):
        return [found]
    return (
        [one for one in found or () if isinstance(one, str)] if isinstance(found, Iterable) else []
    )


def _ids(value: Mapping[str, Any], name: str) -> frozenset[str]:
    return frozenset(canonical_id(one) for one in _texts(value, name))
