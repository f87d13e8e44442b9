"""Finding objects by a property, and in the recycle bin."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from reentra import errors
from reentra.directory import kinds, objects
from reentra.graph import addresses
from reentra.graph.client import GraphClient
from reentra.graph.object_reads import ObjectReads, as_object

# Properties that are keys of their collection: read by address, without the lag of a filter.
_ALTERNATE_KEYS: Mapping[tuple[str, str], str] = {
    ("user", "userPrincipalName"): "userPrincipalName",
    ("application", "appId"): "appId",
    ("application", "uniqueName"): "uniqueName",
    ("servicePrincipal", "appId"): "appId",
    ("device", "deviceId"): "deviceId",
    ("group", "uniqueName"): "uniqueName",
}
# Filters by these are documented; whatever is not here is matched on our side, in the list.
_FILTERS: Mapping[str, frozenset[str]] = {
    "user": frozenset(
        {"displayName", "mail", "mailNickname", "employeeId", "onPremisesImmutableId"}
    ),
    "group": frozenset({"displayName", "mail", "mailNickname"}),
    "application": frozenset({"displayName"}),
    "servicePrincipal": frozenset({"displayName"}),
    "device": frozenset({"displayName"}),
    "administrativeUnit": frozenset({"displayName"}),
    "unifiedRoleDefinition": frozenset({"displayName", "templateId"}),
    "unifiedRoleAssignment": frozenset({"principalId", "roleDefinitionId"}),
    "unifiedRoleEligibilitySchedule": frozenset({"principalId", "roleDefinitionId"}),
    "oAuth2PermissionGrant": frozenset({"clientId", "principalId", "resourceId"}),
}
# Lists: the filter asks for one of their values (learn.microsoft.com/graph/api/resources/group).
_LIST_FILTERS = frozenset({("group", "groupTypes")})
_FILTER_TERMS = 15  # `or` terms that a directory filter takes
_SINGLE_LOOKS = 5  # into a kind's own bin; for more it is listed, at a request a second
_NO_BIN_STATUSES = frozenset({400, 403, 404, 405, 501})
_PRINCIPAL_COLLECTIONS = ("users", "groups", "servicePrincipals")


class ObjectFinds:
    """Finds objects when no id is known, or when they were deleted. Thread-safe."""

    def __init__(self, client: GraphClient, object_reads: ObjectReads) -> None:
        self._client = client
        self._reads = object_reads

    # --- by a property ------------------------------------------------------------------------

    def find_objects(
        self, kind: str, property_name: str, values: Sequence[str]
    ) -> list[objects.DirectoryObject]:
        """Return the objects whose property equals one of ``values``, in any letter case.

        A list equals what it holds. Reads by key where the property is one, by filter where Graph
        documents it, and else the whole list. A filter may lag behind a write of the last minutes.
        """
        row = kinds.KINDS[kind]
        wanted = {value.casefold(): value for value in values if value}
        if not wanted:
            return []
        if property_name == "id":
            return list(self._reads.load_objects(kind, list(wanted.values())).values())
        key = _ALTERNATE_KEYS.get((kind, property_name))
        found: Iterable[objects.DirectoryObject]
        if key is not None:
            paths = {v: _key_path(row, key, v) for v in wanted.values()}
            found = self._reads.get_each(kind, paths).values()
        elif row.per_source_of and property_name == row.source_property:
            found = self._reads.list_per_source(row, wanted.values())
        elif row.per_source_of and property_name == "principalId":
            found = self._of_principals(row, list(wanted.values()))
        elif (
            property_name in _FILTERS.get(kind, frozenset())
            or (kind, property_name) in _LIST_FILTERS
        ):
            found = self._filtered(row, property_name, list(wanted.values()))
        else:
            found = self._reads.list_objects(kind)
        matching = {
            item.id: item
            for item in found
            if any(str(one or "").casefold() in wanted for one in _values(item, property_name))
        }
        return list(matching.values())

    def _of_principals(
        self, row: kinds.ObjectKind, principal_ids: list[str]
    ) -> Iterator[objects.DirectoryObject]:
        for collection in _PRINCIPAL_COLLECTIONS:
            for _, items in self._reads.lists_of(
                principal_ids,
                _assignments_path(collection),
                is_tolerant=True,
            ):
                for item in items:
                    self._reads.remember_source(item["id"], item.get("resourceId", ""))
                    yield as_object(row.name, item)

    def _filtered(
        self, row: kinds.ObjectKind, property_name: str, values: list[str]
    ) -> Iterator[objects.DirectoryObject]:
        properties = self._reads.selected(row.name)
        for start in range(0, len(values), _FILTER_TERMS):
            form = "{name} eq {value}"
            if (row.name, property_name) in _LIST_FILTERS:
                form = "{name}/any(x:x eq {value})"
            terms = (
                form.format(name=property_name, value=addresses.literal(v))
                for v in values[start : start + _FILTER_TERMS]
            )
            params: dict[str, str | int | bool] = {"$filter": " or ".join(terms)}
            if properties:
                params["$select"] = ",".join(properties)
            try:
                items = list(self._client.items(row.list_path, params))
            except errors.InvalidRequest:
                # This Graph cannot filter so, or does not know a selected property: the list can
                # always be matched here.
                yield from self._reads.list_objects(row.name)
                return
            for item in items:
                yield as_object(row.name, item)

    # --- the recycle bin ----------------------------------------------------------------------

    def load_deleted(self, kind: str, ids: Sequence[str]) -> dict[str, objects.DirectoryObject]:
        """Return those of ``ids`` in the recycle bin, with Graph's default properties."""
        row = kinds.KINDS[kind]
        if row.own_bin and ids:
            return self._load_from_own_bin(row, dict.fromkeys(ids))
        if not row.has_recycle_bin or not ids:
            return {}
        paths = [(i, f"directory/deletedItems/{addresses.segment(i)}") for i in dict.fromkeys(ids)]
        found: dict[str, objects.DirectoryObject] = {}
        for object_id, _, body, error in self._reads.answers(paths, {}):
            if isinstance(error, errors.GraphNotFound):
                continue
            if error is not None:
                raise error
            said = str(body.get("@odata.type", "")) if isinstance(body, dict) else ""
            if isinstance(body, dict) and (not said or kinds.kind_of_odata_type(said) == kind):
                found[object_id] = as_object(kind, body)
        return found

    def _load_from_own_bin(
        self, row: kinds.ObjectKind, ids: Mapping[str, None]
    ) -> dict[str, objects.DirectoryObject]:
        """Return those of ``ids`` in the kind's own bin; one that nobody may look into is empty.

        National clouds lack it, and whether applications may use it is not documented
        (learn.microsoft.com/graph/api/resources/policydeletableitem).
        """
        found: dict[str, objects.DirectoryObject] = {}
        try:
            if len(ids) > _SINGLE_LOOKS:
                listed = (as_object(row.name, body) for body in self._client.items(row.own_bin))
                return {item.id: item for item in listed if item.id in ids}
            for object_id in ids:
                try:
                    body = self._client.get(f"{row.own_bin}/{addresses.segment(object_id)}")
                except errors.GraphNotFound:
                    continue
                found[object_id] = as_object(row.name, body)
        except errors.GraphError as error:
            if error.status not in _NO_BIN_STATUSES:
                raise
        return found

    def list_deleted(self, kind: str) -> Iterator[objects.DirectoryObject]:
        """Stream the recycle bin's objects of a kind."""
        if not kinds.KINDS[kind].has_recycle_bin:
            return
        path = f"directory/deletedItems/microsoft.graph.{kind}"
        for item in self._client.items(path):
            yield as_object(kind, item)

    def find_deleted(
        self, kind: str, property_name: str, values: Sequence[str]
    ) -> list[objects.DirectoryObject]:
        """Return deleted objects whose property equals one of ``values``, in any letter case.

        A deleted user's userPrincipalName carries the object id, without dashes, in front of the
        name it had; both forms match. The bin is listed and matched here, because filters on it
        come from an index that lags.
        """
        wanted = {value.casefold() for value in values if value}
        if not wanted:
            return []
        found = []
        for item in self.list_deleted(kind):
            value = str(item.get(property_name) or "").casefold()
            plain = value.removeprefix(item.id.replace("-", "").casefold())
            if value in wanted or plain in wanted:
                found.append(item)
        return found


def _values(item: objects.DirectoryObject, property_name: str) -> Sequence[object]:
    value = item.get(property_name)
    return value if isinstance(value, list) else [value]


def _key_path(row: kinds.ObjectKind, key: str, value: str) -> str:
    if key == "userPrincipalName" and not value.startswith("$"):
        return f"{row.list_path}/{addresses.segment(value)}"
    return f"{row.list_path}({key}={addresses.segment(addresses.literal(value))})"


def _assignments_path(collection: str) -> Callable[[str], str]:
    return lambda principal_id: f"{collection}/{addresses.segment(principal_id)}/appRoleAssignments"
