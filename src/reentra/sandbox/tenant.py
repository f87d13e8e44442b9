"""The state of one imitated tenant: records, links between them, the recycle bin, the change log.

No rule of Graph lives here but those of storage: what a write may do is decided in `writes`
before this module is asked to do it. Everything here therefore succeeds.

Three things to know:

* A record's ``props`` hold what was ever set, never ``id`` and never ``deletedDateTime``
  (see ``deleted_at``); a value of None was set and then cleared.
* Links are kept when one of their ends goes to the recycle bin, and leave when it is purged.
* Assignments and grants of a deleted object are set aside with it and come back with it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from sys import intern
from typing import Any, Final

from reentra.sandbox.changelog import ChangeLog
from reentra.sandbox.clock import Clock
from reentra.sandbox.links import Links
from reentra.sandbox.lookup import Lookup
from reentra.sandbox.records import (
    BASE_COLLECTION,
    DIRECTORY_TYPES,
    ENDS,
    NAVIGATIONS,
    OWNING,
    Change,
    ChangeKind,
    Record,
    TenantOptions,
    collection_of,
    ends_of,
)

__all__ = [
    "BASE_COLLECTION",
    "BIN_SECONDS",
    "DIRECTORY_TYPES",
    "NAVIGATIONS",
    "Change",
    "ChangeKind",
    "Record",
    "Tenant",
    "TenantOptions",
]

BIN_SECONDS: Final = 30 * 24 * 3600
"""How long a soft-deleted object can be restored: thirty days, not configurable."""


class Tenant:
    """The whole state of one tenant. Hold ``lock`` around a write or a consistent read."""

    def __init__(
        self,
        tenant_id: str,
        clock: Clock | None = None,
        options: TenantOptions | None = None,
    ) -> None:
        self.tenant_id = tenant_id
        self.clock = clock or Clock()
        self.options = options or TenantOptions()
        self.seq = 0
        self.lock = threading.RLock()
        self._live: dict[str, dict[str, Record]] = {}
        self._directory: dict[str, Record] = {}
        self._bin: dict[str, dict[str, Record]] = {}
        self._aside: dict[str, Record] = {}
        self._aside_by_end: dict[str, dict[str, None]] = {}
        self._links = Links()
        self._lookup = Lookup(self._recount)
        self._log = ChangeLog()

    @property
    def edition(self) -> str:
        """Return the licence level: ``free``, ``P1`` or ``P2``."""
        return self.options.edition

    # --- looking ---

    def collection(self, type_: str) -> Mapping[str, Record]:
        """Return the live records of a type by id, in the order of creation."""
        return self._live.get(collection_of(type_), {})

    def get(self, type_: str, id_: str) -> Record | None:
        """Return a live record of a type."""
        records = self.collection(type_)
        return records.get(id_) or records.get(id_.lower())

    def find(self, id_: str) -> Record | None:
        """Return a live directory object of whatever type."""
        return self._directory.get(id_) or self._directory.get(id_.lower())

    def deleted(self, type_: str | None = None) -> list[Record]:
        """Return what is in the recycle bin, oldest deletion first; of all directory types."""
        self.expire_bin()
        if type_ is not None:
            return list(self._bin.get(collection_of(type_), {}).values())
        return [record for name in DIRECTORY_TYPES for record in self._bin.get(name, {}).values()]

    def find_deleted(self, id_: str, type_: str | None = None) -> Record | None:
        """Return a record in the recycle bin; without a type, of the directory types."""
        self.expire_bin()
        names = DIRECTORY_TYPES if type_ is None else (collection_of(type_),)
        for name in names:
            record = self._bin.get(name, {}).get(id_.lower())
            if record is not None:
                return record
        return None

    def by(self, type_: str, key: str, value: str) -> list[Record]:
        """Return the live records of a type that have a value under an indexed key."""
        records = self.collection(type_)
        return [records[id_] for id_ in self._lookup.ids(type_, key, value)]

    def one(self, type_: str, key: str, value: str) -> Record | None:
        """Return the first live record of a type that has a value under an indexed key."""
        found = self._lookup.first(type_, key, value)
        return None if found is None else self.collection(type_)[found]

    def count_by(self, type_: str, key: str, value: str) -> int:
        """Return how many live records have a value under an indexed key."""
        return self._lookup.count(type_, key, value)

    def user_by_upn(self, upn: str) -> Record | None:
        """Return the live user with a userPrincipalName."""
        return self.one("user", "userPrincipalName", upn)

    def by_app_id(self, type_: str, app_id: str) -> Record | None:
        """Return the live application or service principal with an appId."""
        return self.one(type_, "appId", app_id)

    def device_by_device_id(self, device_id: str) -> Record | None:
        """Return the live device with a deviceId."""
        return self.one("device", "deviceId", device_id)

    def by_unique_name(self, type_: str, name: str) -> Record | None:
        """Return the live group or application with a uniqueName."""
        return self.one(type_, "uniqueName", name)

    def holder_of_address(self, address: str) -> Record | None:
        """Return the live user or group with a proxy address, written ``smtp:...``."""
        return self.one("user", "proxyAddress", address) or self.one(
            "group", "proxyAddress", address
        )

    # --- writing records ---

    def create(self, type_: str, props: dict[str, Any], id_: str | None = None) -> Record:
        """Add a record; without an id it gets a new one."""
        seq = self._next()
        record = Record(
            intern(type_),
            intern(id_ or self.clock.new_guid()),
            props,
            seq,
            self.clock.seconds(),
        )
        self._insert(record)
        self._note(record, ChangeKind.CREATED, tuple(props))
        return record

    def load_bulk(self, type_: str, rows: Iterable[tuple[str, dict[str, Any]]]) -> int:
        """Add many records at one change-log position, without log entries.

        Delta tokens from before do not reach past it. Returns how many were added.
        """
        seq, at, count = self._next(), self.clock.seconds(), 0
        type_ = intern(type_)
        for id_, props in rows:
            self._insert(Record(type_, intern(id_), props, seq, at))
            count += 1
        self._log.floors[collection_of(type_)] = seq
        return count

    def update(self, record: Record, changes: Mapping[str, Any]) -> tuple[str, ...]:
        """Set properties, and return the names of those whose value really changed."""
        props = record.props
        changed = tuple(
            name for name, value in changes.items() if name not in props or props[name] != value
        )
        if not changed:
            return ()
        live = record.deleted_at is None
        if live:
            self._lookup.remove(record)
        if self.options.remember_previous:
            record.previous = dict(props)
        for name in changed:
            props[intern(name)] = changes[name]
        if live:
            self._lookup.add(record)
        self._touch(record)
        self._note(record, ChangeKind.UPDATED, changed)
        return changed

    def soft_delete(self, record: Record) -> None:
        """Move a record to the recycle bin, with its links, assignments and grants."""
        self._take_out(record)
        record.deleted_at = self.clock.now()
        upn = record.props.get("userPrincipalName")
        if record.type == "user" and upn and self.options.deleted_upn_carries_id:
            record.kept = {"userPrincipalName": upn}
            record.props["userPrincipalName"] = record.id.replace("-", "") + upn
        self._bin.setdefault(collection_of(record.type), {})[record.id] = record
        self._touch(record)
        self._note(record, ChangeKind.SOFT_DELETED)
        for dependent in self.dependents(record.id):
            self._set_aside(dependent)

    def restore(self, record: Record, changes: Mapping[str, Any] | None = None) -> None:
        """Bring a record back from the recycle bin, with its assignments and grants.

        ``changes`` are properties that are to differ from before, such as a free name.
        """
        del self._bin[collection_of(record.type)][record.id]
        record.deleted_at = None
        record.props.update(record.kept or {})
        record.kept = None
        record.props.update(changes or {})
        self._insert(record)
        self._touch(record)
        record.born_at = record.written_at
        self._note(record, ChangeKind.RESTORED, tuple(record.props))
        for dependent in self.waiting(record.id):
            if all(self.find(end) is not None for end in ends_of(dependent)):
                self._take_back(dependent)
                self._insert(dependent)
                self._touch(dependent)
                dependent.born_at = dependent.written_at
                self._note(dependent, ChangeKind.CREATED, tuple(dependent.props))

    def purge(self, record: Record) -> None:
        """Remove a record for good, live or in the bin, with everything that hangs on it."""
        if record.deleted_at is None:
            self._take_out(record)
        else:
            self._bin[collection_of(record.type)].pop(record.id, None)
        self._note(record, ChangeKind.PURGED)
        for nav in OWNING:
            for child_id in self.all_targets(nav, record.id):
                child = self._owned(child_id)
                if child is not None:
                    self.purge(child)
        for dependent in self.dependents(record.id):
            self.purge(dependent)
        for dependent in self.waiting(record.id):
            self._take_back(dependent)
        for nav in NAVIGATIONS:
            for target in self.all_targets(nav, record.id):
                self._links.drop(nav, record.id, target)
            for source in self.all_sources(nav, record.id):
                self._links.drop(nav, source, record.id)
                self._note_link(nav, source, record, ChangeKind.UNLINKED)

    def expire_bin(self) -> None:
        """Purge what has been in the recycle bin for more than thirty days."""
        if not any(self._bin.values()):
            return
        limit = self.clock.now() - timedelta(seconds=BIN_SECONDS)
        for records in self._bin.values():
            while records:
                oldest = next(iter(records.values()))
                if oldest.deleted_at is None or oldest.deleted_at > limit:
                    break
                self.purge(oldest)

    def dependents(self, id_: str) -> list[Record]:
        """Return the live assignments and grants that hang on an object, each once."""
        found: dict[str, Record] = {}
        for type_, keys in ENDS.items():
            for key in keys:
                for record in self.by(type_, key, id_):
                    found[record.id] = record
        return list(found.values())

    def waiting(self, id_: str) -> list[Record]:
        """Return the assignments and grants that are set aside because of a deleted end."""
        return [self._aside[waiting] for waiting in self._aside_by_end.get(id_, ())]

    # --- links ---

    def link(self, nav: str, source_id: str, target_id: str) -> bool:
        """Add a link, and return False when it was there. A manager replaces the one before."""
        if self.linked(nav, source_id, target_id):
            return False
        if nav == "user.manager":
            for before in self.all_targets(nav, source_id):
                self.unlink(nav, source_id, before)
        seq = self._next()
        self._links.add(nav, source_id, target_id, seq)
        self._note_link(nav, source_id, self._any(target_id), ChangeKind.LINKED, target_id)
        return True

    def link_bulk(self, nav: str, source_id: str, target_ids: Iterable[str]) -> None:
        """Add many links of one source, without log entries, at the present log position."""
        self._links.add_bulk(nav, source_id, target_ids, self.seq)

    def unlink(self, nav: str, source_id: str, target_id: str) -> bool:
        """Remove a link, and return False when it was not there."""
        if not self.linked(nav, source_id, target_id):
            return False
        self._links.drop(nav, source_id, target_id)
        self._note_link(nav, source_id, self._any(target_id), ChangeKind.UNLINKED, target_id)
        return True

    def linked(self, nav: str, source_id: str, target_id: str) -> bool:
        """Say whether a link is there, even with an end in the recycle bin."""
        return self._links.seq(nav, source_id, target_id) is not None

    def targets(self, nav: str, source_id: str) -> list[str]:
        """Return the live ids that an object links to, in the order in which they were linked."""
        return self._only_live(nav, self._links.targets(nav, source_id))

    def sources(self, nav: str, target_id: str) -> list[str]:
        """Return the live ids that link to an object."""
        live = self.collection(nav.partition(".")[0])
        return [id_ for id_ in self._links.sources(nav, target_id) if id_ in live]

    def all_targets(self, nav: str, source_id: str) -> list[str]:
        """Return the ids that an object links to, those in the recycle bin too, as delta does."""
        return self._links.targets(nav, source_id)

    def all_sources(self, nav: str, target_id: str) -> list[str]:
        """Return the ids that link to an object, those in the recycle bin too."""
        return self._links.sources(nav, target_id)

    def target_count(self, nav: str, source_id: str) -> int:
        """Return how many links an object has, those to the recycle bin too."""
        return self._links.count(nav, source_id)

    # --- the change log ---

    def changes(self, type_: str, since_seq: int) -> Iterator[Change]:
        """Yield what happened to objects of a type after a log position, oldest first.

        Raises:
            LogTruncated: the log does not reach back that far.
        """
        self.expire_bin()
        yield from self._log.since(collection_of(type_), since_seq)

    def truncate_log(self, type_: str) -> None:
        """Forget the change log of a type, so that every earlier delta token is refused."""
        self._log.truncate(type_, self._next())

    # --- keeping ---

    def save(self, path: Path) -> None:
        """Write the whole state to one file of JSON lines; the same state, the same bytes."""
        with path.open("w", encoding="utf-8") as handle:
            for line in self._lines():
                handle.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")

    @classmethod
    def load(cls, path: Path) -> Tenant:
        """Read back what `save` wrote; delta tokens made before go on working."""
        with path.open(encoding="utf-8") as handle:
            head = json.loads(next(handle))
            tenant = cls(
                head["tenant_id"],
                Clock.from_json(head["clock"]),
                TenantOptions(**head["options"]),
            )
            tenant.seq = head["seq"]
            tenant._log.floors = head["log_floor"]
            for text in handle:
                tenant._read_line(json.loads(text))
        return tenant

    def _lines(self) -> Iterator[dict[str, Any]]:
        options = {name: getattr(self.options, name) for name in TenantOptions.__slots__}
        yield {
            "tenant_id": self.tenant_id, "clock": self.clock.to_json(), "options": options,
            "seq": self.seq, "log_floor": self._log.floors,
        }  # fmt: skip
        places = (
            ("live", [r for records in self._live.values() for r in records.values()]),
            ("bin", [r for records in self._bin.values() for r in records.values()]),
            ("aside", list(self._aside.values())),
        )
        for place, records in places:
            for record in records:
                yield {"in": place, **record.to_json()}
        for nav, source, targets in self._links.all():
            yield {"nav": nav, "source": source, "targets": targets}
        for type_, change in self._log.all():
            yield {"log": type_, "change": change.to_json()}

    def _read_line(self, line: dict[str, Any]) -> None:
        if "in" in line:
            record = Record.from_json(line)
            if line["in"] == "live":
                self._insert(record)
            elif line["in"] == "aside":
                self._put_aside(record)
            else:
                self._bin.setdefault(collection_of(record.type), {})[record.id] = record
        elif "nav" in line:
            for target, seq in line["targets"].items():
                self._links.add(line["nav"], line["source"], target, seq)
        else:
            self._log.add(line["log"], Change.from_json(line["change"]))

    # --- the inside ---

    def _next(self) -> int:
        self.seq += 1
        return self.seq

    def _touch(self, record: Record) -> None:
        record.seq = self._next()
        record.written_at = self.clock.seconds()
        record.cache = None

    def _note(self, record: Record, kind: ChangeKind, properties: tuple[str, ...] = ()) -> None:
        name = collection_of(record.type)
        self._log.add(name, Change(self._next(), record.id, kind, self.clock.seconds(), properties))

    def _note_link(
        self,
        nav: str,
        source_id: str,
        target: Record | None,
        kind: ChangeKind,
        target_id: str = "",
    ) -> None:
        source_type, _, name = nav.partition(".")
        target_type = target.type if target is not None else ""
        target_id = target.id if target is not None else target_id
        seq = self._next()
        self._log.add(
            source_type,
            Change(
                seq,
                source_id,
                kind,
                self.clock.seconds(),
                (),
                name,
                target_id,
                target_type,
            ),
        )
        source = self._any(source_id)
        if source is not None:
            source.seq = seq

    def _insert(self, record: Record) -> None:
        name = collection_of(record.type)
        self._live.setdefault(name, {})[record.id] = record
        if name in DIRECTORY_TYPES:
            self._directory[record.id] = record
        self._lookup.add(record)

    def _take_out(self, record: Record) -> None:
        self._lookup.remove(record)
        self._live[collection_of(record.type)].pop(record.id, None)
        self._directory.pop(record.id, None)

    def _set_aside(self, record: Record) -> None:
        self._take_out(record)
        self._note(record, ChangeKind.PURGED)
        self._put_aside(record)

    def _put_aside(self, record: Record) -> None:
        self._aside[record.id] = record
        for end in ends_of(record):
            self._aside_by_end.setdefault(end, {})[record.id] = None

    def _take_back(self, record: Record) -> None:
        del self._aside[record.id]
        for end in ends_of(record):
            waiting = self._aside_by_end.get(end, {})
            waiting.pop(record.id, None)
            if not waiting:
                self._aside_by_end.pop(end, None)

    def _any(self, id_: str) -> Record | None:
        found = self._directory.get(id_)
        if found is not None:
            return found
        for records in self._bin.values():
            if id_ in records:
                return records[id_]
        return None

    def _owned(self, id_: str) -> Record | None:
        for type_ in (
            "federatedIdentityCredential",
            "extensionProperty",
            "groupSetting",
        ):
            found = self.get(type_, id_)
            if found is not None:
                return found
        return None

    def _only_live(self, nav: str, ids: list[str]) -> list[str]:
        if nav in OWNING or not any(self._bin.values()):
            return ids
        live = self._directory
        return [id_ for id_ in ids if id_ in live]

    def _recount(self, sku_id: str) -> None:
        sku = self.one("subscribedSku", "skuId", sku_id)
        if sku is not None:
            sku.props["consumedUnits"] = self.count_by("user", "skuId", sku_id)
            sku.cache = None
