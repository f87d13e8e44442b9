"""Steps: the smallest things that a restore does, each one a value that can be read and stored."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reentra.directory.kinds import KINDS
from reentra.directory.objects import ObjectRef


class Action(enum.StrEnum):
    """What a step does to the tenant."""

    UNDELETE = "undelete"
    CREATE = "create"
    INVITE = "invite"  # a guest is not created but invited
    UPDATE = "update"
    ADD_RELATIONSHIP = "add_relationship"
    REMOVE_RELATIONSHIP = "remove_relationship"
    DELETE = "delete"
    ASSIGN_LICENSES = "assign_licenses"


class Precondition(enum.StrEnum):
    """What must hold in the tenant for the step to make sense."""

    ABSENT = "absent"
    IN_RECYCLE_BIN = "in_recycle_bin"
    PRESENT = "present"
    LINK_ABSENT = "link_absent"
    LINK_PRESENT = "link_present"


class Look(enum.StrEnum):
    """Whether the tenant is looked at again right before the step, and from which side.

    What comes out of the recycle bin brings properties and links along that nobody can see before.
    Such steps say what must hold; what holds already is not written.
    """

    NOT_NEEDED = "not_needed"
    OBJECT = "object"
    SOURCE = "source"
    TARGET = "target"


class Password(enum.StrEnum):
    """Where the password of a new user comes from. Never the password itself."""

    NOT_NEEDED = "not_needed"
    DEFAULT = "default"
    BACKED_UP = "backed_up"


@dataclass(frozen=True, slots=True)
class Step:
    """One step.

    ``ref`` is the object as the snapshot knows it (for links: their source); ``live_id`` its id
    in the tenant when the plan was made, empty when it is not there. Ids in ``body`` are the ones
    that the plan knew: an object that the plan itself creates is named by its old id, which
    ``apply`` replaces by the new one through the identity map. ``depends_on`` names the steps
    without whose success this one is skipped. ``phase`` orders the rest. ``app_id`` is the client
    id that a created application had. The body of an undelete, where it has one, is what the object
    is created with when the tenant does not let it leave the bin.
    """

    id: str
    action: Action
    ref: ObjectRef
    name: str
    summary: str
    precondition: Precondition
    phase: int
    depends_on: tuple[str, ...] = ()
    body: Mapping[str, Any] = field(default_factory=dict)
    live_id: str = ""
    relationship: str = ""
    target: ObjectRef | None = None
    look: Look = Look.NOT_NEEDED
    password: Password = Password.NOT_NEEDED
    app_id: str = ""

    @property
    def is_link(self) -> bool:
        return self.action in (Action.ADD_RELATIONSHIP, Action.REMOVE_RELATIONSHIP)

    @property
    def makes_object(self) -> bool:
        """Tell whether the step gives an object a new id."""
        return self.action in (Action.CREATE, Action.INVITE)

    @property
    def may_make_object(self) -> bool:
        """Tell whether the step gives an object a new id, or may come to that."""
        return self.makes_object or (self.action is Action.UNDELETE and bool(self.body))

    def as_creation(self) -> Step:
        """Return the creation that an undelete becomes when the tenant refuses it."""
        return dataclasses.replace(
            self, action=Action.CREATE, precondition=Precondition.ABSENT, live_id=""
        )

    @property
    def deletes_object(self) -> bool:
        """Tell whether the step deletes an object that is more than a link."""
        return self.action is Action.DELETE and not KINDS[self.ref.kind].is_link

    @property
    def removes_link(self) -> bool:
        """Tell whether the step takes a link away, of either form."""
        return self.action is Action.REMOVE_RELATIONSHIP or (
            self.action is Action.DELETE and KINDS[self.ref.kind].is_link
        )

    def to_json(self) -> dict[str, Any]:
        """Return the step; fields that say nothing are left out."""
        value: dict[str, Any] = {
            "id": self.id,
            "action": self.action.value,
            "kind": self.ref.kind,
            "object_id": self.ref.id,
            "name": self.name,
            "summary": self.summary,
            "precondition": self.precondition.value,
            "phase": self.phase,
        }
        if self.depends_on:
            value["depends_on"] = list(self.depends_on)
        if self.body:
            value["body"] = dict(self.body)
        if self.live_id:
            value["live_id"] = self.live_id
        if self.relationship:
            value["relationship"] = self.relationship
        if self.target is not None:
            value["target"] = {"kind": self.target.kind, "id": self.target.id}
        if self.look is not Look.NOT_NEEDED:
            value["look"] = self.look.value
        if self.password is not Password.NOT_NEEDED:
            value["password"] = self.password.value
        if self.app_id:
            value["app_id"] = self.app_id
        return value

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Step:
        target = value.get("target")
        return cls(
            id=value["id"],
            action=Action(value["action"]),
            ref=ObjectRef(value["kind"], value["object_id"]),
            name=value["name"],
            summary=value["summary"],
            precondition=Precondition(value["precondition"]),
            phase=value["phase"],
            depends_on=tuple(value.get("depends_on", ())),
            body=value.get("body", {}),
            live_id=value.get("live_id", ""),
            relationship=value.get("relationship", ""),
            target=None if target is None else ObjectRef(target["kind"], target["id"]),
            look=Look(value.get("look", Look.NOT_NEEDED.value)),
            password=Password(value.get("password", Password.NOT_NEEDED.value)),
            app_id=value.get("app_id", ""),
        )


MISSING_REFERENCE = "missing_reference"
MISSING_PERMISSION = "missing_permission"
MISSING_LICENCE = "missing_licence"
CHANGED_SINCE = "changed_since"
NOT_DELETED = "not_deleted"  # created since, and left where it is
NOT_REMOVED = "not_removed"  # a link added since, left where it is
LEFT_OUT = frozenset({MISSING_REFERENCE, MISSING_PERMISSION, MISSING_LICENCE, CHANGED_SINCE})
"""Codes of what Graph could well give back, had it been asked for otherwise."""


@dataclass(frozen=True, slots=True)
class Unrestorable:
    """Something that the snapshot holds and a restore cannot put back.

    ``what`` is a property's name, a relationship's name, or ``object``. ``instead`` says what a
    person can do. ``count`` is how many of it (links, for instance) the line stands for.
    """

    ref: ObjectRef
    name: str
    what: str
    reason: str
    instead: str = ""
    count: int = 1
    code: str = "unrestorable"

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.ref.kind,
            "id": self.ref.id,
            "name": self.name,
            "what": self.what,
            "reason": self.reason,
            "instead": self.instead,
            "count": self.count,
            "code": self.code,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Unrestorable:
        return cls(
            ObjectRef(value["kind"], value["id"]),
            value["name"],
            value["what"],
            value["reason"],
            value.get("instead", ""),
            value.get("count", 1),
            value.get("code", "unrestorable"),
        )
