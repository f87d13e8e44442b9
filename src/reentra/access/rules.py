"""What needs a second person: the rules, and when a change of them is itself such a thing."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from reentra.access.roles import Permission

# The actions that are asked for.
RESTORE = "restore"
DISCONNECT = "tenant.disconnect"
RETENTION = "retention"
LOOSEN = "approvals.loosen"
KEYS = "keys.change"
_NEEDED = {
    RESTORE: Permission.RESTORE,
    DISCONNECT: Permission.DISCONNECT,
    RETENTION: Permission.RETENTION,
}


def needed_for(action: str) -> Permission:
    """Return what somebody must be allowed to approve an action: to do it themselves."""
    return _NEEDED.get(action, Permission.SETTINGS)


@dataclass(frozen=True, slots=True)
class ApprovalRules:
    """What needs a second person.

    ``restore_steps``: restores of more steps than that; none at all where it is ``None``.
    ``retention``: to forget snapshots by name, and a policy that keeps less.
    """

    restore_steps: int | None = None
    disconnect: bool = False
    retention: bool = False
    keys: bool = False

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ApprovalRules:
        steps = value.get("restore_steps")
        return cls(
            None if steps is None else int(steps),
            bool(value.get("disconnect")),
            bool(value.get("retention")),
            bool(value.get("keys")),
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "restore_steps": self.restore_steps,
            "disconnect": self.disconnect,
            "retention": self.retention,
            "keys": self.keys,
        }

    def is_loosened_by(self, other: ApprovalRules) -> bool:
        """Tell whether something that needs a second person now would need none by ``other``."""
        for is_on, stays_on in (
            (self.disconnect, other.disconnect),
            (self.retention, other.retention),
            (self.keys, other.keys),
        ):
            if is_on and not stays_on:
                return True
        if self.restore_steps is None:
            return False
        return other.restore_steps is None or other.restore_steps > self.restore_steps

    def digest_of_change(self, other: ApprovalRules) -> str:
        """Return the digest by which the change from these rules to ``other`` is approved."""
        return hashlib.sha256(
            orjson.dumps([LOOSEN, self.to_json(), other.to_json()], option=orjson.OPT_SORT_KEYS)
        ).hexdigest()

    def described(self) -> str:
        """Return the rules in words, for who is to approve them."""
        steps = self.restore_steps
        return ", ".join(
            (
                "no restore" if steps is None else f"restores of more than {steps} steps",
                "disconnecting" if self.disconnect else "not disconnecting",
                "forgetting" if self.retention else "not forgetting",
                "changes of keys" if self.keys else "no changes of keys",
            )
        )
