"""What a write function receives and returns, and the check of a body against the schema.

Everything here is validation: nothing in this module changes a tenant.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from reentra.sandbox import schema
from reentra.sandbox.clock import timestamp
from reentra.sandbox.errors import (
    GraphError,
    bad_request,
    denied,
    invalid_value,
    missing_value,
    not_found,
    read_only,
    unknown_property,
)
from reentra.sandbox.rules_values import check_value
from reentra.sandbox.tenant import Record, Tenant

ZERO_GUID: Final = "00000000-0000-0000-0000-000000000000"


def _always(_: Record) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class WriteContext:
    """Who writes, and in which surroundings.

    ``roles`` are the caller's application permissions; None stands for all of them. ``visible``
    says whether a record is replicated far enough to be referred to.
    """

    graph_url: str = "https://graph.microsoft.com/v1.0"
    app_id: str = ""
    roles: frozenset[str] | None = None
    create_if_missing: bool = False
    visible: Callable[[Record], bool] = _always

    def holds(self, permission: str) -> bool:
        """Say whether the caller has an application permission."""
        return self.roles is None or permission in self.roles


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What a write answers: a record to render or a body as it is, and where it lives.

    ``location`` is a path below the version root. A status of 204 has neither.
    """

    status: int
    record: Record | None = None
    body: dict[str, Any] | None = None
    location: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """One write as it was asked for, with the parameters of its path."""

    tenant: Tenant
    params: Mapping[str, str]
    body: Any
    context: WriteContext


WriteFunction = Callable[[Asked], WriteResult]


@dataclass(frozen=True, slots=True)
class Route:
    """One documented write operation.

    The template's names are the keys of the parameters: ``id`` is the object of the path,
    ``target`` the far end of a relationship, ``child`` a contained object.
    """

    method: str
    template: str
    operation: str
    operate: WriteFunction

    def function(
        self,
        tenant: Tenant,
        params: Mapping[str, str],
        body: Any = None,
        context: WriteContext | None = None,
    ) -> WriteResult:
        """Perform the write under the tenant's lock.

        Raises:
            GraphError: the write is refused, and nothing was changed.
        """
        with tenant.lock:
            tenant.expire_bin()
            return self.operate(Asked(tenant, params, body, context or WriteContext()))


NO_CONTENT: Final = WriteResult(204)


def now(tenant: Tenant) -> str:
    """Return the tenant's present moment as Graph writes it."""
    return timestamp(tenant.clock.now())


def object_body(body: Any) -> dict[str, Any]:
    """Return a body that is a JSON object, or refuse it."""
    if not isinstance(body, dict):
        raise bad_request("Unable to read JSON request payload. A JSON object is expected.")
    return body


def require(tenant: Tenant, type_: str, id_: str) -> Record:
    """Return the live object that a path names, or answer 404."""
    record = tenant.get(type_, id_)
    if record is None and type_ == "user":
        record = tenant.user_by_upn(id_)
    if record is None:
        raise not_found(id_)
    return record


def referred(tenant: Tenant, id_: str, context: WriteContext, *types: str) -> Record:
    """Return the live directory object that a body refers to, or answer 404."""
    record = tenant.find(id_)
    if record is None or not context.visible(record) or (types and record.type not in types):
        raise not_found(id_)
    return record


def title(type_: str) -> str:
    """Return a type's name as the directory's messages write it."""
    return type_[:1].upper() + type_[1:]


def refuse_managed(record: Record) -> None:
    """Refuse a write to a member of a restricted management administrative unit."""
    if record.props.get("isManagementRestricted"):
        raise denied(
            "Insufficient privileges to complete the operation. "
            "Target object is a member of a restricted management administrative unit and can "
            "only be modified by administrators scoped to that administrative unit."
        )


