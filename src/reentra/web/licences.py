"""A user's or group's licences as people know them: products, where from, what is switched off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Licence:
    """One product that somebody has. ``groups`` are the ids of those that give it."""

    sku: str
    is_direct: bool
    groups: tuple[str, ...]
    disabled_plans: tuple[str, ...]


def licences_of(properties: Mapping[str, Any]) -> list[Licence]:
    """Return the licences that a body names; one that no state explains is its own."""
    states = properties.get("licenseAssignmentStates") or []
    found = []
    for entry in properties.get("assignedLicenses") or []:
        sku = str(entry.get("skuId"))
        own = [state for state in states if state.get("skuId") == sku]
        groups = tuple(str(s["assignedByGroup"]) for s in own if s.get("assignedByGroup"))
        is_direct = not own or any(not state.get("assignedByGroup") for state in own)
        disabled = tuple(str(plan) for plan in entry.get("disabledPlans") or ())
        found.append(Licence(sku, is_direct, groups, disabled))
    return found
