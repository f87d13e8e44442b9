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
    Address("search", "/tenants/contoso/search", "rita"),
    Address("search-found", "/tenants/contoso/search?kind=group&kind=user", "rita"),
    Address("search-deleted", "/tenants/contoso/search?text=aurora&deleted=on"),
    Address("search-nothing", "/tenants/contoso/search?text=nobodyatall"),
    Address("restore", "/tenants/contoso/restore?snapshot={first}&id=group/{group}", "rita"),
    Address("restore-kind", "/tenants/contoso/restore?snapshot={first}&kind=device", "rita"),
    Address("plan", "/tenants/contoso/plans/{plan}"),
    Address("download", "/tenants/contoso/download?snapshot={first}&kind=user"),
    Address("sign-in", "/sign-in", ""),
    Address("set-up", "/set-up", ""),
    Address("confirm", "/confirm?next=/tenants"),
    Address("refused-reader", "/tenants/contoso/restore?snapshot={first}", "rolf", status=403),
    Address("not-found", "/tenants/nobody", status=404),
)