def checked(
    tenant: Tenant,
    type_: str,
    body: Mapping[str, Any],
    before: Record | None = None,
    set_aside: frozenset[str] = frozenset(),
    binds: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Return the properties that a body sets, checked against the schema and the write classes.

    With ``before`` it is an update, else a create. Annotations and the names in ``set_aside``
    are left out of the result. ``binds`` are the relationships whose ``...@odata.bind`` the
    caller takes care of; any other is refused.

    Raises:
        GraphError: the first thing that Graph would refuse.
    """
    known = schema.entity(type_)
    resource = title(type_)
    props: dict[str, Any] = {}
    for name, value in body.items():
        if name == "@odata.type":
            _check_declared_type(type_, value)
            continue
        if "@" in name or name in set_aside:
            _check_annotation(known, name, resource, binds)
            continue
        if name == "id":
            raise read_only("id")
        if name.startswith("extension_"):
            props[name] = _extension_value(tenant, type_, name, value)
            continue
        prop = known.properties.get(name)
        if prop is None:
            if name in known.navigations:
                raise bad_request(
                    f"Navigation property '{name}' cannot be set inline; use a reference."
                )
            raise unknown_property(name, type_)
        _check_rule(prop, before)
        if value is None and (before is None or prop.is_nullable) and not prop.is_required:
            if not prop.is_nullable:
                raise invalid_value(name, resource)
            if before is not None:
                props[name] = None
            continue
        check_value(prop.csdl_type, value, name, resource, nullable=prop.is_nullable)
        props[name] = value
    if before is None:
        for prop in known.properties.values():
            if prop.is_required and props.get(prop.name) is None:
                raise missing_value(prop.name, resource)
    return props


def _check_declared_type(type_: str, value: Any) -> None:
    name = str(value).rpartition(".")[2].lstrip("#")
    if name not in schema.derived_types(type_) and name not in schema.entity(type_).bases:
        raise bad_request(f"The type '{value}' is not 'microsoft.graph.{type_}'.")


def _check_annotation(
    known: schema.EntityType, name: str, resource: str, binds: tuple[str, ...]
) -> None:
    base, _, annotation = name.partition("@")
    if annotation == "odata.bind" and base not in binds:
        if base not in known.navigations:
            raise unknown_property(base, known.name)
        raise bad_request(f"'{name}' is not supported by this operation on '{resource}'.")
    if annotation and not annotation.startswith("odata."):
        raise bad_request(f"The annotation '{name}' is not understood on resource '{resource}'.")


def _check_rule(prop: schema.Property, before: Record | None) -> None:
    if prop.rule is schema.Rule.READ_ONLY:
        raise read_only(prop.name)
    if prop.rule is schema.Rule.CREATE_ONLY and before is not None:
        raise read_only(prop.name)
    if prop.rule is schema.Rule.SET_ONCE and before is not None and before.props.get(prop.name):
        raise read_only(prop.name)
    if prop.rule is schema.Rule.DELEGATED_ONLY:
        raise denied()


def _extension_value(tenant: Tenant, type_: str, name: str, value: Any) -> Any:
    for record in tenant.collection("extensionProperty").values():
        if record.props["name"].casefold() == name.casefold():
            targets = {target.casefold() for target in record.props["targetObjects"]}
            if type_.casefold() not in targets:
                break
            element = str(record.props["dataType"])
            csdl = {"Integer": "Int32", "LargeInteger": "Int64", "DateTime": "DateTimeOffset"}.get(
                element, element
            )
            if record.props.get("isMultiValued"):
                csdl = f"Collection({csdl})"
            if value is not None:
                check_value(csdl, value, name, title(type_))
            return value
    raise bad_request(f"The following extension properties are not available: {name}.")


def merged(type_: str, before: Mapping[str, Any], props: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties to set when the members of complex values merge into the old ones.

    Collections are replaced whole; members that are not sent keep their value.
    """
    known = schema.entity(type_).properties
    result: dict[str, Any] = {}
    for name, value in props.items():
        prop = known.get(name)
        old = before.get(name)
        if (
            prop is not None
            and not prop.is_collection
            and isinstance(value, dict)
            and isinstance(old, dict)
        ):
            result[name] = deep_merge(old, value)
        else:
            result[name] = value
    return result


def deep_merge(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return one JSON object laid over another; lists and scalars of the new one win."""
    result = dict(old)
    for name, value in new.items():
        before = result.get(name)
        if isinstance(value, dict) and isinstance(before, dict):
            result[name] = deep_merge(before, value)
        else:
            result[name] = value
    return result


def with_members(type_: str, value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a complex value with every declared member: null, or an empty list, when unset."""
    result: dict[str, Any] = {}
    for name, prop in schema.entity(type_).properties.items():
        given = value.get(name)
        if given is None:
            result[name] = [] if prop.is_collection else None
        else:
            result[name] = given
    for name, given in value.items():
        result.setdefault(name, given)
    return result


def text_length(props: Mapping[str, Any], resource: str, limits: Mapping[str, int]) -> None:
    """Refuse texts that are empty or longer than Graph takes."""
    for name, limit in limits.items():
        value = props.get(name)
        if isinstance(value, str) and not 0 < len(value) <= limit:
            raise invalid_value(name, resource)


def opaque_id(tenant: Tenant) -> str:
    """Return an id of the form that assignments and grants have: 32 bytes in URL-safe base64."""
    raw = bytes.fromhex((tenant.clock.new_guid() + tenant.clock.new_guid()).replace("-", ""))
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def security_identifier(id_: str) -> str:
    """Return the security identifier that Graph derives from an object id."""
    raw = bytes.fromhex(id_.replace("-", ""))
    # The first three groups of a GUID are little-endian in its binary form.
    ordered = raw[3::-1] + raw[5:3:-1] + raw[7:5:-1] + raw[8:]
    parts = [int.from_bytes(ordered[start : start + 4], "little") for start in (0, 4, 8, 12)]
    return "S-1-12-1-" + "-".join(str(part) for part in parts)


def initial_domain(tenant: Tenant) -> str:
    """Return the name of the tenant's initial domain, or of any domain it has."""
    domains = tenant.collection("domain").values()
    for record in domains:
        if record.props.get("isInitial"):
            return record.id
    return next((record.id for record in domains), "sandbox.onmicrosoft.com")


def default_domain(tenant: Tenant) -> str:
    """Return the name of the tenant's default domain."""
    for record in tenant.collection("domain").values():
        if record.props.get("isDefault"):
            return record.id
    return initial_domain(tenant)


def is_verified_domain(tenant: Tenant, name: str) -> bool:
    """Say whether a domain name is one of the tenant's verified ones."""
    record = tenant.get("domain", name.lower())
    return record is not None and bool(record.props.get("isVerified"))


def premium_required(what: str) -> GraphError:
    """Return the refusal of something that the tenant's licence does not include."""
    return denied(f"{what} requires a Microsoft Entra ID P1 license, which this tenant lacks.")
