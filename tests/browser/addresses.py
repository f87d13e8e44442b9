"""Every page and dialog: where it is, who looks at it, and what is done before it is looked at.

``make screenshots`` takes a picture of each, and ``test_every_page`` lets axe look at each. A name
in braces is filled in from what the stage holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Address:
    """A page (or with ``dialog``, what a link or button of that name opens over it).

    ``person`` looks at it; the empty name is nobody. ``status`` is what the server answers.
    """

    name: str
    path: str
    person: str = "admin"
    dialog: str = ""
    status: int = 200

    def at(self, facts: dict[str, Any]) -> str:
        """Return the address with its names filled in."""
        return self.path.format(**facts)


def known(facts: dict[str, Any]) -> dict[str, Any]:
    """Return what the braces of addresses may name."""
    first, *_, last = facts["snapshots"]
    return {
        **{name: value for name, value in facts.items() if isinstance(value, str)},
        "first": first,
        "last": last,
        "user": facts["moved"][0],
    }


ADDRESSES = (
    Address("overview", "/tenants/contoso"),
    Address("overview-empty", "/tenants/fabrikam"),
    Address("overview-reader", "/tenants/contoso", "rolf"),
    Address("not-found", "/tenants/nobody", status=404),
)
