"""Matching: which live object each object of the snapshot is now, and which are gone.

By id (through the identity map), of users in the recycle bin too; users then by userPrincipalName;
links between objects, settings and service principals by what makes them unique. Reads the tenant
through ``TenantState`` only, and keeps bodies only of what differs.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from reentra.directory import canonical, references
from reentra.directory.kinds import KINDS, IdForm, ObjectKind
from reentra.directory.objects import DirectoryObject, canonical_id
from reentra.directory.state import KnowsDigests
from reentra.restore import bodies
from reentra.restore.draft import Draft, chunks

_GROUP = 500


@dataclass(slots=True)
class KindMatch:
    """The result for one kind. Ids are the snapshot's.

    Live bodies are kept packed: a plan for a hundred thousand changed objects fits in memory.
    """

    kind: str
    differing: dict[str, tuple[str, bytes]] = field(default_factory=dict)  # live id, packed body
    absent: list[str] = field(default_factory=list)
    in_bin: dict[str, str] = field(default_factory=dict)  # id in the recycle bin
    in_own_bin: dict[str, DirectoryObject] = field(default_factory=dict)  # absent all the same
    _likeness: bytes = b""  # a body of the kind: what others repeat of it takes no room

    def keep_live(self, old_id: str, live: DirectoryObject) -> None:
        """Keep the live object of one that differs."""
        body = orjson.dumps(dict(live.properties))
        self._likeness = self._likeness or body
        packer = zlib.compressobj(level=1, zdict=self._likeness)
        self.differing[old_id] = (live.id, packer.compress(body) + packer.flush())

    def take_live(self, old_id: str) -> DirectoryObject:
        """Return the live object, and keep it no longer."""
        live_id, packed = self.differing.pop(old_id)
        body = zlib.decompressobj(zdict=self._likeness).decompress(packed)
        return DirectoryObject(self.kind, live_id, orjson.loads(body))


def match_objects(draft: Draft, kind: str) -> KindMatch:
    """Match the selected objects of a kind that is not a link."""
    row = KINDS[kind]
    result = KindMatch(kind)
    expected: dict[str, tuple[str, bytes]] = {}
    for old_id, digest in _selected_digests(draft, row):
        live_id = draft.identity.current(old_id)
        if live_id not in expected or live_id == old_id:
            expected[live_id] = (old_id, digest)
    is_rolled_back = kind in draft.options.rollback_kinds and draft.knows_whole(kind)
    if not expected and not is_rolled_back:
        return result
    seen = 0
    unknown: list[DirectoryObject] = []
    for item in _live_objects(draft, row, expected):
        seen += 1
        known = expected.pop(item.id, None)
        if known is not None:
            _pair(draft, result, known, item)
        elif is_rolled_back:
            unknown.append(item)
    if draft.selection.takes_whole(kind):
        draft.totals[kind] = seen
    _match_by_old_id(draft, row, result, expected)
    if kind == "user" and expected:
        # Who has the name of a user in the recycle bin may be somebody else: nothing of one is
        # written over the other, and the other is not given what the first could do.
        _look_in_bin(draft, row, result, expected)
        _note_holders(draft, result)
    _second_chance(draft, row, result, expected)
    if expected and (row.has_recycle_bin or row.own_bin):
        _look_in_bin(draft, row, result, expected)
    result.absent = sorted(old_id for old_id, _digest in expected.values())
    draft.missing.update(result.absent)
    if unknown:
        draft.created_since[kind] = [one for one in unknown if one.id not in draft.selected_live]
    return result


def _selected_digests(draft: Draft, row: ObjectKind) -> Iterator[tuple[str, bytes]]:
    """Yield the selected objects' ids and canonical digests, with references brought up to date.

    Where the snapshot knows its digests, and nothing in the kind names other objects, no body is
    read. Objects with one digest are equal; others may still be, as far as a restore goes.
    """
    kind, desired = row.name, draft.desired
    if (
        draft.selection.takes_whole(kind)
        and not row.references
        and not (row.has_extensions and draft.identity.apps)
        and isinstance(desired, KnowsDigests)
    ):
        yield from desired.load_digests(kind).items()
        return
    for item in _selected_objects(draft, kind):
        if row.references and row.can_update:
            for reference, identifier in references.references_in(kind, item.properties):
                name = reference.pointer.partition("/")[0]
                draft.referrers.setdefault(identifier, {})[kind, item.id] = name
        properties = draft.identity.rewritten(kind, item.properties)
        yield item.id, canonical.digest(kind, properties)


def match_links(draft: Draft, kind: str) -> KindMatch:
    """Match the selected objects of a kind that joins others: an equal natural key is the same."""
    row = KINDS[kind]
    result = KindMatch(kind)
    wanted: dict[tuple[str, ...], tuple[str, bytes]] = {}
    ends: set[str] = set()
    first = end_properties(row)[0]
    for item in _selected_links(draft, row):
        properties = draft.identity.rewritten(kind, item.properties)
        if any(_is_created(draft, end) for end, _kinds in ends_of(row, item.properties)):
            result.absent.append(item.id)  # what there may be leads to the dead id
            continue
        wanted[natural_key(row, properties)] = (item.id, bodies.digest(kind, properties))
        ends.add(str(properties.get(first) or ""))
    result.absent.sort()
    is_rolled_back = draft.options.rolls_back_relationships and draft.knows_whole(kind)
    if not wanted and not is_rolled_back:
        return result
    live: Iterable[DirectoryObject]
    if _takes_all(draft, kind):
        live = draft.live.list_objects(kind)
    elif is_rolled_back:
        live = _live_links(draft, row)
    else:
        live = (
            item
            for chunk in chunks(sorted(ends - {""}))
            for item in draft.live.find_objects(kind, first, chunk)
        )
    unknown: list[DirectoryObject] = []
    for item in live:
        known = wanted.pop(natural_key(row, item.properties), None)
        if known is None:
            if is_rolled_back and _is_live_link_selected(draft, row, item):
                unknown.append(item)
            continue
        draft.present[known[0]] = item.id
        if bodies.differing(kind, {}, item.properties) and known[1] != bodies.digest(
            kind, item.properties
        ):
            result.keep_live(known[0], item)
    result.absent = sorted([*result.absent, *(old_id for old_id, _digest in wanted.values())])
    if unknown:
        draft.linked_since[kind] = _without_known(draft, row, unknown)
    return result


def _live_links(draft: Draft, row: ObjectKind) -> Iterator[DirectoryObject]:
    """Yield the live links of the selected objects that exist, each once."""
    seen: set[str] = set()
    for reference in row.references:
        ids = [one for one, kind in draft.selected_live.items() if kind in reference.kinds]
        if reference.form is IdForm.SCOPE:
            ids = [f"/{one}" for one in ids] + [f"/administrativeUnits/{one}" for one in ids]
        for chunk in chunks(sorted(ids)):
            for item in draft.live.find_objects(row.name, reference.pointer, chunk):
                if item.id not in seen:
                    seen.add(item.id)
                    yield item


def _is_live_link_selected(draft: Draft, row: ObjectKind, item: DirectoryObject) -> bool:
    """Tell whether a live link is selected: its kind by name, or an object that the snapshot has.

    Links between objects of which the snapshot knows nothing are none of the selection's.
    """
    if row.name in draft.selection.kinds:
        return True
    return any(end in draft.selected_live for end, _kinds in ends_of(row, item.properties))


def _without_known(
    draft: Draft, row: ObjectKind, items: list[DirectoryObject]
) -> list[DirectoryObject]:
    """Leave out links that the snapshot has after all, whoever they are selected by."""
    first = end_properties(row)[0]
    ids = {str(item.get(first)) for item in items}
    olds = ids.union(*(draft.identity.olds_of(one) for one in ids))
    known = {
        natural_key(row, draft.identity.rewritten(row.name, one.properties))
        for chunk in chunks(sorted(olds))
        for one in draft.desired.find_objects(row.name, first, chunk)
    }
    return [item for item in items if natural_key(row, item.properties) not in known]


def _is_created(draft: Draft, old_id: str) -> bool:
    return old_id in draft.made and old_id not in draft.undeleted


def natural_key(row: ObjectKind, properties: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what makes an object of ``row`` the same as another; absent and ``/`` are one scope.

    GUIDs and names compare in lower case.
    """
    values = []
    for name in row.natural_key:
        value = properties.get(name)
        if name == "directoryScopeId" and not value and not properties.get("appScopeId"):
            value = "/"
        values.append(str(value or "").lower())
    return tuple(values)


