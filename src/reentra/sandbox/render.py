"""Records as Graph's JSON: chosen properties, nulls and empty lists, annotations, cached bytes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from reentra.sandbox import schema
from reentra.sandbox.clock import timestamp
from reentra.sandbox.errors import GraphError, bad_request
from reentra.sandbox.tenant import Record, Tenant

TYPED = frozenset(("ipNamedLocation", "countryNamedLocation"))
"""Derived types, which always carry @odata.type."""

WITHOUT_ID = frozenset(("adminConsentRequestPolicy", "crossTenantAccessPolicyConfigurationPartner"))
"""Types whose objects are never shown with an id: they are the only one, or keyed otherwise."""

EXTENSION_PREFIX = "extension_"


@dataclass(frozen=True, slots=True)
class Shape:
    """Which properties of a type to show: ``fields`` are (name, what an unset one looks like)."""

    type: str
    names: tuple[str, ...]
    fields: tuple[tuple[str, Any], ...]
    shows_id: bool
    shows_type: bool
    shows_keys: bool

    @property
    def typed_prefix(self) -> dict[str, Any]:
        return {"@odata.type": f"#microsoft.graph.{self.type}"} if self.shows_type else {}


def unknown_select(name: str, type_: str) -> GraphError:
    """Return the refusal of a property that the type does not have."""
    return bad_request(
        f"Parsing OData Select and Expand failed: Could not find a property named '{name}' "
        f"on type 'microsoft.graph.{type_}'."
    )


def check_select(tenant: Tenant, type_: str, names: Iterable[str]) -> None:
    """Refuse names that the type does not have.

    Raises:
        GraphError: 400, naming the first unknown property.
    """
    known = schema.entity(type_)
    derived: list[schema.EntityType] | None = None
    for name in names:
        if known.knows(name):
            continue
        if name.startswith(EXTENSION_PREFIX) and _extension_exists(tenant, type_, name):
            continue
        if derived is None:
            derived = [schema.entity(other) for other in schema.derived_types(type_)]
        if not any(entity.knows(name) for entity in derived):
            raise unknown_select(name, type_)


def _extension_exists(tenant: Tenant, type_: str, name: str) -> bool:
    wanted = type_.lower()
    for record in tenant.collection("extensionProperty").values():
        if record.props.get("name") == name:
            targets = [str(t).lower() for t in record.props.get("targetObjects") or ()]
            return wanted in targets or type_ == "directoryObject"
    return False


@lru_cache(maxsize=4096)
def shape(
    type_: str, names: tuple[str, ...] | None, shows_type: bool = False, shows_keys: bool = False
) -> Shape:
    """Return the shape for a $select, or for the type's default set when None.

    The same arguments give the same object, so that it can key a cache by identity.
    """
    entity = schema.entity(type_)
    chosen = entity.default_select if names is None else names
    if names is None and "id" not in chosen:
        chosen = ("id", *chosen)
    fields: list[tuple[str, Any]] = []
    for name in chosen:
        if name == "id":
            continue
        known = entity.properties.get(name)
        if known is None:
            if name.startswith(EXTENSION_PREFIX):
                fields.append((name, None))
            continue
        fields.append((name, [] if known.is_collection else None))
    return Shape(
        type_,
        tuple(chosen),
        tuple(fields),
        "id" in chosen and type_ not in WITHOUT_ID,
        shows_type or type_ in TYPED,
        shows_keys,
    )


def values_of(
    record: Record, wanted: Shape, props: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the object with every chosen property; unset ones are null or empty."""
    source = record.props if props is None else props
    get = source.get
    values = wanted.typed_prefix
    if wanted.shows_id:
        values["id"] = record.id
    for name, unset in wanted.fields:
        value = get(name)
        if value is None:
            if name == "deletedDateTime":
                value = timestamp(record.deleted_at) if record.deleted_at else None
            else:
                value = unset
        elif name == "passwordProfile":
            value = _without_password(value)
        elif name == "keyCredentials" and not wanted.shows_keys:
            value = [{**entry, "key": None} for entry in value]
        values[name] = value
    return values


def set_values(record: Record, wanted: Shape, only: frozenset[str] | None) -> dict[str, Any]:
    """Return the object as delta shows it: properties never set are left out.

    With ``only`` just these changed properties appear.
    """
    values: dict[str, Any] = {}
    for name, _ in wanted.fields:
        if name not in record.props or (only is not None and name not in only):
            continue
        value = record.props[name]
        if name == "passwordProfile" and value is not None:
            value = _without_password(value)
        elif name == "keyCredentials" and value:
            value = [{**entry, "key": None} for entry in value]
        values[name] = value
    if wanted.shows_type:
        values["@odata.type"] = f"#microsoft.graph.{wanted.type}"
    values["id"] = record.id
    return values


def _without_password(profile: Any) -> Any:
    if not isinstance(profile, Mapping):
        return profile
    return {**profile, "password": None}


def cached_bytes(record: Record, wanted: Shape) -> bytes:
    """Return the record's JSON in this shape, from its cache when no write has come since."""
    cache = record.cache
    if cache is not None and cache[0] is wanted:
        data: bytes = cache[1]
        return data
    # A copy of just the right size: orjson's own buffer grows by doubling, and keeping two hundred
    # thousand of those takes three times the memory and ten times the time.
    data = bytes(memoryview(orjson.dumps(values_of(record, wanted))))
    record.cache = (wanted, data)
    return data


def join_page(head: dict[str, Any], parts: Sequence[bytes]) -> bytes:
    """Put rendered objects under ``value``, behind the annotations of the head."""
    prefix = orjson.dumps(head)
    separator = b',"value":[' if head else b'"value":['
    return b"".join((prefix[:-1], separator, b",".join(parts), b"]}"))
