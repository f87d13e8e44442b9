"""Addresses: how a path is taken apart, and which handler answers which address.

Reads are listed here; writes come from `writes.WRITE_ROUTES`. Paths are compared without letter
case. An address that is in neither table is unknown, and the sandbox says so loudly.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field

import orjson

from reentra.sandbox import delta, reads, render, schema
from reentra.sandbox.errors import GraphError, bad_request, not_found
from reentra.sandbox.navigation import (
    get_by_ids,
    get_contained,
    get_single,
    list_available_extensions,
    list_license_details,
    list_related,
    member_groups,
)
from reentra.sandbox.reads import Listing
from reentra.sandbox.tenant import Record, Tenant
from reentra.sandbox.world import Answer, Call

Handle = Callable[[Call], Answer]


@dataclass(frozen=True, slots=True)
class ParsedPath:
    """A path taken apart; ``keys`` holds the alternate keys by segment position."""

    segments: tuple[str, ...]
    keys: dict[int, tuple[str, str]]
    cast: str | None = None
    wants_count: bool = False
    wants_refs: bool = False


_CALL = re.compile(r"^([A-Za-z][A-Za-z0-9_.]*)\((.*)\)$", re.DOTALL)
_KEY = re.compile(r"^\s*([A-Za-z]\w*)\s*=\s*'((?:[^']|'')*)'\s*$", re.DOTALL)
_FUNCTIONS = frozenset(
    ("delta", "getbyids", "assignlicense", "restore", "addpassword", "removepassword", "verify",
     "getmembergroups", "getmemberobjects", "getavailableextensionproperties", "promote",
     "forcedelete")
)  # fmt: skip


def parse_path(path: str, method: str) -> ParsedPath:
    """Take a path below the version root apart.

    Raises:
        GraphError: 400 for a malformed key.
    """
    segments: list[str] = []
    keys: dict[int, tuple[str, str]] = {}
    cast: str | None = None
    for raw in path.strip("/").split("/"):
        segment = urllib.parse.unquote(raw)
        lowered = segment.lower()
        for prefix in ("microsoft.graph.", "graph."):
            if lowered.startswith(prefix):
                name = segment[len(prefix) :].removesuffix("()")
                break
        else:
            name = ""
        if name:
            if name.lower() in _FUNCTIONS:
                segments.append(name)
            else:
                cast = _type_named(name)
            continue
        match = _CALL.match(segment)
        if match is None:
            segments.append(segment)
            continue
        segments.append(match.group(1))
        inner = match.group(2)
        if not inner:
            continue
        keyed = _KEY.match(inner)
        if keyed is not None:
            keys[len(segments)] = (keyed.group(1), keyed.group(2).replace("''", "'"))
            segments.append(keyed.group(2).replace("''", "'"))
        elif inner.startswith("'") and inner.endswith("'") and len(inner) > 1:
            segments.append(inner[1:-1].replace("''", "'"))
        else:
            raise bad_request(f"The key in '{segment}' is malformed.")
    wants_count = wants_refs = False
    if method == "GET" and len(segments) > 1:
        if segments[-1].lower() == "$count":
            wants_count = True
            segments.pop()
        elif segments[-1].lower() == "$ref":
            wants_refs = True
            segments.pop()
    return ParsedPath(tuple(segments), keys, cast, wants_count, wants_refs)


def _type_named(name: str) -> str:
    for known in ("user", "group", "device", "application", "servicePrincipal",
                  "administrativeUnit", "directoryRole", "orgContact"):  # fmt: skip
        if known.lower() == name.lower():
            return known
    return name


# --- matching ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Route:
    """One address with one method.

    The template's names become parameters; ``nav(name='{x}')`` is an address by alternate key.
    """

    method: str
    template: str
    handle: Handle
    is_write: bool = False

    @property
    def operation(self) -> str:
        return f"{self.method} {self.template}"


@dataclass(frozen=True, slots=True)
class _Entry:
    route: Route
    names: tuple[tuple[int, str], ...]
    keys: tuple[tuple[int, str], ...]


@dataclass(slots=True)
class _Node:
    static: dict[str, _Node] = field(default_factory=dict)
    parameter: _Node | None = None
    entries: dict[str, list[_Entry]] = field(default_factory=dict)


_KEYED_SEGMENT = re.compile(r"^(\w+)\((\w+)='\{(\w+)\}'\)$")


class Router:
    """Finds the route of a method and segments; fixed segments win over parameters."""

    def __init__(self) -> None:
        self._root = _Node()
        self.routes: list[Route] = []

    def add(self, route: Route) -> None:
        node = self._root
        names: list[tuple[int, str]] = []
        keys: list[tuple[int, str]] = []
        at = 0
        for segment in route.template.strip("/").split("/"):
            keyed = _KEYED_SEGMENT.match(segment)
            if keyed is not None:
                node = node.static.setdefault(keyed.group(1).lower(), _Node())
                node.parameter = node = node.parameter or _Node()
                keys.append((at + 1, keyed.group(2)))
                names.append((at + 1, keyed.group(3)))
                at += 2
                continue
            if segment.startswith("{"):
                names.append((at, segment.strip("{}")))
                node.parameter = node = node.parameter or _Node()
            else:
                node = node.static.setdefault(segment.lower(), _Node())
            at += 1
        node.entries.setdefault(route.method, []).append(_Entry(route, tuple(names), tuple(keys)))
        self.routes.append(route)

    def find(
        self, method: str, segments: tuple[str, ...], keys: dict[int, tuple[str, str]]
    ) -> tuple[Route | None, dict[str, str], bool]:
        """Return the route, its parameters, and whether the path is known at all.

        A route that names an alternate key only answers when the path used that key.
        """
        node = self._walk(self._root, segments, 0)
        if node is None:
            return None, {}, False
        fitting = [
            entry
            for entry in node.entries.get(method, ())
            if all(keys.get(at, ("",))[0].lower() == name.lower() for at, name in entry.keys)
        ]
        if not fitting:
            return None, {}, True
        entry = max(fitting, key=lambda candidate: len(candidate.keys))
        return entry.route, {name: segments[at] for at, name in entry.names}, True

    def _walk(self, node: _Node, segments: tuple[str, ...], at: int) -> _Node | None:
        if at == len(segments):
            return node if node.entries else None
        fixed = node.static.get(segments[at].lower())
        if fixed is not None:
            found = self._walk(fixed, segments, at + 1)
            if found is not None:
                return found
        if node.parameter is not None:
            return self._walk(node.parameter, segments, at + 1)
        return None


# --- keys --------------------------------------------------------------------------------

_KEYED_COLLECTIONS = {
    "users": "user",
    "groups": "group",
    "applications": "application",
    "serviceprincipals": "servicePrincipal",
    "devices": "device",
    "directoryroles": "directoryRole",
}
_ALTERNATE_KEYS = frozenset(
    (
        ("user", "userPrincipalName"),
        ("group", "uniqueName"),
        ("application", "appId"),
        ("application", "uniqueName"),
        ("servicePrincipal", "appId"),
        ("device", "deviceId"),
        ("directoryRole", "roleTemplateId"),
    )
)


def resolve_keys(call: Call, keys: dict[int, tuple[str, str]]) -> None:
    """Replace an alternate key or a principal name in the path by the object's id.

    What is not found is left as it is, so that the handler answers 404 with what was asked for.

    Raises:
        GraphError: 400 for a key that the type does not have.
    """
    if "id" not in call.params or not call.segments:
        return
    type_ = _KEYED_COLLECTIONS.get(call.segments[0].lower())
    if type_ is None:
        return
    tenant = call.tenant
    if 1 in keys:
        name, value = keys[1]
        if name.lower() == "id":
            return
        for known_type, known in _ALTERNATE_KEYS:
            if known_type == type_ and known.lower() == name.lower():
                found = tenant.one(type_, known, value)
                if found is not None:
                    call.params["id"] = found.id
                return
        raise bad_request(f"The property '{name}' is not a key of '{type_}'.")
    value = call.params["id"]
    if type_ == "user" and "@" in value and tenant.get("user", value) is None:
        found = tenant.user_by_upn(value)
        if found is not None:
            call.params["id"] = found.id


# --- reads -------------------------------------------------------------------------------


def _lists(type_: str, context: str, *, is_paged: bool = True) -> Handle:
    listing = Listing(type_, context, is_paged)

    def handle(call: Call) -> Answer:
        return reads.list_records(call, listing, lambda: call.tenant.collection(type_).values())

    return handle


def _gets(type_: str, context: str) -> Handle:
    def handle(call: Call) -> Answer:
        id_ = call.params["id"]
        record = call.tenant.get(type_, id_)
        if record is None or not call.world.is_visible(record):
            raise reads.missing(type_, id_)
        return reads.get_record(call, record, id_, context)

    return handle


def _singleton(type_: str, context: str) -> Handle:
    def handle(call: Call) -> Answer:
        record = next(iter(call.tenant.collection(type_).values()), None)
        return reads.get_record(call, record, type_, context)

    return handle


def _get_method(call: Call) -> Answer:
    """Answer the configuration of one sign-in method, whatever the letter case of its name."""
    wanted = call.params["id"].casefold()
    for policy in call.tenant.collection("authenticationMethodsPolicy").values():
        for entry in policy.props["authenticationMethodConfigurations"]:
            if str(entry["id"]).casefold() == wanted:
                context = f"{call.root_url}/$metadata#authenticationMethodConfigurations/$entity"
                return Answer(200, orjson.dumps({"@odata.context": context, **entry}))
    raise not_found(call.params["id"])


def _tenant_settings(call: Call) -> Answer:
    """List the settings of the tenant, which are those that no group owns."""
    tenant = call.tenant

    def records() -> list[Record]:
        return [
            record
            for record in tenant.collection("groupSetting").values()
            if not tenant.all_sources("group.settings", record.id)
        ]

    return reads.list_records(call, Listing("groupSetting", "groupSettings"), records)


def _list_eligibilities(call: Call) -> Answer:
    """List who is eligible for which role, in a tenant that has the licence for it."""
    if call.tenant.edition != "P2":
        raise GraphError(
            403, "AadPremiumLicenseRequired", "The tenant needs an AAD Premium 2 license."
        )
    return _lists(
        "unifiedRoleEligibilitySchedule", "roleManagement/directory/roleEligibilitySchedules"
    )(call)


def _get_directory_object(call: Call) -> Answer:
    id_ = call.params["id"]
    return reads.get_record(call, call.tenant.find(id_), id_, "directoryObjects", shows_type=True)


def _list_deleted(call: Call) -> Answer:
    if call.cast is None:
        raise query_needs_cast()
    if call.cast not in ("user", "group", "application", "servicePrincipal", "administrativeUnit",
                         "device"):  # fmt: skip
        raise bad_request(f"The type 'microsoft.graph.{call.cast}' is not soft-deleted.")
    type_ = call.cast
    context = f"directoryObjects/microsoft.graph.{type_}"
    listing = Listing(type_, context)
    return reads.list_records(call, listing, lambda: call.tenant.deleted(type_))


def query_needs_cast() -> GraphError:
    """Return the refusal of a recycle-bin list without a type."""
    return bad_request(
        "The collection 'deletedItems' must be listed by type, as in "
        "'/directory/deletedItems/microsoft.graph.user'."
    )


def _get_deleted(call: Call) -> Answer:
    id_ = call.params["id"]
    record = call.tenant.find_deleted(id_)
    return reads.get_record(call, record, id_, "directoryObjects", shows_type=True)


def _list_deleted_policies(type_: str, context: str) -> Handle:
    listing = Listing(type_, context)

    def handle(call: Call) -> Answer:
        _check_policy_bin(call)
        return reads.list_records(call, listing, lambda: call.tenant.deleted(type_))

    return handle


def _get_deleted_policy(type_: str, context: str) -> Handle:
    def handle(call: Call) -> Answer:
        _check_policy_bin(call)
        id_ = call.params["id"]
        record = call.tenant.find_deleted(id_, type_)
        if record is None:
            raise reads.missing(type_, id_)
        return reads.get_record(call, record, id_, context)

    return handle


def _check_policy_bin(call: Call) -> None:
    if not call.tenant.options.policy_bin:
        raise bad_request("Resource not found for the segment 'deletedItems'.")


def _role_template(role: schema.BuiltInRole) -> dict[str, str | None]:
    return {
        "id": role.id,
        "deletedDateTime": None,
        "description": role.display_name,
        "displayName": role.display_name,
    }


def _list_role_templates(call: Call) -> Answer:
    parts = [orjson.dumps(_role_template(role)) for role in schema.builtin_roles()]
    context = f"{call.root_url}/$metadata#directoryRoleTemplates"
    return Answer(200, render.join_page({"@odata.context": context}, parts))


def _get_role_template(call: Call) -> Answer:
    context = f"{call.root_url}/$metadata#directoryRoleTemplates/$entity"
    for role in schema.builtin_roles():
        if role.id == call.params["id"].lower():
            return Answer(200, orjson.dumps({"@odata.context": context, **_role_template(role)}))
    raise not_found(call.params["id"])


def _domain_references(call: Call) -> Answer:
    domain = call.params["id"].lower()
    if call.tenant.get("domain", domain) is None:
        raise not_found(domain)

    def records() -> list[Record]:
        found = []
        for type_ in ("user", "group"):
            for record in call.tenant.collection(type_).values():
                names = [record.props.get("userPrincipalName"), record.props.get("mail")]
                if any(name and name.lower().endswith("@" + domain) for name in names):
                    found.append(record)
        return found

    listing = Listing("directoryObject", "directoryObjects", is_mixed=True)
    return reads.list_records(call, listing, records)


_CA = "/identity/conditionalAccess"
_CA_CONTEXT = "identity/conditionalAccess"
_ROLES = "/roleManagement/directory"
_UNITS = "/directory/administrativeUnits"

READ_ROUTES: tuple[tuple[str, str, Handle], ...] = (
    *(
        entry
        for type_, path in (
            ("user", "users"),
            ("group", "groups"),
            ("application", "applications"),
            ("servicePrincipal", "servicePrincipals"),
            ("device", "devices"),
            ("administrativeUnit", "directory/administrativeUnits"),
            ("oAuth2PermissionGrant", "oauth2PermissionGrants"),
        )
        for entry in (
            ("GET", f"/{path}", _lists(type_, path)),
            ("GET", f"/{path}/delta", delta.delta_of(type_, path)),
            ("GET", f"/{path}/{{id}}", _gets(type_, path)),
        )
    ),
    *(
        ("GET", f"/{path}/{{id}}/{name}", list_related(type_, name))
        for type_, path, names in (
            ("user", "users",
             """directReports sponsors sponsorOf memberOf transitiveMemberOf ownedObjects
             ownedDevices registeredDevices appRoleAssignments oauth2PermissionGrants"""),
            ("group", "groups",
             """members owners memberOf transitiveMembers transitiveMemberOf appRoleAssignments
             settings"""),
            ("application", "applications",
             """owners federatedIdentityCredentials extensionProperties tokenIssuancePolicies
             tokenLifetimePolicies"""),
            ("servicePrincipal", "servicePrincipals",
             """owners memberOf transitiveMemberOf ownedObjects appRoleAssignedTo
             appRoleAssignments oauth2PermissionGrants claimsMappingPolicies
             homeRealmDiscoveryPolicies tokenLifetimePolicies"""),
            ("device", "devices", "registeredOwners registeredUsers memberOf transitiveMemberOf"),
            ("administrativeUnit", "directory/administrativeUnits", "members scopedRoleMembers"),
            ("directoryRole", "directoryRoles", "members"),
            ("claimsMappingPolicy", "policies/claimsMappingPolicies", "appliesTo"),
            ("homeRealmDiscoveryPolicy", "policies/homeRealmDiscoveryPolicies", "appliesTo"),
            ("tokenIssuancePolicy", "policies/tokenIssuancePolicies", "appliesTo"),
            ("tokenLifetimePolicy", "policies/tokenLifetimePolicies", "appliesTo"),
        )
        for name in names.split()
    ),
    *(
        ("GET", f"/{path}/{{id}}/{name}/{{target}}", get_contained(type_, name))
        for type_, path, name in (
            ("user", "users", "appRoleAssignments"),
            ("group", "groups", "appRoleAssignments"),
            ("group", "groups", "settings"),
            ("servicePrincipal", "servicePrincipals", "appRoleAssignments"),
            ("servicePrincipal", "servicePrincipals", "appRoleAssignedTo"),
            ("application", "applications", "federatedIdentityCredentials"),
            ("application", "applications", "extensionProperties"),
            ("administrativeUnit", "directory/administrativeUnits", "scopedRoleMembers"),
        )
    ),
    ("GET", "/users/{id}/manager", get_single("user", "manager")),
    ("GET", "/users/{id}/licenseDetails", list_license_details),
    ("GET", "/directoryObjects/{id}", _get_directory_object),
    ("POST", "/directoryObjects/getByIds", get_by_ids),
    ("POST", "/directoryObjects/getAvailableExtensionProperties", list_available_extensions),
    *(
        ("POST", f"/{path}/{{id}}/{name}", member_groups)
        for path in ("users", "groups", "servicePrincipals", "devices", "directoryObjects")
        for name in ("getMemberGroups", "getMemberObjects")
    ),
    ("GET", "/directory/deletedItems", _list_deleted),
    ("GET", "/directory/deletedItems/{id}", _get_deleted),
    ("GET", "/directoryRoles", _lists("directoryRole", "directoryRoles", is_paged=False)),
    ("GET", "/directoryRoles/{id}", _gets("directoryRole", "directoryRoles")),
    ("GET", "/directoryRoleTemplates", _list_role_templates),
    ("GET", "/directoryRoleTemplates/{id}", _get_role_template),
    ("GET", "/groupSettings", _tenant_settings),
    ("GET", "/groupSettings/{id}", _gets("groupSetting", "groupSettings")),
    ("GET", "/groupSettingTemplates",
     _lists("groupSettingTemplate", "groupSettingTemplates", is_paged=False)),
    ("GET", "/groupSettingTemplates/{id}", _gets("groupSettingTemplate", "groupSettingTemplates")),
    *(
        ("GET", f"/policies/{type_}", _singleton(type_, f"policies/{type_}"))
        for type_ in (
            "authorizationPolicy", "identitySecurityDefaultsEnforcementPolicy",
            "adminConsentRequestPolicy", "deviceRegistrationPolicy", "authenticationMethodsPolicy",
            "crossTenantAccessPolicy",
        )
    ),
    ("GET", "/policies/crossTenantAccessPolicy/default",
     _singleton("crossTenantAccessPolicyConfigurationDefault",
                "policies/crossTenantAccessPolicy/default")),
    ("GET", "/policies/authenticationMethodsPolicy/authenticationMethodConfigurations/{id}",
     _get_method),
    *(
        entry
        for type_, path in (
            ("claimsMappingPolicy", "policies/claimsMappingPolicies"),
            ("tokenLifetimePolicy", "policies/tokenLifetimePolicies"),
            ("tokenIssuancePolicy", "policies/tokenIssuancePolicies"),
            ("homeRealmDiscoveryPolicy", "policies/homeRealmDiscoveryPolicies"),
            ("activityBasedTimeoutPolicy", "policies/activityBasedTimeoutPolicies"),
            ("authenticationStrengthPolicy", "policies/authenticationStrengthPolicies"),
            ("authenticationContextClassReference",
             f"{_CA_CONTEXT}/authenticationContextClassReferences"),
            ("groupLifecyclePolicy", "groupLifecyclePolicies"),
            ("crossTenantAccessPolicyConfigurationPartner",
             "policies/crossTenantAccessPolicy/partners"),
        )
        for entry in (
            ("GET", f"/{path}", _lists(type_, path, is_paged=False)),
            ("GET", f"/{path}/{{id}}", _gets(type_, path)),
        )
    ),
    ("GET", "/organization", _lists("organization", "organization", is_paged=False)),
    ("GET", "/organization/{id}", _gets("organization", "organization")),
    ("GET", "/domains", _lists("domain", "domains", is_paged=False)),
    ("GET", "/domains/{id}", _gets("domain", "domains")),
    ("GET", "/domains/{id}/domainNameReferences", _domain_references),
    ("GET", "/subscribedSkus", _lists("subscribedSku", "subscribedSkus", is_paged=False)),
    ("GET", "/subscribedSkus/{id}", _gets("subscribedSku", "subscribedSkus")),
    ("GET", f"{_ROLES}/roleDefinitions",
     _lists("unifiedRoleDefinition", "roleManagement/directory/roleDefinitions")),
    ("GET", f"{_ROLES}/roleDefinitions/{{id}}",
     _gets("unifiedRoleDefinition", "roleManagement/directory/roleDefinitions")),
    ("GET", f"{_ROLES}/roleAssignments",
     _lists("unifiedRoleAssignment", "roleManagement/directory/roleAssignments")),
    ("GET", f"{_ROLES}/roleAssignments/{{id}}",
     _gets("unifiedRoleAssignment", "roleManagement/directory/roleAssignments")),
    ("GET", f"{_ROLES}/roleEligibilitySchedules", _list_eligibilities),
    ("GET", f"{_ROLES}/roleEligibilitySchedules/{{id}}",
     _gets("unifiedRoleEligibilitySchedule", f"{_ROLES[1:]}/roleEligibilitySchedules")),
    ("GET", f"{_CA}/policies", _lists("conditionalAccessPolicy", f"{_CA_CONTEXT}/policies")),
    ("GET", f"{_CA}/policies/{{id}}", _gets("conditionalAccessPolicy", f"{_CA_CONTEXT}/policies")),
    ("GET", f"{_CA}/namedLocations", _lists("namedLocation", f"{_CA_CONTEXT}/namedLocations")),
    ("GET", f"{_CA}/namedLocations/{{id}}",
     _gets("namedLocation", f"{_CA_CONTEXT}/namedLocations")),
    ("GET", f"{_CA}/deletedItems/policies",
     _list_deleted_policies("conditionalAccessPolicy", f"{_CA_CONTEXT}/deletedItems/policies")),
    ("GET", f"{_CA}/deletedItems/policies/{{id}}",
     _get_deleted_policy("conditionalAccessPolicy", f"{_CA_CONTEXT}/deletedItems/policies")),
    ("GET", f"{_CA}/deletedItems/namedLocations",
     _list_deleted_policies("namedLocation", f"{_CA_CONTEXT}/deletedItems/namedLocations")),
    ("GET", f"{_CA}/deletedItems/namedLocations/{{id}}",
     _get_deleted_policy("namedLocation", f"{_CA_CONTEXT}/deletedItems/namedLocations")),
)  # fmt: skip


def read_routes() -> list[Route]:
    """Return the routes that change nothing."""
    return [Route(method, template, handle) for method, template, handle in READ_ROUTES]


def bin_type(tenant: Tenant, call: Call) -> str:
    """Return the type of what a recycle-bin address names, empty when unknown."""
    if call.cast is not None:
        return call.cast
    record = tenant.find_deleted(call.params.get("id", ""))
    return record.type if record is not None else ""