def end_properties(row: ObjectKind) -> tuple[str, ...]:
    """Return the top-level properties of a link that name the objects it joins."""
    return tuple(
        reference.pointer
        for reference in row.references
        if "/" not in reference.pointer and reference.form in (IdForm.OBJECT_ID, IdForm.SCOPE)
    )


def ends_of(
    row: ObjectKind, properties: Mapping[str, Any]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each object that a link joins, with the kinds that it may be of."""
    for reference in row.references:
        value = properties.get(reference.pointer)
        if not isinstance(value, str) or not value:
            continue
        if reference.form is IdForm.SCOPE:
            value = value.rpartition("/")[2]
        if value:
            yield canonical_id(value), reference.kinds


def _pair(draft: Draft, result: KindMatch, known: tuple[str, bytes], item: DirectoryObject) -> None:
    old_id, digest = known
    draft.present[old_id] = item.id
    draft.selected_live[item.id] = item.kind
    if draft.live.digest_of(item) != digest:
        result.keep_live(old_id, item)


def _selected_objects(draft: Draft, kind: str) -> Iterator[DirectoryObject]:
    if draft.selection.takes_whole(kind):
        yield from draft.desired.list_objects(kind)
        return
    ids = draft.selection.ids_of(kind)
    found = draft.desired.load_objects(kind, ids)
    for object_id in ids:
        if object_id in found:
            yield found[object_id]
        else:
            draft.warnings.append(
                f"{kind}/{object_id} is not in the snapshot {draft.desired.label}."
            )


def _live_objects(
    draft: Draft, row: ObjectKind, expected: Mapping[str, object]
) -> Iterator[DirectoryObject]:
    if draft.selection.takes_whole(row.name) or row.is_singleton:
        yield from draft.live.list_objects(row.name)
        return
    for chunk in chunks(sorted(expected)):
        yield from draft.live.load_objects(row.name, chunk).values()


def _match_by_old_id(
    draft: Draft, row: ObjectKind, result: KindMatch, expected: dict[str, tuple[str, bytes]]
) -> None:
    """Match what its present id did not find by the id that it had before."""
    moved = {old: live_id for live_id, (old, _digest) in expected.items() if old != live_id}
    if moved:
        for old_id, item in draft.live.load_objects(row.name, sorted(moved)).items():
            draft.match_returned(row.name, old_id)
            _pair(draft, result, expected.pop(moved[old_id]), item)


def _note_holders(draft: Draft, result: KindMatch) -> None:
    """Note who has the userPrincipalNames of users in the recycle bin now."""
    names: set[str] = set()
    for chunk in chunks(sorted(result.in_bin)):
        for item in draft.desired.load_objects("user", chunk).values():
            names.add(str(item.get("userPrincipalName") or ""))
    names.discard("")
    for item in draft.live.find_objects("user", "userPrincipalName", sorted(names)):
        draft.held[str(item.get("userPrincipalName")).lower()] = item.id


def _second_chance(
    draft: Draft, row: ObjectKind, result: KindMatch, expected: dict[str, tuple[str, bytes]]
) -> None:
    """Match what no id found by what makes it unique."""
    if not expected:
        return
    if row.is_singleton or row.is_only_one:
        only = next(iter(draft.live.list_objects(row.name)), None)
        if only is not None:
            known_id, known = expected.popitem()
            if row.is_only_one and only.id != known_id:
                _match_anew(draft, row.name, known[0], only, only.id)
            _pair(draft, result, known, only)
        return
    property_name = _unique_property(row)
    if not property_name:
        return
    wanted: dict[str, str] = {}
    for chunk in chunks(sorted(old for old, _digest in expected.values())):
        for item in draft.desired.load_objects(row.name, chunk).values():
            value = draft.identity.rewritten(row.name, item.properties).get(property_name)
            if isinstance(value, str) and value:
                wanted[value.lower()] = draft.identity.current(item.id)
    if not wanted:
        return
    for item in draft.live.find_objects(row.name, property_name, sorted(wanted)):
        live_id = wanted.get(str(item.get(property_name) or "").lower())
        if live_id is None or live_id not in expected:
            continue
        if item.id in draft.selected_live or draft.desired.load_objects(row.name, [item.id]):
            draft.held[str(item.get(property_name)).lower()] = item.id
            continue  # it is an object of the snapshot in its own right
        old_id = expected[live_id][0]
        _match_anew(draft, row.name, old_id, item, value_for_people(item, property_name))
        _pair(draft, result, expected.pop(live_id), item)


def _match_anew(draft: Draft, kind: str, old_id: str, item: DirectoryObject, called: str) -> None:
    draft.match(kind, old_id, item.id)
    draft.warnings.append(
        f"{kind} {called} was removed and added again: {old_id} is {item.id} now."
    )


def value_for_people(item: DirectoryObject, property_name: str) -> str:
    """Return the value by which an object was recognised."""
    return str(item.get(property_name) or item.id)


def _unique_property(row: ObjectKind) -> str:
    """Return the property by which an object of the kind is looked for after its id.

    An application has one service principal in a tenant, and a template one group setting: a
    second one cannot be created, so the first one is it.
    """
    if row.name == "user":
        return "userPrincipalName"
    if row.name == "servicePrincipal":
        return "appId"
    return row.natural_key[0] if row.is_settings and row.natural_key else ""


def _look_in_bin(
    draft: Draft, row: ObjectKind, result: KindMatch, expected: dict[str, tuple[str, bytes]]
) -> None:
    kind = row.name
    candidates: dict[str, str] = {}
    for live_id, (old_id, _digest) in expected.items():
        candidates[live_id] = live_id
        candidates.setdefault(old_id, live_id)
    for chunk in chunks(sorted(candidates)):
        for bin_id, item in draft.live.load_deleted(kind, chunk).items():
            live_id = candidates[bin_id]
            app_id = canonical_id(str(item.get("appId") or ""))
            if kind == "servicePrincipal" and app_id in draft.made_apps:
                continue  # its application gets a new client id: this one would stand for nothing
            if live_id not in expected:
                continue
            if row.own_bin:
                result.in_own_bin[expected[live_id][0]] = item
            else:
                result.in_bin[expected.pop(live_id)[0]] = bin_id


def _takes_all(draft: Draft, kind: str) -> bool:
    """Tell whether links of ``kind`` can be selected without naming each object."""
    if draft.selection.takes_whole(kind):
        return True
    row = KINDS[kind]
    return (draft.options.relationships or row.is_owned) and any(
        draft.selection.takes_whole(end) for reference in row.references for end in reference.kinds
    )


def _is_link_selected(draft: Draft, row: ObjectKind, item: DirectoryObject) -> bool:
    selection = draft.selection
    if not selection.is_everything and selection.contains(row.name, item.id):
        return True
    if not (draft.options.relationships or row.is_owned):
        return False
    return selection.is_everything or any(
        draft.is_end_selected(kinds, end) for end, kinds in ends_of(row, item.properties)
    )


def _grouped(items: Iterator[DirectoryObject]) -> Iterator[list[DirectoryObject]]:
    while group := list(itertools.islice(items, _GROUP)):
        yield group


def _selected_links(draft: Draft, row: ObjectKind) -> Iterator[DirectoryObject]:
    """Stream the links that are selected themselves or, with relationships, through an end."""
    if _takes_all(draft, row.name):
        for group in _grouped(draft.desired.list_objects(row.name)):
            if not draft.selection.is_everything:
                draft.learn_titles(
                    end for item in group for end, _ in ends_of(row, item.properties)
                )
            yield from (item for item in group if _is_link_selected(draft, row, item))
        return
    seen: set[str] = set()
    named = draft.selection.ids_of(row.name)
    candidates = list(draft.desired.load_objects(row.name, named).values()) if named else []
    if draft.options.relationships or row.is_owned:
        for reference in row.references:
            ids = [one for kind in reference.kinds for one in draft.selection.ids_of(kind)]
            if reference.form is IdForm.SCOPE:
                ids = [f"/{one}" for one in ids] + [f"/administrativeUnits/{one}" for one in ids]
            if ids:
                candidates += draft.desired.find_objects(row.name, reference.pointer, ids)
    for item in candidates:
        if item.id not in seen and _is_link_selected(draft, row, item):
            seen.add(item.id)
            yield item
